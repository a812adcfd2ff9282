import type { Socket } from '../../src/edge/socket.ts'
import { readServerFrames } from './raw-connection.ts'

/** A connection that goes nowhere: it records what it is given to write, and how it is ended. */
export class RecordingSocket implements Socket {
  static #last = 0
  readonly id = ++RecordingSocket.#last
  readonly remote = '192.0.2.1'
  readonly request = 'r'
  readonly protocol: string
  readonly unsentBytes = 0
  /** The close code by which it was ended, null for an end without one; undefined while it is open. */
  endedBy: number | null | undefined = undefined
  #written: Buffer[] = []

  constructor(protocol = '') {
    this.protocol = protocol
  }

  /** The texts of the frames that were written since the last call. */
  heard(): string[] {
    const frames = readServerFrames(Buffer.concat(this.#written.splice(0))).frames
    return frames.map(({ payload }) => payload.toString())
  }

  write(frames: readonly Buffer[]): void {
    this.#written.push(...frames)
  }

  end(code: number | null): void {
    this.endedBy = code
  }

  destroy(): void {
    this.endedBy = null
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  allowBacklog(): void {}
  pause(): void {}
  resume(): void {}
}
