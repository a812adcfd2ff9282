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
/** Does again what the same person has taken back. */
export type Redo = { type: 'redo'; id: string; by: string; target: string }
/** What a person wants to be called, for all that they have drawn and will draw; '' ends that. The last one holds. */
export type Name = { type: 'name'; id: string; by: string; name: string }
/** The document is a log of these, one JSON object a line, in the order in which the server took them. */
export type Entry = Stroke | Clear | Undo | Redo | Name

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
  const { type, id, by, color, width, points, target, name } = found as Record<string, unknown>
  if (!isName(id) || !isName(by)) return null
  if (type === 'clear') return { type, id, by }
  if (type === 'undo' || type === 'redo') return isName(target) ? { type, id, by, target } : null
  if (type === 'name') return typeof name === 'string' ? { type, id, by, name: cleanName(name) } : null
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

/** A person's name has so many characters at most. */
export const maxName = 40

/** A name as it is shown: on one line, without characters that turn or break a line, or that XML cannot hold. */
export function cleanName(name: string): string {
  const text = name
    .slice(0, 10 * maxName)
    .replaceAll(/[\p{Cc}\p{Cs}\ufffe\uffff\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
  return Array.from(text).slice(0, maxName).join('').trim()
}

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
  /** What each person would do again next. */
  redoable: ReadonlyMap<string, string>
  /** The names of those who want to have one. */
  names: ReadonlyMap<string, string>
}

/** What there is to see after all entries. */
export function pictureOf(entries: readonly Entry[]): Picture {
  const { undone, again, names } = historyOf(entries)
  const standing = entries.filter((entry) => isStep(entry) && !undone.has(nameOf(entry.by, entry.id)))
  const cleared = standing.findLast(({ type }) => type === 'clear')
  const left = cleared ? standing.slice(standing.indexOf(cleared)) : standing
  const strokes = left.filter((entry) => entry.type === 'stroke')
  // What stood before the last clearing would not be seen if it were done again.
  const since = cleared ? entries.slice(entries.indexOf(cleared)) : entries
  const steps = new Set(again.size === 0 ? [] : since.filter(isStep).map(({ by, id }) => nameOf(by, id)))
  const redoable = new Map<string, string>()
  for (const [by, targets] of again) {
    const next = targets.findLast((target) => steps.has(nameOf(by, target)))
    if (next !== undefined) redoable.set(by, next)
  }
  return {
    strokes,
    people: new Set(strokes.map(({ by }) => by)).size,
    undoable: new Map(left.map(({ by, id }) => [by, id])),
    redoable,
    names,
  }
}

/** A step can be taken back, and done again. */
const isStep = ({ type }: Entry): boolean => type === 'stroke' || type === 'clear'

/** People take back what is their own: by and id together name it. */
const nameOf = (by: string, id: string): string => `${by} ${id}`

/** What is taken back after all entries; what each person could do again, the next one last; and the names. */
function historyOf(entries: readonly Entry[]): {
  undone: ReadonlySet<string>
  again: ReadonlyMap<string, readonly string[]>
  names: ReadonlyMap<string, string>
} {
  const undone = new Set<string>()
  const again = new Map<string, string[]>()
  const names = new Map<string, string>()
  for (const entry of entries) {
    const { by } = entry
    const own = again.get(by)
    if (entry.type === 'undo') {
      const target = nameOf(by, entry.target)
      if (undone.has(target)) continue
      undone.add(target)
      if (own) own.push(entry.target)
      else again.set(by, [entry.target])
    } else if (entry.type === 'redo') {
      if (!undone.delete(nameOf(by, entry.target))) continue
      // Mostly the last one: what another tab of the same person did may be another.
      const at = own?.lastIndexOf(entry.target) ?? -1
      if (at >= 0) own?.splice(at, 1)
    } else if (entry.type !== 'name') again.delete(by)
    else if (entry.name === '') names.delete(by)
    else names.set(by, entry.name)
  }
  return { undone, again, names }
}
