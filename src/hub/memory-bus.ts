import { type Bus, type BusMessage, type BusSubscriber, checkMessage } from './bus.ts'
import { Subscriptions } from './subscriptions.ts'

/**
 * A bus within this process. Those that are made on one `medium` hear each other, as if each were another process's. It
 * can be lost as one on a network can, so that its users' tests have that too.
 */
export class MemoryBus implements Bus {
  readonly maxBodyBytes = 7000
  readonly #medium: Set<MemoryBus>
  readonly #subscriptions = new Subscriptions()
  #lost: string | null = null

  constructor(medium = new Set<MemoryBus>()) {
    this.#medium = medium.add(this)
  }

  async publish(topic: string, message: BusMessage): Promise<void> {
    checkMessage(topic, message, this.maxBodyBytes)
    if (this.#lost !== null) throw new Error(this.#lost)
    for (const bus of this.#medium) queueMicrotask(() => bus.#hear(topic, message))
  }

  subscribe(topic: string, subscriber: BusSubscriber): () => void {
    const end = this.#subscriptions.add(topic, subscriber)
    queueMicrotask(() => this.#tellState())
    return end
  }

  /** From now on nothing comes or goes. */
  lose(reason: string): void {
    this.#lost = reason
    this.#tellState()
  }

  restore(): void {
    this.#lost = null
    this.#tellState()
  }

  close(): void {
    this.#medium.delete(this)
    this.#subscriptions.clear()
    this.#lost = 'the bus is closed'
  }

  #hear(topic: string, message: BusMessage): void {
    if (this.#lost === null) this.#subscriptions.heard(topic, message)
  }

  #tellState(): void {
    if (this.#lost !== null) return this.#subscriptions.lost(this.#lost)
    for (const topic of this.#subscriptions.topics) this.#subscriptions.back(topic)
  }
}
