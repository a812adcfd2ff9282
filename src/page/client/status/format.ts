const numbers = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const wholes = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** A number for people: three digits that count, and no fraction of large ones. */
export const number = (value: number): string => (Math.abs(value) >= 100 ? wholes : numbers).format(value)

/** The unit of a latency, and how many milliseconds it is. */
function unitOf(milliseconds: number): [unit: string, size: number] {
  if (milliseconds >= 1000) return ['s', 1000]
  return milliseconds >= 0.1 ? ['ms', 1] : ['µs', 0.001]
}

/** Milliseconds as a latency; several have the unit of the largest, said once. */
export function latency(...milliseconds: number[]): string {
  const [unit, size] = unitOf(Math.max(...milliseconds))
  return `${milliseconds.map((one) => number(one / size)).join(' / ')} ${unit}`
}

/** A number of bytes. */
export function bytes(count: number): string {
  for (const [unit, size] of [
    ['GB', 2 ** 30],
    ['MB', 2 ** 20],
    ['KB', 2 ** 10],
  ] as const)
    if (count >= size) return `${number(count / size)} ${unit}`
  return `${count} B`
}

/** A time that has gone by, by its two largest units. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0 s'
  const shown = parts.slice(first, first + 2).filter(([count], index) => index === 0 || count > 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}

/** The same, rounded to what is worth knowing of the past. */
export const ago = (milliseconds: number): string => duration(milliseconds).split(' ').slice(0, 2).join(' ')
