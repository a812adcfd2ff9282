/** What a form says: its fields with their bytes as they were sent, of which text is UTF-8. */
export type Form = ReadonlyMap<string, Buffer>

/**
 * Reads a form as browsers and curl send it, urlencoded or multipart. Of fields of one name the first counts. Null: it is
 * neither, or broken. The platform's own readers turn bytes that are no UTF-8 into others.
 */
export function readForm(contentType: string | undefined, body: Buffer): Form | null {
  const [type = '', ...parameters] = (contentType ?? 'application/x-www-form-urlencoded').split(';')
  switch (type.trim().toLowerCase()) {
    case 'application/x-www-form-urlencoded':
      return readUrlencoded(body)
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

/** Reads `name=value&name=value`, as in the body of a form or in a query. */
export function readUrlencoded(body: Buffer): Form {
  const fields = new Map<string, Buffer>()
  for (let at = 0; at < body.length;) {
    const next = body.indexOf('&', at)
    const end = next < 0 ? body.length : next
    const pair = body.subarray(at, end)
    const equals = pair.indexOf('=')
    const name = unescape(equals < 0 ? pair : pair.subarray(0, equals)).toString()
    const value = equals < 0 ? Buffer.alloc(0) : unescape(pair.subarray(equals + 1))
    if (pair.length > 0 && !fields.has(name)) fields.set(name, value)
    at = end + 1
  }
  return fields
}

const [percent, plus, space] = [0x25, 0x2b, 0x20]

function unescape(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    const digits = byte === percent ? bytes.toString('latin1', at + 1, at + 3) : ''
    if (/^[0-9a-f]{2}$/i.test(digits)) {
      out[length++] = Number.parseInt(digits, 16)
      at += 2
    } else out[length++] = byte === plus ? space : byte
  }
  return out.subarray(0, length)
}

function readMultipart(boundary: string, body: Buffer): Form | null {
  const fields = new Map<string, Buffer>()
  const opening = `--${boundary}`
  let at = body.indexOf(opening)
  // Between parts a boundary has a line of its own; the last one ends with two dashes.
  while (at >= 0) {
    at += opening.length
    if (body.toString('latin1', at, at + 2) === '--') return fields
    const begin = body.indexOf('\r\n\r\n', at)
    const end = body.indexOf(`\r\n${opening}`, Math.max(at, begin + 2))
    if (begin < 0 || end < 0) return null
    const name = /^content-disposition:[^\r\n]*;\s*name="([^"]*)"/im.exec(
      body.toString('utf8', at, begin),
    )?.[1]
    if (name === undefined) return null
    if (!fields.has(name)) fields.set(name, body.subarray(begin + 4, Math.max(begin + 4, end)))
    at = end + 2
  }
  return null
}
