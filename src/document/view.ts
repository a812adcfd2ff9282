/** A document as far as decisions need it, what can become of it, and how it changes by that. */
import { encodedLength, encodeKeys, type Fault, type Key } from './protocol.ts'

/** A key as it is, with the bytes by which it is told; `owner` is the subscriber with whom it ends, null where it is stored. */
export type HeldKey = Key & Readonly<{ encoded: Buffer; owner: number | null }>

/** Keys by the text of their names' bytes. */
export type View = {
  /** By which the database knows it. */
  readonly number: string
  /** Whether its bytes count for the quota. */
  readonly counted: boolean
  length: number
  keyBytes: number
  readonly keys: Map<string, HeldKey>
  /** Which keys end with a subscriber. */
  readonly owned: Map<number, Set<string>>
}

/** What somebody is told of a command that was not done. */
export type Refusal = Readonly<{
  /** Null where the answer says all. */
  fault: Fault | null
  answer:
    | Readonly<{ type: 'append'; result: 'refused' | 'notPermitted'; length: number }>
    | Readonly<{ type: 'setKey'; request: number }>
    | null
}>

/** What has become true of a document; all is plain data but bytes, which are buffers. Subscribers go by their ids. */
export type Fact =
  | Readonly<{ type: 'appended'; by: number; at: number; data: Buffer }>
  /** `request`: of the answer, null where none is asked for. `stored`: it does not end with who has set it. */
  | Readonly<{ type: 'keySet'; by: number; request: number | null; key: Key; stored: boolean }>
  /** These are gone; their versions are those that others hear of, with an empty value. */
  | Readonly<{ type: 'keysRemoved'; keys: readonly Pick<Key, 'name' | 'version'>[] }>
  | Readonly<{ type: 'broadcast'; by: number; data: Buffer }>
  | Readonly<{ type: 'refused'; to: number; refusal: Refusal }>
  | Readonly<{ type: 'deleted' }>

/** Whether a key is another one, or gone. */
export const isAboutKeys = ({ type }: Fact): boolean => type === 'keySet' || type === 'keysRemoved'

/** A document that is opened. */
export function viewOf({
  number,
  counted,
  length,
  keys: stored,
}: Pick<View, 'number' | 'counted' | 'length'> & { keys: readonly Key[] }): View {
  const view: View = { number, counted, length, keyBytes: 0, keys: new Map(), owned: new Map() }
  const all = encodeKeys(stored)
  let at = 0
  for (const { name, value, version } of stored) {
    const end = at + encodedLength({ name, value })
    view.keys.set(keyId(name), heldKey(all.subarray(at, end), { name, version }, null))
    view.keyBytes += name.length + value.length
    at = end
  }
  return view
}

/** The only way in which a view changes. */
export function apply(view: View, fact: Fact): void {
  switch (fact.type) {
    case 'appended':
      view.length = fact.at + fact.data.length
      return
    case 'keySet': {
      const { key, stored, by } = fact
      return change(view, keyId(key.name), heldKey(encodeKeys([key]), key, stored ? null : by))
    }
    case 'keysRemoved':
      for (const { name } of fact.keys) change(view, keyId(name), null)
      return
    case 'broadcast':
    case 'refused':
    case 'deleted':
      return
  }
}

function change(view: View, id: string, key: HeldKey | null): void {
  const { keys, owned } = view
  const before = keys.get(id)
  if (before) view.keyBytes -= sizeOf(before)
  if (before && before.owner !== null && before.owner !== key?.owner) removeFrom(owned, before.owner, id)
  if (!key) return void keys.delete(id)
  view.keyBytes += sizeOf(key)
  keys.set(id, key)
  if (key.owner !== null) addTo(owned, key.owner, id)
}

/** What it has are parts of the bytes by which it is told. */
function heldKey(
  encoded: Buffer,
  { name: { length }, version }: Pick<Key, 'name' | 'version'>,
  owner: number | null,
): HeldKey {
  return {
    encoded,
    name: encoded.subarray(8, 8 + length),
    value: encoded.subarray(12 + length),
    version,
    owner,
  }
}

/** What a key counts for among the bytes of a document's keys. */
export const sizeOf = ({ name, value }: Pick<Key, 'name' | 'value'>): number => name.length + value.length

/** Names may be any bytes. */
export const keyId = (name: Buffer): string => name.toString('latin1')

/** Adds a key to those of a subscriber. */
export function addTo(index: Map<number, Set<string>>, owner: number, id: string): void {
  const ids = index.get(owner)
  if (ids) ids.add(id)
  else index.set(owner, new Set([id]))
}

function removeFrom(index: Map<number, Set<string>>, owner: number, id: string): void {
  const ids = index.get(owner)
  ids?.delete(id)
  if (ids?.size === 0) index.delete(owner)
}
