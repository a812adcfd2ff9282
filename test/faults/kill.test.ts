import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ScriptedMeeting } from '../support/scripted-meeting.ts'
import { gather } from '../support/meeting-fixture.ts'
import { openServerFixture, openPages } from '../support/server-fixture.ts'
import { slowness } from '../support/patience.ts'
import { Random } from '../support/random.ts'
import type { Plenum } from '../support/server.ts'

const seed = Number(process.env['PLENUM_FAULT_SEED'] ?? randomInt(2 ** 31))
const isLong = process.env['PLENUM_LONG'] === '1'

const kills = isLong ? 200 : 35
const members = 6
/** Longer than a server is away, however long it takes to start. */
const graceSeconds = 60
const longestLifeMs = isLong ? 3000 : 700
const longestStartMs = 400

test(`${kills} times kill -9 at any moment: nothing that was told is lost, doubled or out of order, and polls go on`, async (t) => {
  t.diagnostic(`to repeat: PLENUM_FAULT_SEED=${seed}`)
  const random = new Random(seed)
  const fixture = await openServerFixture(t, { grace: graceSeconds })
  const { sql } = fixture.db
  let server: Plenum = await fixture.start()
  const meeting = await gather(sql, server, members, { state: 1, allowrejoin: true })
  const indexes = Array.from({ length: members }, (_, index) => index)
  const pages = await openPages(t, meeting, server, indexes, 100)
  const debate = new ScriptedMeeting(sql, meeting, pages, { random: new Random(seed + 1) })
  t.after(() => debate.pause())
  const arrivals = await meeting.texts()
  debate.resume()

  const begun = Date.now()
  let duringPolls = 0
  for (let kill = 1; kill <= kills; kill++) {
    // Sometimes before it serves, and before anybody is back.
    const ready = !random.chance(0.15)
    if (server.hasExited) server = await fixture.restart(server, { ready })
    // A server that lives no longer than its members take to come back is no test of what they do.
    await wait(random.below(ready ? longestLifeMs : longestStartMs) * Math.min(3, slowness()))
    await server.kill()
    if (await debate.check()) duringPolls++
    if (random.chance(0.1)) await debate.hasten(1)
    if (kill % 10 > 0 && kill < kills) continue
    // Now a poll ends as soon as there is a server, if there is a poll.
    await debate.hasten(-5)
    server = await fixture.restart(server)
    await debate.settle()
    debate.resume()
  }
  if (server.hasExited) server = await fixture.restart(server)
  await debate.settle()
  const seconds = (Date.now() - begun) / 1000

  assert.deepEqual(await debate.comings(), arrivals, 'nobody has come or gone')
  const allowed =
    /^(There is no active poll|There is already an active poll|Vote for the wrong question received)$/
  for (const page of pages) {
    assert.deepEqual([...new Set(page.errors.filter((error) => !allowed.test(error)))], [])
    assert.deepEqual(page.unknown, [])
    assert.deepEqual([...new Set(page.closeCodes)], [1006])
  }
  const figures = await debate.figures()
  t.diagnostic(
    JSON.stringify({
      kills,
      'of these during a poll': duringPolls,
      seconds: Math.round(seconds),
      members,
      ...figures,
    }),
  )
  assert.ok(duringPolls > kills / 4, `${duringPolls} kills during a poll`)
  for (const name of ['lines of members', 'votes and changes stored', 'polls'])
    assert.ok(Number(figures[name]) > kills / 4, `${name}: ${figures[name]}`)
})
