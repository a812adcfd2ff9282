import { binaryFrame } from '../edge/frame.ts'
import type { ReplicaRules } from '../hub/replica.ts'
import type { Listening, Telling as HubTelling } from '../hub/telling.ts'
import { Message } from './message.ts'
import {
  appendAnswer,
  appendHead,
  broadcastHeadOf,
  encodeKeys,
  errorMessage,
  type Fault,
  faults,
  keysHead,
  setKeyAnswer,
  type Version,
} from './protocol.ts'
import { apply, type Fact, keyId, type Refusal, type View } from './view.ts'

/** Those to whom the document has been sent. */
export type Audience = 'live'

/** Somebody who has the document open, as far as it matters for what they are told. */
export type Listener = Listening<Audience, Fault> & { readonly version: Version; readonly longest: number }

type Telling = HubTelling<Audience, Fault, Listener, Buffer>

const audiences = { live: ['live'], reads: [] } as const satisfies Record<string, readonly Audience[]>

/** What is longer goes by itself, and its frames are made while others have their turn. */
const longBytes = 256 * 1024

const noBytes = Buffer.alloc(0)

/** An append in both forms of the protocol. */
type Told = Readonly<Record<Version, Message>>

/** What is long to tell, made ready. */
const prepared = new WeakMap<Fact, Told>()

/** The rules of a document's listening half. */
export const announcer: ReplicaRules<View, Fact, Audience, Fault, Listener, Buffer> = {
  apply,
  audiences: (_view, { behind }) => (behind === null ? audiences.live : audiences.reads),
  changesAudience: () => false,
  tell,
  sums: () => [],
  newest: ({ length }) => length,
  dismissal: () => undefined,
  gone: faults.missing,
  looksSame: () => true,
  reloaded: () => [],
}

/** What a fact has a document's listeners told. */
export function tell(view: View, fact: Fact): Telling[] {
  switch (fact.type) {
    case 'appended': {
      const { by, at, data } = fact
      const told = prepared.get(fact) ?? appendOf(at, data)
      const frame = binaryFrame([appendAnswer('accepted', at + data.length)])
      const common = { ...toLive(told[2], told[3]), except: { subscriber: by, frame } }
      if (data.length === 0) return [{ type: 'all', ...common }]
      return [{ type: 'line', id: at + data.length, item: data, ...common }]
    }
    case 'keySet': {
      const { by, request, key } = fact
      const id = keyId(key.name)
      const message = new Message(keysHead, view.keys.get(id)?.encoded ?? encodeKeys([key]))
      const frame = request === null ? null : binaryFrame([setKeyAnswer(true, request)])
      return [{ type: 'all', ...toLive(message), newestOf: id, except: { subscriber: by, frame } }]
    }
    case 'keysRemoved': {
      const keys = fact.keys.map((key) => ({ ...key, value: noBytes }))
      const lastOf = keys.map(({ name }) => keyId(name))
      return [{ type: 'all', ...toLive(new Message(keysHead, encodeKeys(keys))), lastOf }]
    }
    case 'broadcast': {
      const { by, data } = fact
      const message = new Message(broadcastHeadOf(data), data)
      return [{ type: 'all', ...toLive(message), except: { subscriber: by, frame: null } }]
    }
    case 'refused':
      return messagesOf(fact.refusal).map((message) => {
        const frame = binaryFrame([message])
        return { type: 'one', subscriber: fact.to, stock: frame, v1: frame }
      })
    case 'deleted':
      return [{ type: 'gone' }]
  }
}

/**
 * Makes the frames of long appends for all of `listeners` who are to get them, while others have their turn; null where
 * none is long. `isOpen`: whether anybody is to get them still.
 */
export function prepare(
  facts: readonly Fact[],
  listeners: ReadonlyMap<number, Listener>,
  isOpen: () => boolean,
): Promise<void> | null {
  const long: Told[] = []
  for (const fact of facts) {
    if (fact.type !== 'appended' || fact.data.length <= longBytes) continue
    const told = appendOf(fact.at, fact.data)
    prepared.set(fact, told)
    long.push(told)
  }
  return long.length === 0 ? null : prepareAll(long, listeners, isOpen)
}

async function prepareAll(
  long: readonly Told[],
  listeners: ReadonlyMap<number, Listener>,
  isOpen: () => boolean,
): Promise<void> {
  for (const told of long)
    while (isOpen()) {
      const lacking = Array.from(listeners.values()).find(
        ({ version, longest, behind }) => behind === null && !told[version].isReady(longest),
      )
      if (!lacking) break
      await told[lacking.version].prepare(lacking.longest)
    }
}

const appendOf = (at: number, data: Buffer): Told => ({
  2: new Message(appendHead(2, at), data),
  3: new Message(appendHead(3, at), data),
})

/** `newer`: the form of version 3, where that is another. */
function toLive(message: Message, newer = message) {
  const { frame: stock, length } = message
  const v1 = newer === message ? stock : newer.frame
  return { to: 'live', stock, v1, ...(length > longBytes && { long: length }) } as const
}

function messagesOf({ fault, answer }: Refusal): Buffer[] {
  const messages = fault ? [errorMessage(fault)] : []
  if (answer?.type === 'append') messages.push(appendAnswer(answer.result, answer.length))
  if (answer?.type === 'setKey') messages.push(setKeyAnswer(false, answer.request))
  return messages
}

/** The bytes of a document from `offset` on, from memory; `end` is where the document ends. */
export function bytesSince(parts: readonly Buffer[], offset: number, end: number): Buffer {
  const bytes = Buffer.concat(parts)
  // The first part may have begun before.
  return bytes.subarray(bytes.length - (end - offset))
}
