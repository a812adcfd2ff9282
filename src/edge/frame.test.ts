import assert from 'node:assert/strict'
import type { Writable } from 'node:stream'
import { test } from 'node:test'
import * as ws from 'ws'
import { textFrame } from './frame.ts'

// The type declarations of ws leave its parser out.
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable }

for (const length of [0, 1, 125, 126, 65_535, 65_536, 200_000])
  test(`a text of ${length} bytes is read back by a websocket receiver`, async () => {
    const text = 'é'.repeat(length / 2) + (length % 2 ? 'x' : '')
    const receiver = new Receiver({ isServer: false })
    const got = new Promise((resolve) => {
      receiver.on('message', (data: Buffer, isBinary: boolean) => resolve([data.toString(), isBinary]))
    })
    receiver.end(textFrame(text))
    assert.deepEqual(await got, [text, false])
  })
