import { type BusSubscriber, checkTopic, type HeardMessage } from './bus.ts'

type Subscription = { readonly subscriber: BusSubscriber; state: 'new' | 'back' | 'lost' }

/** Who subscribes to which topic of a bus, and what each of them knows of its state. */
export class Subscriptions {
  readonly #topics = new Map<string, Set<Subscription>>()

  /** Those with a subscriber. */
  get topics(): string[] {
    return Array.from(this.#topics.keys())
  }

  /** Returns what ends it. Throws `BusRefusal` as `checkTopic` does. */
  add(topic: string, subscriber: BusSubscriber): () => void {
    checkTopic(topic)
    const subscription: Subscription = { subscriber, state: 'new' }
    const others = this.#topics.get(topic) ?? new Set()
    this.#topics.set(topic, others.add(subscription))
    return () => {
      others.delete(subscription)
      if (others.size === 0 && this.#topics.get(topic) === others) this.#topics.delete(topic)
    }
  }

  /** A message has come: those hear it who have been told that they are not missing any. */
  heard(topic: string, message: HeardMessage): void {
    for (const { subscriber, state } of this.#topics.get(topic) ?? [])
      if (state === 'back') subscriber.heard(message)
  }

  /** From now on nothing of the topic is missed. */
  back(topic: string): void {
    for (const subscription of this.#topics.get(topic) ?? []) {
      if (subscription.state === 'back') continue
      subscription.state = 'back'
      subscription.subscriber.back()
    }
  }

  /** Everything is missed until `back`. */
  lost(reason: string): void {
    for (const subscription of Array.from(this.#topics.values()).flatMap((some) => Array.from(some))) {
      if (subscription.state === 'lost') continue
      subscription.state = 'lost'
      subscription.subscriber.lost(reason)
    }
  }

  /** Nobody hears of anything any more. */
  clear(): void {
    for (const some of this.#topics.values()) some.clear()
    this.#topics.clear()
  }
}
