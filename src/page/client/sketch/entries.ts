/** Width and height of the sheet, in the units of all coordinates. */
export const sheet = { width: 2000, height: 1600 } as const
export const colors = 6
export const widths = [6, 14, 34] as const
/** A stroke has so many points at most; a longer one goes on as another. */
export const maxPoints = 2000

export type Point = { x: number; y: number }
export type Stroke = { type: 'stroke'; id: string; by: string; color: number; width: number; points: Point[] }
/** What was drawn before it is gone; undone itself, all is there again. */
export type Clear = { type: 'clear'; id: string; by: string }
/** Takes back what the same person has done. */
export type Undo = { type: 'undo'; id: string; by: string; target: string }
/** The document is a log of these, one JSON object a line, in the order in which the server took them. */
export type Entry = Stroke | Clear | Undo

/** Points are written as steps from one to the next, which are short. */
export function lineOf(entry: Entry): string {
  if (entry.type !== 'stroke') return `${JSON.stringify(entry)}\n`
  let last: Point = { x: 0, y: 0 }
  const points = entry.points.flatMap((point) => {
    const step = [point.x - last.x, point.y - last.y]
    last = point
    return step
  })
  return `${JSON.stringify({ ...entry, points })}\n`
}

/** Null for a line that is none of ours: whoever knows a document's id may write into it what they like. */
export function parseLine(line: string): Entry | null {
  let found: unknown
  try {
    found = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof found !== 'object' || found === null) return null
  const { type, id, by, color, width, points, target } = found as Record<string, unknown>
  if (!isName(id) || !isName(by)) return null
  if (type === 'clear') return { type, id, by }
  if (type === 'undo') return isName(target) ? { type, id, by, target } : null
  if (type !== 'stroke' || !isColor(color) || typeof width !== 'number' || !(width > 0 && width <= 100))
    return null
  const path = parsePoints(points)
  return path && { type, id, by, color, width, points: path }
}

export const isColor = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) < colors

export const isOnSheet = (x: unknown, y: unknown): boolean =>
  Number.isInteger(x) &&
  Number.isInteger(y) &&
  Number(x) >= 0 &&
  Number(y) >= 0 &&
  Number(x) <= sheet.width &&
  Number(y) <= sheet.height

export const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 40

function parsePoints(steps: unknown): Point[] | null {
  if (!Array.isArray(steps) || steps.length < 2 || steps.length > 2 * maxPoints || steps.length % 2 !== 0)
    return null
  const points: Point[] = []
  let [x, y] = [0, 0]
  for (let index = 0; index < steps.length; index += 2) {
    x += Number(steps[index])
    y += Number(steps[index + 1])
    if (!isOnSheet(x, y)) return null
    points.push({ x, y })
  }
  return points
}

export type Picture = {
  strokes: readonly Stroke[]
  people: number
  /** What each person would take back next. */
  undoable: ReadonlyMap<string, string>
}

/** What there is to see after all entries. */
export function pictureOf(entries: readonly Entry[]): Picture {
  const undone = new Set<string>()
  // People take back what is their own: by and id together name it.
  const nameOf = (by: string, id: string): string => `${by} ${id}`
  for (const entry of entries) if (entry.type === 'undo') undone.add(nameOf(entry.by, entry.target))
  const standing = entries.filter(({ type, by, id }) => type !== 'undo' && !undone.has(nameOf(by, id)))
  const cleared = standing.findLastIndex(({ type }) => type === 'clear')
  const left = standing.slice(Math.max(0, cleared))
  const strokes = left.filter((entry) => entry.type === 'stroke')
  return {
    strokes,
    people: new Set(strokes.map(({ by }) => by)).size,
    undoable: new Map(left.map(({ by, id }) => [by, id])),
  }
}
