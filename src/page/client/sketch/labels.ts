import { type Point, sheet, type Stroke } from './entries.ts'

/** A name on the sheet; `at` is where its first letter stands, on the line. */
export type Label = { text: string; at: Point }

/** Strokes of one person that begin in the same field of so many letters' heights have one name. */
const fieldInSizes = { width: 10, height: 6 }

/** Where a text that should begin at `x` begins, so that it is whole on the sheet; `size` is its height. */
export const beginOnSheet = (x: number, width: number, size: number): number =>
  Math.max(size / 4, Math.min(x, sheet.width - width - size / 2))

/**
 * Places the names at the beginnings of strokes: newer strokes first, no name over another one, each whole on the sheet.
 * @param size height of the letters, in the sheet's units
 * @param measure the width of a text at that size, in the sheet's units
 */
export function placeLabels(
  strokes: readonly Stroke[],
  names: ReadonlyMap<string, string>,
  { size, measure }: { size: number; measure: (text: string) => number },
): Label[] {
  const labels: Label[] = []
  const named = new Set<string>()
  const taken = new Set<string>()
  const widths = new Map<string, number>()
  const cell = (x: number, y: number): string => `${x} ${y}`
  for (const { by, points, width: nib } of strokes.toReversed()) {
    const text = names.get(by)
    const [begin] = points
    if (text === undefined || !begin) continue
    const field = `${Math.floor(begin.x / (fieldInSizes.width * size))} ${Math.floor(begin.y / (fieldInSizes.height * size))} ${by}`
    if (named.has(field)) continue
    const width = widths.get(text) ?? measure(text)
    widths.set(text, width)
    const at = {
      x: beginOnSheet(begin.x, width, size),
      y: Math.max(size, Math.min(begin.y - nib / 2 - size / 3, sheet.height - size / 3)),
    }
    const cells: string[] = []
    for (let x = Math.floor(at.x / size); x <= Math.floor((at.x + width) / size); x++)
      for (let y = Math.floor((at.y - size) / size); y <= Math.floor((at.y + size / 3) / size); y++)
        cells.push(cell(x, y))
    if (cells.some((one) => taken.has(one))) continue
    for (const one of cells) taken.add(one)
    named.add(field)
    labels.push({ text, at })
  }
  return labels
}
