/** What a document accepts (docs/document.md, Appending; Keys): decisions only, nothing is stored or sent here. */
import type { Append, Key, SetKey } from './protocol.ts'
import { rowCosts } from './quota.ts'
import { addTo, type Fact, keyId, sizeOf, type View } from './view.ts'

/** What a connection may do with its document. */
export type Permissions = Readonly<{ read: boolean; write: boolean; admin: boolean }>

/** `left`: what may be added until the quota is full (`Quota`). */
export type Limits = Readonly<{ maxSize: number; left: number }>

const maxKeys = 10_000
const maxKeyBytes = 1024 * 1024
const adminPrefix = 'admin:'

export type AppendOutcome = 'accepted' | 'refused' | 'notPermitted' | 'tooLong' | 'full'

/** `owner`: the subscriber with whom it ends, null where it is stored. */
type DecidedKey = Key & Readonly<{ owner: number | null }>

/** A view and what is decided but not stored yet. Later decisions build upon earlier ones. */
export class Draft {
  /** What is true once it is stored, in the order of the decisions. */
  readonly facts: Fact[] = []
  readonly #view: View
  readonly #limits: Limits
  /** Null: it is gone. */
  readonly #changed = new Map<string, DecidedKey | null>()
  /** Which keys a subscriber has set, and may have no more. */
  readonly #setBy = new Map<number, Set<string>>()
  #length: number
  #keys: number
  #keyBytes: number
  #quotaBytes = 0

  constructor(view: View, limits: Limits) {
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

  append({ offset, data }: Append, { write }: Permissions, by: number): AppendOutcome {
    if (offset !== this.#length) return 'refused'
    if (!write) return 'notPermitted'
    if (offset + data.length > this.#limits.maxSize) return 'tooLong'
    // All that is appended in one write is one row.
    const isFirst = this.#length === this.#view.length
    const counts = data.length + (isFirst && data.length > 0 ? rowCosts.part : 0)
    if (this.#quotaBytes + counts > this.#limits.left) return 'full'
    this.#quotaBytes += counts
    this.#length += data.length
    this.facts.push({ type: 'appended', by, at: offset, data })
    return 'accepted'
  }

  /** Whether the key is set; `full` where it is refused for the quota. */
  setKey(
    { name, value, stored, oldVersion, newVersion, request }: SetKey,
    { write, admin }: Permissions,
    by: number,
  ): 'set' | 'refused' | 'full' {
    if (name.length + value.length > maxKeyBytes) return 'refused'
    const id = keyId(name)
    const known = this.#key(id)
    if (stored && !write) return 'refused'
    if (!admin && id.startsWith(adminPrefix)) return 'refused'
    if (known ? known.version !== oldVersion : oldVersion !== 0) return 'refused'
    if (known && (known.owner === null) !== stored) return 'refused'
    const isOneMore = known ? 0 : 1
    const bytes = this.#keyBytes + name.length + value.length - (known ? sizeOf(known) : 0)
    if (this.#keys + isOneMore > maxKeys || bytes > maxKeyBytes) return 'refused'
    const counts = stored ? name.length + value.length + rowCosts.key : 0
    const more = counts - (stored && known ? sizeOf(known) + rowCosts.key : 0)
    if (more > 0 && this.#quotaBytes + more > this.#limits.left) return 'full'
    this.#quotaBytes += more
    this.#keys += isOneMore
    this.#keyBytes = bytes
    const key = { name, value, version: newVersion }
    if (!stored) addTo(this.#setBy, by, id)
    this.#changed.set(id, { ...key, owner: stored ? null : by })
    const answered = oldVersion === newVersion ? null : request
    this.facts.push({ type: 'keySet', by, request: answered, key, stored })
    return 'set'
  }

  /** Takes away keys of a subscriber that has gone, so many at a time; returns how many, and whether there are more. */
  leave(by: number, max = Infinity): { count: number; more: boolean } {
    const keys: Pick<Key, 'name' | 'version'>[] = []
    const more = this.#takeAway(by, max, keys)
    if (keys.length > 0) this.facts.push({ type: 'keysRemoved', keys })
    return { count: keys.length, more }
  }

  #takeAway(by: number, max: number, gone: Pick<Key, 'name' | 'version'>[]): boolean {
    for (const ids of [this.#setBy.get(by) ?? [], this.#view.owned.get(by) ?? []])
      for (const id of ids) {
        const key = this.#key(id)
        if (!key || key.owner !== by) continue
        if (gone.length === max) return true
        this.#changed.set(id, null)
        this.#keys--
        this.#keyBytes -= sizeOf(key)
        gone.push({ name: key.name, version: (key.version + 1) % 2 ** 32 })
      }
    return false
  }

  /** The stored keys among the changed ones. */
  storedKeys(): Key[] {
    return Array.from(this.#changed.values()).filter((key) => key !== null && key.owner === null) as Key[]
  }

  #key(id: string): DecidedKey | undefined {
    const changed = this.#changed.get(id)
    return changed === undefined ? this.#view.keys.get(id) : (changed ?? undefined)
  }
}
