/**
 * What is told on a topic: plain data as JSON, or no more than its number where the number says all. The publisher numbers
 * what it tells on a topic, so that who hears of `seq` knows what came before it and may be lacking.
 */
export type BusMessage = Readonly<{ seq: number; body: string }>

/** `seq` is null where a program has told it that does not number: then nobody knows what came before. */
export type HeardMessage = Readonly<{ seq: number | null; body: string }>

/** Who hears of a topic. Nothing of this throws. */
export type BusSubscriber = {
  heard: (message: HeardMessage) => void
  /**
   * From now on nothing is missed; what there was before may have been, and is to be looked up. Called before anything is
   * heard, and again after each loss.
   */
  back: () => void
  /** What is told from now on is missed until `back`. Called once for each loss, and where there was no beginning. */
  lost: (reason: string) => void
}

/**
 * Carries what processes tell each other. It is no record: what has to be known for good is in the database, and a
 * message may be lost. But never in silence: subscribers hear of the loss and of its end, a publisher is refused. What one
 * publisher tells on one topic is heard in its order, by all who subscribe there, the publisher's own process among them,
 * and never before `publish` has returned. `test/support/bus-contract.ts` has what each bus has to pass.
 */
export type Bus = {
  /** The longest body, in bytes of UTF-8. What is longer is stored somewhere, and told by its number alone. */
  readonly maxBodyBytes: number
  /**
   * Resolves when all who listen at this moment will hear it, or of its loss. Rejects with `BusRefusal` where it cannot be
   * carried as it is, and with any other error where nobody knows whether it was told.
   */
  publish(topic: string, message: BusMessage): Promise<void>
  /** Returns what ends it: nothing is heard after that. Throws `BusRefusal` where no topic has such a name. */
  subscribe(topic: string, subscriber: BusSubscriber): () => void
}

/** Cannot be carried: not now, and not later. Nothing was told. */
export class BusRefusal extends Error {}

const topicName = /^[a-z][\w.-]{0,62}$/

/** Throws `BusRefusal` where the topic is no name: a small letter, then at most 62 letters, digits and signs of "_.-". */
export function checkTopic(topic: string): void {
  if (!topicName.test(topic)) throw new BusRefusal(`no topic of a bus: ${JSON.stringify(topic)}`)
}

/** Throws `BusRefusal` where a bus that takes bodies of `maxBodyBytes` cannot carry this. */
export function checkMessage(topic: string, { seq, body }: BusMessage, maxBodyBytes: number): void {
  checkTopic(topic)
  if (!Number.isSafeInteger(seq) || seq < 0) throw new BusRefusal(`no number of a message: ${seq}`)
  const bytes = Buffer.byteLength(body)
  if (bytes > maxBodyBytes)
    throw new BusRefusal(`a message of ${bytes} bytes is too long for the bus, which takes ${maxBodyBytes}`)
  // As JSON it would be escaped.
  if (body.includes('\0')) throw new BusRefusal('a message with a NUL character')
}
