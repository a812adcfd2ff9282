import { timingSafeEqual, createHash } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import { explainRefusal, isRefused, isSchemaFault } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import type { ConnectionLimits } from '../edge/connection-limits.ts'
import { pieceBytes, streamOf } from '../edge/body.ts'
import { type Form, readForm, readUrlencoded, TooManyFields } from '../edge/form.ts'
import { GrowingBuffer } from '../edge/growing.ts'
import type { AuthThrottle } from '../edge/auth-throttle.ts'
import type { Caller } from '../edge/remote.ts'
import type { Log, Secret } from './events.ts'
import { documentId } from './access.ts'
import { readExpiration } from './expiration.ts'
import type { DocumentHub } from './hub.ts'

export type ManagementDeps = {
  hub: () => DocumentHub | null
  /** Null where nobody may. */
  credentials: Readonly<{ user: string; password: string }> | null
  maxMessage: number
  maxSize: number
  authThrottle: AuthThrottle<Secret>
  connectionLimits: ConnectionLimits
  log: Log
  callerOf: (context: Context) => Caller
}

/** What is asked for has failed: the answer has this status, and its reason in a header. */
class Refusal extends Error {
  readonly status: 400 | 401 | 404 | 409 | 413 | 429 | 500 | 503

  constructor(status: Refusal['status'], reason: string) {
    super(reason)
    this.status = status
  }
}

type Call = { hub: DocumentHub; form: Form; deps: ManagementDeps }
type Method = { required: readonly string[]; run: (call: Call, c: Context) => Promise<Response> }

/** Beside the contents of a document, and in all for those who have not shown who they are. */
const otherBytes = 64 * 1024
const maxNameLength = 1024

const methods: Readonly<Record<string, Method>> = {
  createDocument: {
    required: ['documentID', 'contents'],
    async run({ hub, form, deps }, c) {
      const contents = readContents(form, deps) ?? Buffer.alloc(0)
      if (!(await hub.createDocument(readId(form), contents)))
        throw new Refusal(409, 'Document already exists')
      return c.body(null, 200)
    },
  },
  deleteDocument: {
    required: ['documentID'],
    async run({ hub, form }, c) {
      await hub.deleteDocument(readId(form))
      return c.body(null, 200)
    },
  },
  dumpDocument: {
    required: ['documentID'],
    async run({ hub, form, deps }, c) {
      const dump = await hub.dumpDocument(readId(form))
      if (!dump) throw new Refusal(404, 'Document does not exist')
      const { socket } = (c.env as HttpBindings).incoming
      const stream = streamOf(dump.pages, {
        onRead: () => deps.connectionLimits.requested(socket),
        // Cut off, so that nobody takes a part for the whole.
        onError(error) {
          logFailed(c, deps, error)
          socket.destroy()
        },
      })
      return c.body(stream as ReadableStream<Uint8Array<ArrayBuffer>>, 200, {
        'content-type': 'application/octet-stream',
        'content-length': String(dump.length),
        'x-content-type-options': 'nosniff',
      })
    },
  },
  checkDocument: {
    required: ['documentID'],
    async run({ hub, form }, c) {
      if (!(await hub.hasDocument(readId(form)))) throw new Refusal(404, 'Document does not exist')
      return c.body(null, 200)
    },
  },
  addToken: {
    required: ['token', 'documentID', 'userID', 'expiration'],
    async run({ hub, form, deps }, c) {
      const expiresAt = readExpiration(textOf(form, 'expiration'))
      if (!expiresAt) throw new Refusal(400, 'Incorrect expires format')
      const contents = readContents(form, deps)
      const isNew = await hub.addToken({
        token: form.get('token') ?? Buffer.alloc(0),
        document: readId(form),
        user: readText(form, 'userID'),
        permissions: readText(form, 'permissions'),
        expiresAt,
        // What a form sends of a field that nobody filled in.
        contents: contents?.length === 0 ? null : contents,
      })
      if (!isNew) throw new Refusal(409, 'Token or document already exists')
      return c.body(null, 200)
    },
  },
  updateUser: {
    required: ['userID'],
    async run({ hub, form }, c) {
      await hub.updateUser(readText(form, 'userID'), readText(form, 'permissions'))
      return c.body(null, 200)
    },
  },
}

/**
 * Answers `POST /socket`, by which applications make documents and let people in. Checks go in the reference's order:
 * method, credentials, fields.
 */
