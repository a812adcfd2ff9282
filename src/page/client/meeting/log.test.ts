import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WallClock, zoneOf } from '../kit/zone.ts'
import { addLines, comingsOf, emptyLog, lastSaid, linesAfter, runsOf } from './log.ts'
import type { Log, ToldLine } from './log.ts'
import type { Line } from './protocol.ts'

const clock = new WallClock(zoneOf('Europe/Paris', 0))
const dayIn = (timeZone: string) => {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone })
  return (instant: number) => format.format(instant)
}
const line = (id: number, message = 'x', from = 1, time = '19:00:00', date = '2026-03-14'): Line => ({
  id,
  time,
  date,
  from,
  fromname: from === -1 ? '' : `Member ${from}`,
  color: '1',
  message,
})
const add = (log: Log, lines: ToldLine[], zone = 'UTC') => addLines(log, lines, clock, dayIn(zone))
const all = (log: Log) => log.chunks.flatMap(({ lines }) => lines)

test('chunks are filled one after the other, and those that are full are never touched again', () => {
  const lines = Array.from({ length: 1234 }, (_, index) => line(index + 1))
  const log = add(emptyLog, lines)
  assert.equal(log.count, 1234)
  assert.deepEqual(
    log.chunks.map((chunk) => chunk.lines.length),
    [...Array.from({ length: 12 }, () => 100), 34],
  )
  const more = add(log, [line(2000)])
  assert.deepEqual(
    more.chunks.map((chunk, index) => chunk === log.chunks[index]),
    [...Array.from({ length: 12 }, () => true), false],
  )
  assert.equal(log.chunks.at(-1)?.lines.length, 34, 'what was shown is not changed')
  assert.equal(more.chunks.at(-1)?.key, log.chunks.at(-1)?.key)
  assert.equal(
    new Set(
      add(
        more,
        lines.map(({ id }) => line(id + 3000)),
      ).chunks.map(({ key }) => key),
    ).size,
    25,
  )
})

test('ids that come as texts are numbers: none is left out where they get a digit more', () => {
  const told = [9, 10, 11, 99, 100].map((id) => ({ ...line(id), id: String(id), from: '-1' }))
  let log = emptyLog
  for (const one of told) log = add(log, [one])
  assert.deepEqual(
    all(log).map(({ id, kind }) => [id, kind]),
    [9, 10, 11, 99, 100].map((id) => [id, 'system']),
  )
  assert.equal(log.last, 100)
  assert.equal(add(log, told), log, 'what it has')
})

test('a speaker is named where he begins, and after a pause', () => {
  const log = add(emptyLog, [
    line(1, 'a', 1, '19:00:00'),
    line(2, 'b', 1, '19:01:00'),
    line(3, 'c', 2, '19:01:30'),
    line(4, 'd', 1, '19:02:00'),
    line(5, 'Member N left the meeting', -1, '19:02:10'),
    line(6, 'e', 1, '19:02:20'),
    line(7, 'f', 1, '19:09:00'),
  ])
  assert.deepEqual(
    all(log).map(({ named }) => named),
    [true, false, true, true, false, true, true],
  )
})

test('days are the reader’s own', () => {
  const lines = [
    line(1, 'a', 1, '23:30:00'),
    line(2, 'b', 1, '00:30:00', '2026-03-15'),
    line(3, 'c', 1, '02:00:00', '2026-03-15'),
  ]
  const days = (zone: string) => all(add(emptyLog, lines, zone)).map(({ newDay }) => newDay)
  assert.deepEqual(days('Europe/Paris'), [true, true, false])
  assert.deepEqual(days('UTC'), [true, false, true])
  assert.deepEqual(days('Asia/Tokyo'), [true, false, false])
})

test('what the system says is told apart, and nobody can say it', () => {
  const kinds = (from: number) =>
    all(
      add(
        emptyLog,
        [
          'This meeting is now open',
          'A new poll has been posted for Q',
          'N voted A',
          'Member N joined the meeting (through proxy P)',
          'User N has been disconnected by M',
        ].map((text, index) => line(index + 1, text, from)),
      ),
    ).map(({ kind }) => kind)
  assert.deepEqual(kinds(-1), ['milestone', 'poll', 'vote', 'presence', 'system'])
  assert.deepEqual(kinds(1), ['said', 'said', 'said', 'said', 'said'])
})

test('the lines after an id are found across chunks', () => {
  const log = add(
    emptyLog,
    Array.from({ length: 250 }, (_, index) => line(2 * index + 1)),
  )
  assert.equal(linesAfter(log, 0).length, 250)
  assert.equal(linesAfter(log, 499).length, 0)
  assert.deepEqual(
    linesAfter(log, 496).map(({ id }) => id),
    [497, 499],
  )
  assert.equal(linesAfter(log, 200).length, 150)
})

test('those who come and go one after the other are shown together, what is between them by itself', () => {
  const system = (id: number, text: string) => line(id, text, -1)
  const log = add(emptyLog, [
    system(1, 'Member Åsa joined the meeting'),
    system(2, 'Member Zoë (the "left" one) re-joined the meeting (through proxy Ivan)'),
    system(3, 'Member Åsa left the meeting'),
    line(4, 'hello'),
    system(5, 'Member Åsa re-joined the meeting'),
    system(6, 'Member Bo joined the meeting'),
    system(7, 'This meeting is now open'),
  ])
  const runs = runsOf(all(log), undefined)
  const shape = runs.map(({ lines, isFolded }) => [lines.map(({ id }) => id).join(), isFolded])
  // Two are soon read.
  assert.deepEqual(shape, [
    ['1,2,3', true],
    ['4', false],
    ['5', false],
    ['6', false],
    ['7', false],
  ])
  assert.deepEqual(comingsOf(runs[0]?.lines ?? []), { came: ['Zoë (the "left" one)'], went: ['Åsa'] })
  assert.deepEqual(
    runsOf(all(log), all(log)[1]).map(({ lines }) => lines.length),
    [1, 1, 1, 1, 1, 1, 1],
    'the mark of what is new is not folded away',
  )
  assert.equal(lastSaid(log), 4)
  assert.equal(lastSaid(emptyLog), 0)
})
