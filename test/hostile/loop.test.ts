import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { loopProbe } from '../support/loop.ts'

/** Says when it is there, and computes as long as each of its inputs says (processor time of all its threads, milliseconds). */
const program = `
  process.stdin.on('data', (ms) => {
    const from = process.cpuUsage()
    for (let used = 0; used < Number(ms) * 1000; ) {
      const { user, system } = process.cpuUsage(from)
      used = user + system
    }
    console.log('done')
  })
  console.log('here')
`

test('the probe of the event loop tells of the longest turn since it was asked last', async () => {
  const probe = loopProbe()
  const child = spawn(process.execPath, [...probe.runtimeFlags, '-e', program], {
    env: { ...process.env, ...probe.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  after(() => child.kill())
  const compute = async (ms: string): Promise<void> => {
    const done = once(child.stdout, 'data')
    child.stdin.write(ms)
    await done
  }
  await once(child.stdout, 'data')
  await probe.ask()
  await compute('60')
  await compute('20')
  const { longestMs, cpuMs } = await probe.ask()
  assert.ok(longestMs > 30 && longestMs < 80, `${longestMs} ms`)
  assert.ok(cpuMs > longestMs + 10, `${cpuMs} ms`)
  await compute('5')
  const later = await probe.ask()
  assert.ok(later.longestMs > 2 && later.longestMs < 20, `${later.longestMs} ms`)
  // Nothing to do, no turns.
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.ok((await probe.ask()).turns < 20)
})