export async function manage(c: Context, deps: ManagementDeps): Promise<Response> {
  try {
    const hub = deps.hub()
    if (!hub) throw new Refusal(503, 'The documents are not served here now')
    const isKnown = authenticate(c, deps)
    const body = await readBody(c, isKnown, deps)
    if (body === null && !isKnown) throw unauthorized(c, deps)
    if (body === null) throw new Refusal(413, 'The request is too large')
    const sent = await readForm(c.req.header('content-type'), body)
    const query = await readUrlencoded(Buffer.from(new URL(c.req.url).search.slice(1)))
    const form: Form = new Map([...query, ...(sent ?? [])])
    const name = textOf(form, 'method')
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined
    if (!method) throw new Refusal(400, "Unknown 'method' parameter")
    if (!isKnown) throw unauthorized(c, deps)
    const missing = method.required.find(
      (field) => !form.has(field) || (field !== 'contents' && textOf(form, field) === ''),
    )
    if (missing !== undefined) throw new Refusal(400, `Missing ${missing}`)
    return await method.run({ hub, form, deps }, c)
  } catch (error) {
    if (error instanceof Refusal) return refuse(c, error)
    if (error instanceof TooManyFields) return refuse(c, new Refusal(400, 'Too many fields'))
    logFailed(c, deps, error)
    // For what was sent, or for what has become of the tables; neither is better a moment later.
    if (isRefused(error))
      return refuse(c, new Refusal(isSchemaFault(error) ? 500 : 400, explainRefusal(error)))
    return refuse(c, new Refusal(500, 'The database does not answer'))
  }
}

function logFailed(c: Context, { log, callerOf }: ManagementDeps, error: unknown): void {
  log({ level: 'warn', event: 'documentRequestFailed', error: describeError(error), ...callerOf(c) })
}

function unauthorized(c: Context, { callerOf, log }: ManagementDeps): Refusal {
  log({ level: 'warn', event: 'documentUnauthorized', ...callerOf(c) })
  return new Refusal(401, 'Unauthorized')
}

const refuse = (c: Context, { status, message }: Refusal): Response =>
  c.body(null, status, { status: message })

/**
 * Whether the request has the credentials. Where none are configured, or given, nothing is guessed at. Throws 429 where
 * they are not looked at because too many wrong ones have come from there.
 */
function authenticate(c: Context, { credentials, authThrottle, callerOf }: ManagementDeps): boolean {
  const given = /^basic\s+([a-z0-9+/=]+)\s*$/i.exec(c.req.header('authorization') ?? '')?.[1]
  if (!credentials || given === undefined) return false
  const { address } = callerOf(c)
  const lockedMs = authThrottle.lockedMs('password', address)
  if (lockedMs !== null) {
    const seconds = Math.ceil(lockedMs / 1000)
    c.header('retry-after', String(seconds))
    throw new Refusal(429, `Too many wrong passwords from this address: wait ${seconds} seconds`)
  }
  const isRight = isSame(Buffer.from(given, 'base64'), `${credentials.user}:${credentials.password}`)
  if (isRight) authThrottle.proven('password', address)
  else authThrottle.failed('password', address)
  return isRight
}

/** Compared in constant time. */
function isSame(given: Buffer, wanted: string): boolean {
  const digest = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
  return timingSafeEqual(digest(given), digest(Buffer.from(wanted)))
}

/**
 * Null where it is too long, or in chunks from somebody unknown. Of who is known it may take as long as it comes at 16 KiB
 * in each -requesttimeout; all others have that time for the whole.
 */
async function readBody(
  c: Context,
  isKnown: boolean,
  { maxMessage, connectionLimits }: ManagementDeps,
): Promise<Buffer | null> {
  const limit = isKnown ? maxMessage + otherBytes : otherBytes
  const { socket } = (c.env as HttpBindings).incoming
  let renewedAt = 0
  if (Number(c.req.header('content-length') ?? 0) > limit) return null
  // Each chunk costs as much as many bytes, and thousands of a byte may come at once.
  if (!isKnown && c.req.header('transfer-encoding') !== undefined) return null
  const body = new GrowingBuffer(limit)
  const reader = c.req.raw.body?.getReader()
  while (reader) {
    const { value, done } = (await reader.read()) as { value?: Uint8Array; done: boolean }
    if (done || !value) break
    if (body.length + value.length > limit) {
      await reader.cancel()
      return null
    }
    body.append(value)
    if (!isKnown || body.length < renewedAt + pieceBytes) continue
    renewedAt = body.length
    connectionLimits.requested(socket)
  }
  return body.take()
}

const textOf = (form: Form, field: string): string => form.get(field)?.toString() ?? ''

function readId(form: Form): string {
  const id = documentId(form.get('documentID') ?? Buffer.alloc(0))
  if (id === null) throw new Refusal(400, 'Incorrect documentID')
  return id
}

function readText(form: Form, field: string): string {
  const text = textOf(form, field)
  if (text.includes('\0') || Buffer.byteLength(text) > maxNameLength)
    throw new Refusal(400, `Incorrect ${field}`)
  return text
}

function readContents(form: Form, { maxSize }: ManagementDeps): Buffer | null {
  const contents = form.get('contents') ?? null
  if (contents && contents.length > maxSize) throw new Refusal(413, 'The document is too large')
  return contents
}
