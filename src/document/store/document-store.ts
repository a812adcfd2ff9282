import type { Retry } from '../../db/contention.ts'
import { isRefused } from '../../db/failure.ts'
import { Conflict, type RoomStore } from '../../hub/room-rules.ts'
import { costOf, type Quota } from '../quota.ts'
import type { Write } from '../rules.ts'
import { type View, viewOf } from '../view.ts'
import {
  createDocument,
  deleteDocument,
  findDocument,
  openDocument,
  readBytes,
  type Store,
  writeDocument,
} from './documents.ts'

type Deps = {
  store: Store
  id: string
  /** For what goes alone; `retryReading` is shared by all who read documents. */
  retry: Retry
  retryReading: Retry
  quota: Quota
}

/** The document that was opened is not there any more. */
export class DocumentGone extends Conflict {}

/** The database has fewer bytes of a document than it says: whoever came back would find no more. */
export class BytesMissing extends Error {}

/** The tables of one document, as its room uses them. What it writes it takes from the quota, where the document counts. */
export class DocumentStore implements RoomStore<View, Write, null> {
  readonly #deps: Deps

  constructor(deps: Deps) {
    this.#deps = deps
  }

  async load(): Promise<View | null> {
    const { store, id, retry } = this.#deps
    const stored = await retry(() => openDocument(store, id))
    return stored && viewOf(stored)
  }

  async commit({ data, keys, quotaBytes }: Write, view: View, retry: Retry): Promise<null> {
    const { store, quota } = this.#deps
    const { number, length, counted } = view
    const write = (): Promise<boolean> =>
      retry(() => writeDocument(store, number, { length, data, keys, quotaBytes }))
    // It fits: since it was decided nothing else has run.
    if (counted) quota.take(quotaBytes)
    const isDone = await (counted ? this.#settled(quotaBytes, write) : write())
    if (!isDone) throw conflictOf(await this.#find().catch(() => undefined))
    return null
  }

  /** Makes the document; false where it is there, `full` where there is no room for it. `counted`: its bytes count. */
  async create(data: Buffer, counted: boolean): Promise<boolean | 'full'> {
    const { store, id, retry, quota } = this.#deps
    const bytes = counted ? costOf(data.length) : null
    const create = (): Promise<boolean> => retry(() => createDocument(store, id, data, bytes))
    if (bytes === null) return await create()
    if (!quota.take(bytes)) return 'full'
    return await this.#settled(bytes, create)
  }

  /** Deletes the document; it need not be there. */
  async delete(): Promise<void> {
    const { store, id, retry, quota } = this.#deps
    try {
      quota.gone(await retry(() => deleteDocument(store, id)))
    } catch (error) {
      quota.gone(null)
      throw error
    }
  }

  /** Reads the bytes from `begin` to `end`. Throws `Conflict`, `BytesMissing`, or what the database says. */
  async read({ number }: View, begin: number, end: number): Promise<Buffer> {
    const { store, retryReading } = this.#deps
    const bytes = await retryReading(() => readBytes(store.sql, number, begin, end))
    if (bytes.length === end - begin) return bytes
    const found = await this.#find()
    if (found?.number === number && found.length >= end) throw new BytesMissing('bytes of it are missing')
    throw conflictOf(found)
  }

  async #find(): ReturnType<typeof findDocument> {
    const { store, id, retryReading } = this.#deps
    return await retryReading(() => findDocument(store.sql, id))
  }

  /** Settles what was taken from the quota by what becomes of `write`, which says whether it has stored anything. */
  async #settled(bytes: number, write: () => Promise<boolean>): Promise<boolean> {
    const { quota } = this.#deps
    try {
      const isDone = await write()
      quota.settle(bytes, isDone ? 'stored' : 'notStored')
      return isDone
    } catch (error) {
      quota.settle(bytes, isRefused(error) ? 'notStored' : 'unknown')
      throw error
    }
  }
}

/** `found`: what there is now of a document that is not what it was; undefined where nobody knows. */
const conflictOf = (found: object | null | undefined): Conflict =>
  found === null ? new DocumentGone('it is gone') : new Conflict('it has changed')
