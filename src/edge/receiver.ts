import type { WebSocket } from 'ws'

/**
 * The part of a `ws` connection that reads frames, as it is in ws 8.23: what of it has to be known here. Where it is
 * another, `receiver.test.ts` fails.
 */
export type Receiver = {
  _allowSynchronousEvents: boolean
  _bufferedBytes: number
  _fin: boolean
  _mask: Buffer | undefined
  _opcode: number
  _payloadLength: number
  _state: number
  _loop: boolean
  consume: (bytes: number) => Buffer
  dataMessage: (done: Done) => void
  getData: (done: Done) => void
  startLoop: (done: Done) => void
}

type Done = (error?: Error) => void

const states = { getData: 4, deferEvent: 6 } as const
const firstControl = 8

/** What reads the frames of `raw`: a field of `ws` without a public name. */
export const receiverOf = (raw: WebSocket): Receiver => (raw as unknown as { _receiver: Receiver })._receiver

/**
 * Has the data frames that are not whole when they are looked at, or not the last of their message, handed to `part` as
 * they come, one part in a turn of the event loop; the 'message' event brings the end of a message then. `ws` itself would
 * keep each segment that comes as an object of its own, and unmask and join them in one go: 16 MiB take 40 ms.
 */
export function takeInParts(receiver: Receiver, part: (data: Buffer) => void): void {
  const getWhole = receiver.getData.bind(receiver)
  let isBegun = false
  receiver.getData = (done) => {
    const { _bufferedBytes: here, _payloadLength: lacking, _mask: mask } = receiver
    const isWhole = here >= lacking && receiver._fin && !isBegun
    if (receiver._opcode >= firstControl || isWhole) return getWhole(done)
    const length = Math.min(here, lacking)
    if (length === 0 && lacking > 0) {
      receiver._loop = false
      return
    }
    const data = length === 0 ? Buffer.alloc(0) : receiver.consume(length)
    if (mask) receiver._mask = unmask(data, mask)
    receiver._payloadLength -= length
    isBegun = true
    part(data)
    // As `ws` does it for an event that is to come in another turn: the loop that called this ends by the state.
    receiver._state = states.deferEvent
    setImmediate(() => {
      receiver._state = states.getData
      if (receiver._payloadLength === 0) {
        receiver._mask = undefined
        if (receiver._fin) isBegun = false
        receiver.dataMessage(done)
        if (receiver._state === states.deferEvent) return
      }
      receiver.startLoop(done)
    })
  }
}

/** Unmasks in place (RFC 6455, 5.3), and returns the mask of what follows. */
function unmask(data: Buffer, mask: Buffer): Buffer {
  for (let at = 0; at < data.length; at++) data[at] = (data[at] as number) ^ (mask[at & 3] as number)
  const shift = data.length & 3
  return Buffer.concat([mask.subarray(shift), mask.subarray(0, shift)])
}
