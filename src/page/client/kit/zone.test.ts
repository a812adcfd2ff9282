import assert from 'node:assert/strict'
import { cpuUsage } from 'node:process'
import { test } from 'node:test'
import { WallClock, zoneOf } from './zone.ts'

const read = (clock: WallClock, date: string, time: string, notBefore?: number): string =>
  new Date(clock.instant(date, time, notBefore)).toISOString()

test('wall clocks are read in their zone, summer and winter', () => {
  const paris = new WallClock(zoneOf('Europe/Paris', 0))
  assert.equal(read(paris, '2026-03-14', '19:02:11'), '2026-03-14T18:02:11.000Z')
  assert.equal(read(paris, '2026-07-14', '00:00:00'), '2026-07-13T22:00:00.000Z')
  const kathmandu = new WallClock(zoneOf('Asia/Kathmandu', 0))
  assert.equal(read(kathmandu, '2026-01-01', '05:45:00'), '2026-01-01T00:00:00.000Z')
})

test('on the day when the clock is changed each line has its own instant, and they ascend', () => {
  const paris = new WallClock(zoneOf('Europe/Paris', 0))
  assert.equal(read(paris, '2026-03-29', '01:59:59'), '2026-03-29T00:59:59.000Z')
  assert.equal(read(paris, '2026-03-29', '03:00:00'), '2026-03-29T01:00:00.000Z')
  const first = paris.instant('2026-10-25', '02:30:00')
  assert.equal(new Date(first).toISOString(), '2026-10-25T00:30:00.000Z')
  const later = paris.instant('2026-10-25', '02:10:00', first)
  assert.equal(new Date(later).toISOString(), '2026-10-25T01:10:00.000Z')
  assert.equal(paris.instant('2026-10-25', '02:10:00', later), later)
  assert.equal(read(paris, '2026-10-25', '03:00:00', later), '2026-10-25T02:00:00.000Z')
})

test('a zone that is not known is as far ahead as the server says', () => {
  const strange = new WallClock(zoneOf('<+02>-02', 7200))
  assert.equal(read(strange, '2026-03-14', '19:02:11'), '2026-03-14T17:02:11.000Z')
})

test('ten thousand lines are read in no time', () => {
  const paris = new WallClock(zoneOf('Europe/Paris', 0))
  const before = cpuUsage()
  for (let n = 0; n < 10_000; n++) paris.instant('2026-03-14', '19:02:11')
  assert.ok(cpuUsage(before).user < 200_000)
})
