/** What a document accepts (docs/document.md, Appending; Keys): decisions only, nothing is stored or sent here. */
import { type Append, encodedLength, encodeKeys, type Key, type SetKey } from './protocol.ts'
import { rowCosts } from './quota.ts'

/** What a connection may do with its document. */
export type Permissions = Readonly<{ read: boolean; write: boolean; admin: boolean }>

/** A key as it is, with the bytes by which it is told; `owner` is the connection with which it ends, null where it is stored. */
export type HeldKey<Owner> = Key & Readonly<{ encoded: Buffer; owner: Owner | null }>

/** A document as far as decisions need it. Keys by the text of their names' bytes. */
export type View<Owner> = {
  length: number
  keyBytes: number
  readonly keys: Map<string, HeldKey<Owner>>
  /** Which keys end with a connection. */
  readonly owned: Map<Owner, Set<string>>
}

/** A document that is opened. */
export function viewOf<Owner>(length: number, stored: readonly Key[]): View<Owner> {
  const view: View<Owner> = { length, keyBytes: 0, keys: new Map(), owned: new Map() }
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

/** What it has are parts of the bytes by which it is told. */
function heldKey<Owner>(
  encoded: Buffer,
  { name: { length }, version }: Pick<Key, 'name' | 'version'>,
  owner: Owner | null,
): HeldKey<Owner> {
  return {
    encoded,
    name: encoded.subarray(8, 8 + length),
    value: encoded.subarray(12 + length),
    version,
    owner,
  }
}

/** `left`: what may be added until the quota is full (`Quota`). */
export type Limits = Readonly<{ maxSize: number; left: number }>

const mostKeys = 10_000
const mostKeyBytes = 1024 * 1024
const adminPrefix = 'admin:'

export type AppendOutcome = 'accepted' | 'refused' | 'notPermitted' | 'tooLong' | 'full'

/** A view and what is decided but not stored yet. Later decisions build upon earlier ones. */
export class Draft<Owner> {
  readonly #view: View<Owner>
  readonly #limits: Limits
  /** Null: it is gone. */
  readonly #changed = new Map<string, HeldKey<Owner> | null>()
  /** Which keys a connection has set, and may have no more. */
  readonly #setBy = new Map<Owner, Set<string>>()
  #length: number
  #keys: number
  #keyBytes: number
  #quotaBytes = 0

  constructor(view: View<Owner>, limits: Limits) {
    this.#view = view
    this.#limits = limits
    this.#length = view.length
    this.#keys = view.keys.size
    this.#keyBytes = view.keyBytes
  }

  get length(): number {
    return this.#length
  }

  /** How much more the document counts for the quota with what is decided; less than 0 where keys got shorter. */
  get quotaBytes(): number {
    return this.#quotaBytes
  }

  append({ offset, data }: Append, { write }: Permissions): AppendOutcome {
    if (offset !== this.#length) return 'refused'
    if (!write) return 'notPermitted'
    if (offset + data.length > this.#limits.maxSize) return 'tooLong'
    // All that is appended in one write is one row.
    const isFirst = this.#length === this.#view.length
    const counts = data.length + (isFirst && data.length > 0 ? rowCosts.part : 0)
    if (this.#quotaBytes + counts > this.#limits.left) return 'full'
    this.#quotaBytes += counts
    this.#length += data.length
    return 'accepted'
  }

  /** The key as it is from now on; null where it is refused, `full` where that is for the quota. */
  setKey(
    { name, value, stored, oldVersion, newVersion }: SetKey,
    { write, admin }: Permissions,
    by: Owner,
  ): HeldKey<Owner> | 'full' | null {
    if (name.length + value.length > mostKeyBytes) return null
    const id = keyId(name)
    const known = this.#key(id)
    if (stored && !write) return null
    if (!admin && id.startsWith(adminPrefix)) return null
    if (known ? known.version !== oldVersion : oldVersion !== 0) return null
    if (known && (known.owner === null) !== stored) return null
    const isOneMore = known ? 0 : 1
    const bytes = this.#keyBytes + name.length + value.length - (known ? sizeOf(known) : 0)
    if (this.#keys + isOneMore > mostKeys || bytes > mostKeyBytes) return null
    const counts = stored ? name.length + value.length + rowCosts.key : 0
    const more = counts - (stored && known ? sizeOf(known) + rowCosts.key : 0)
    if (more > 0 && this.#quotaBytes + more > this.#limits.left) return 'full'
    this.#quotaBytes += more
    this.#keys += isOneMore
    this.#keyBytes = bytes
    const told = { name, value, version: newVersion }
    const key = heldKey(encodeKeys([told]), told, stored ? null : by)
    if (!stored) addTo(this.#setBy, by, id)
    this.#changed.set(id, key)
    return key
  }

  /**
   * Takes away keys of a connection that has ended, so many at a time; returns what others are to be told of them, and
   * whether there are more.
   */
  leave(by: Owner, most = Infinity): { gone: Key[]; more: boolean } {
    const gone: Key[] = []
    for (const ids of [this.#setBy.get(by) ?? [], this.#view.owned.get(by) ?? []])
      for (const id of ids) {
        const key = this.#key(id)
        if (!key || key.owner !== by) continue
        if (gone.length === most) return { gone, more: true }
        this.#changed.set(id, null)
        this.#keys--
        this.#keyBytes -= sizeOf(key)
        gone.push({ name: key.name, value: Buffer.alloc(0), version: (key.version + 1) % 2 ** 32 })
      }
    return { gone, more: false }
  }

  /** The stored keys among the changed ones. */
  storedKeys(): Key[] {
    return Array.from(this.#changed.values()).filter((key) => key !== null && key.owner === null) as Key[]
  }

  /** Whether a key is another one, or gone. */
  get hasKeys(): boolean {
    return this.#changed.size > 0
  }

  /** Makes the view what was decided. */
  apply(): void {
    const { keys, owned } = this.#view
    this.#view.length = this.#length
    this.#view.keyBytes = this.#keyBytes
    for (const [id, key] of this.#changed) {
      const before = keys.get(id)?.owner ?? null
      if (before !== null && before !== key?.owner) removeFrom(owned, before, id)
      if (key) keys.set(id, key)
      else keys.delete(id)
      if (key && key.owner !== null) addTo(owned, key.owner, id)
    }
  }

  #key(id: string): HeldKey<Owner> | undefined {
    const changed = this.#changed.get(id)
    return changed === undefined ? this.#view.keys.get(id) : (changed ?? undefined)
  }
}

/** What a key counts for among the bytes of a document's keys. */
export const sizeOf = ({ name, value }: Key): number => name.length + value.length

/** Names may be any bytes. */
export const keyId = (name: Buffer): string => name.toString('latin1')

function addTo<Owner>(index: Map<Owner, Set<string>>, owner: Owner, id: string): void {
  const ids = index.get(owner)
  if (ids) ids.add(id)
  else index.set(owner, new Set([id]))
}

function removeFrom<Owner>(index: Map<Owner, Set<string>>, owner: Owner, id: string): void {
  const ids = index.get(owner)
  ids?.delete(id)
  if (ids?.size === 0) index.delete(owner)
}
