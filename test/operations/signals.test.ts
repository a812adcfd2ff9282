import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openServerFixture } from '../support/server-fixture.ts'

// Whoever reads the log may act on its first line: then the process has only just begun.
test(
  'a signal that comes as soon as there is a line of the log is heard',
  { timeout: 120_000 },
  async (t) => {
    const fixture = await openServerFixture(t)
    for (let n = 0; n < 5; n++) {
      const plenum = await fixture.start({ listen: '127.0.0.1:0', ready: false })
      await plenum.logged(() => true, 20_000)
      plenum.signal('SIGHUP')
      assert.equal(await plenum.stop(), 0)
      assert.ok(plenum.logs.some(({ event }) => event === 'stopped'))
    }
  },
)
