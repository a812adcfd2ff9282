/** Offsets from UTC in hours. Of RFC 5322, section 4.3, and what the European zones are called by PHP and Go. */
const zones: Readonly<Record<string, number>> = {
  ...{ GMT: 0, UTC: 0, UT: 0, Z: 0 },
  ...{ EST: -5, EDT: -4, CST: -6, CDT: -5, MST: -7, MDT: -6, PST: -8, PDT: -7 },
  ...{ WET: 0, WEST: 1, CET: 1, CEST: 2, EET: 2, EEST: 3 },
}
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

const time = String.raw`(?<hour>\d{2}):(?<minute>\d{2}):(?<second>\d{2})`
const offset = String.raw`(?<sign>[+-])(?<offsetHours>\d{2}):?(?<offsetMinutes>\d{2})`
const forms = [
  // RFC 1123, RFC 5322, RFC 850, RFC 1036 and cookies.
  new RegExp(
    String.raw`^(?:[a-z]{3,9}, ?)?(?<day>\d{1,2})[ -](?<month>[a-z]{3})[ -](?<year>\d{4}|\d{2}) ${time} (?:(?<zone>[a-z]{1,4})|(?:GMT|UTC)?${offset})$`,
    'i',
  ),
  // RFC 3339 and ISO 8601.
  new RegExp(
    String.raw`^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})T${time}(?:\.\d{1,9})?(?:(?<zone>Z)|${offset})$`,
    'i',
  ),
]

/**
 * Reads a moment as the standard formatters of the common languages write it: `Fri, 01 Jan 2100 00:00:00 GMT` (RFC 1123)
 * with any offset, also by the usual names of zones; PHP's DATE_ constants; Python's email.utils. Null: it is none of
 * these, or no moment of any calendar or clock. The day of the week is not compared.
 */
export function readExpiration(text: string): Date | null {
  const found = forms.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined)
  if (!found) return null
  const number = (name: string): number => Number(found[name] ?? 0)
  const year = fullYear(found['year'] ?? '')
  const month = months.indexOf((found['month'] ?? '').toLowerCase()) + 1 || number('month')
  const [day, hour, minute, second] = [number('day'), number('hour'), number('minute'), number('second')]
  const east = offsetMinutes(found)
  if (east === null || hour > 23 || minute > 59 || second > 59) return null
  const local = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  // Beyond a month's end it would be another one's day.
  if (local.getUTCFullYear() !== year || local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day)
    return null
  const moment = new Date(local.getTime() - east * 60_000)
  return moment.getUTCFullYear() >= 1900 && moment.getUTCFullYear() <= 9999 ? moment : null
}

/** Two digits are of 1950 to 2049 (RFC 5322, section 4.3). */
function fullYear(digits: string): number {
  const year = Number(digits)
  if (digits.length !== 2) return year
  return year < 50 ? 2000 + year : 1900 + year
}

/** East of UTC; null where there is no such offset. */
function offsetMinutes(found: Record<string, string | undefined>): number | null {
  const { zone, sign, offsetHours = '', offsetMinutes = '' } = found
  if (zone !== undefined) {
    const hours = zones[zone.toUpperCase()]
    return hours === undefined ? null : hours * 60
  }
  const [hours, minutes] = [Number(offsetHours), Number(offsetMinutes)]
  if (hours > 23 || minutes > 59) return null
  return (sign === '-' ? -1 : 1) * (hours * 60 + minutes)
}
