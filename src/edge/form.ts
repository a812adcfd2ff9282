import { turn } from './turns.ts'

/** What a form says: its fields with their bytes as they were sent, of which text is UTF-8. */
export type Form = ReadonlyMap<string, Buffer>

/** No form of ours has a tenth of it, and each costs more than its bytes. */
const maxFields = 100

/** What stands before a part of a multipart form: its name, a file's, a type. */
const maxHeadLength = 8 * 1024

/** A form has so many fields that it is not read. */
export class TooManyFields extends Error {}

/** Of those of one name the first counts. */
class Fields {
  readonly all = new Map<string, Buffer>()
  #count = 0

  add(name: string, value: Buffer): void {
    this.count()
    if (!this.all.has(name)) this.all.set(name, value)
  }

  /** One more has come, if only an empty place for one: it costs as much. */
  count(): void {
    if (++this.#count > maxFields) throw new TooManyFields('a form of too many fields')
  }
}

/**
 * Reads a form as browsers and curl send it, urlencoded or multipart. Of fields of one name the first counts. Null: it is
 * neither, or broken; throws `TooManyFields`. The platform's own readers turn bytes that are no UTF-8 into others.
 */
export async function readForm(contentType: string | undefined, body: Buffer): Promise<Form | null> {
  const [type = '', ...parameters] = (contentType ?? 'application/x-www-form-urlencoded').split(';')
  switch (type.trim().toLowerCase()) {
    case 'application/x-www-form-urlencoded':
      return await readUrlencoded(body)
    case 'multipart/form-data': {
      const boundary = /^\s*boundary=(?:"([^"]+)"|([^\s"]+))\s*$/i
      const found = parameters.map((parameter) => boundary.exec(parameter)).find((match) => match !== null)
      const name = found?.[1] ?? found?.[2]
      return name === undefined ? null : readMultipart(name, body)
    }
    default:
      return null
  }
}

/** Reads `name=value&name=value`, as in the body of a form or in a query. Throws `TooManyFields`. */
export async function readUrlencoded(body: Buffer): Promise<Form> {
  const fields = new Fields()
  for (let at = 0; at < body.length;) {
    const next = body.indexOf(ampersand, at)
    const end = next < 0 ? body.length : next
    const pair = body.subarray(at, end)
    const equals = pair.indexOf(equalsSign)
    const name = await unescape(equals < 0 ? pair : pair.subarray(0, equals))
    const value = equals < 0 ? Buffer.alloc(0) : await unescape(pair.subarray(equals + 1))
    if (pair.length > 0) fields.add(name.toString(), value)
    else fields.count()
    at = end + 1
  }
  return fields.all
}

const [percent, ampersand, plus, space, equalsSign] = [0x25, 0x26, 0x2b, 0x20, 0x3d]
/** By its code: what a hexadecimal digit stands for; of all others 255. */
const digits = Uint8Array.from({ length: 256 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase())
  return digit < 0 ? 255 : digit
})
/** So much is looked at before others have their turn: a millisecond. */
const atOnce = 256 * 1024

async function unescape(bytes: Buffer): Promise<Buffer> {
  if (!bytes.includes(percent) && !bytes.includes(plus)) return bytes
  const out = Buffer.allocUnsafe(bytes.length)
  let [at, length] = [0, 0]
  while (at < bytes.length) {
    if (at > 0) await turn()
    const next = unescapeInto(out, length, bytes, at)
    at = next.at
    length = next.length
  }
  return out.subarray(0, length)
}

/** Does a part of `bytes` from `at` on, behind the `length` bytes that `out` has. */
function unescapeInto(
  out: Buffer,
  length: number,
  bytes: Buffer,
  at: number,
): { at: number; length: number } {
  const end = Math.min(bytes.length, at + atOnce)
  while (at < end) {
    const byte = bytes[at++] as number
    if (byte === percent && at + 1 < bytes.length) {
      const high = digits[bytes[at] as number] as number
      const low = digits[bytes[at + 1] as number] as number
      if (high !== 255 && low !== 255) {
        out[length++] = high * 16 + low
        at += 2
        continue
      }
    }
    out[length++] = byte === plus ? space : byte
  }
  return { at, length }
}

function readMultipart(boundary: string, body: Buffer): Form | null {
  const fields = new Fields()
  const opening = `--${boundary}`
  let at = body.indexOf(opening)
  // Between parts a boundary has a line of its own; the last one ends with two dashes.
  while (at >= 0) {
    at += opening.length
    if (body.toString('latin1', at, at + 2) === '--') return fields.all
    const begin = body.indexOf('\r\n\r\n', at)
    const end = body.indexOf(`\r\n${opening}`, Math.max(at, begin + 2))
    if (begin < 0 || end < 0 || begin - at > maxHeadLength) return null
    const name = /^content-disposition:[^\r\n]*;\s*name="([^"]*)"/im.exec(
      body.toString('utf8', at, begin),
    )?.[1]
    if (name === undefined) return null
    fields.add(name, body.subarray(begin + 4, Math.max(begin + 4, end)))
    at = end + 2
  }
  return null
}
