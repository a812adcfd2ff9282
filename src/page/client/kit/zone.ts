/** A time zone: how far it is ahead of UTC at an instant. All times are in milliseconds. */
export type Zone = { name: string; offsetAt: (instant: number) => number }

const dayMs = 86_400_000

/** The zone of this name as the browser knows it; where it does not, one that is always as far ahead as it is now. */
export function zoneOf(name: string, utcOffsetSeconds: number): Zone {
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    return {
      name,
      offsetAt(instant) {
        const part: Record<string, number> = {}
        for (const { type, value } of format.formatToParts(instant)) part[type] = Number(value)
        const { year = 0, month = 1, day, hour, minute, second } = part
        return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1000) * 1000
      },
    }
  } catch {
    return { name, offsetAt: () => utcOffsetSeconds * 1000 }
  }
}

/**
 * Reads wall-clock times of a zone as instants. Those of a record ascend, which tells the two apart that have the same
 * wall clock when it is put back.
 */
export class WallClock {
  readonly zone: Zone
  /** The offset of a whole day, where there is but one: formatting is slow, and a record has many lines a day. */
  readonly #days = new Map<string, number | null>()

  constructor(zone: Zone) {
    this.zone = zone
  }

  instant(date: string, time: string, notBefore = -Infinity): number {
    const wall = Date.parse(`${date}T${time}Z`)
    if (Number.isNaN(wall)) return notBefore
    let offset = this.#days.get(date)
    if (offset === undefined) {
      const midnight = Date.parse(`${date}T00:00:00Z`)
      const offsets = [-dayMs / 2, dayMs / 2, dayMs * 1.5].map((ms) => this.zone.offsetAt(midnight + ms))
      offset = offsets.every((one) => one === offsets[0]) ? (offsets[0] ?? 0) : null
      this.#days.set(date, offset)
    }
    if (offset !== null) return wall - offset
    const instants = [-dayMs, dayMs]
      .map((ms) => wall - this.zone.offsetAt(wall + ms))
      .filter((instant) => wall - this.zone.offsetAt(instant) === instant)
      .sort((a, b) => a - b)
    // A second is what the wall clock leaves out.
    const fitting = instants.find((instant) => instant > notBefore - 1000)
    return fitting ?? instants.at(-1) ?? wall - this.zone.offsetAt(wall)
  }
}
