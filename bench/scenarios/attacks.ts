import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { tether } from '../../demo/tether.ts'
import { median, peakResident, residentBytes } from '../process.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { guestsOf, type Stage, targetOf } from '../stage.ts'
import { type Round, talk } from './talk.ts'

const people = 20
const rounds = 3
const given = { speakers: people, perSecond: 20, seconds: 4, length: 60 }
/** How long an attack is under way before it is looked at what others notice. */
const aheadMs = 1500

const ways = {
  tinyFrames: 'a document message of one-byte frames, never whole, on 3 connections',
  manyLengths: 'documents: 15 MB appended and broadcast to 60 who chose frames of different lengths',
  manyKeys: 'a document of 9,900 keys, 15 connections a second',
  heldRooms: 'an application holds the locks of ten chat rooms, in which people speak',
  guesses: '400 at once who guess the password of the documents',
}

/** Members talk while somebody does the worst; each attack beside the same talk without it. */
export const attacks: Scenario[] = Object.entries(ways).map(([way, about]) => ({
  name: `attack-${way}`,
  about: `${people} talk, meanwhile ${about}`,
  play: (stage) => play(stage, way),
}))

async function play(stage: Stage, way: string): Promise<Outcome> {
  const plenum = await stage.plenum({
    flags: ['-chat', '-document'],
    env: { PLENUM_DOCUMENT_USER: 'app', PLENUM_DOCUMENT_PASSWORD: 'a password that nobody guesses' },
  })
  const meeting = await stage.meeting(people)
  const crowd = stage.crowd(targetOf(plenum))
  await crowd.connect(guestsOf(meeting))
  const round = async (): Promise<Round> => {
    const from = await stage.lastId(meeting.id)
    return talk(
      { pid: plenum.pid, crowd, expected: (said) => stage.expected(meeting.id, from, said), from },
      given,
    )
  }
  const before = residentBytes(plenum.pid)
  let most = before
  const quiet: Round[] = []
  const attacked: Round[] = []
  for (let n = 0; n < rounds; n++) {
    quiet.push(await round())
    const seconds = aheadMs / 1000 + given.seconds
    const attacker = fork(
      fileURLToPath(new URL('../attacker.ts', import.meta.url)),
      [way, String(plenum.port), stage.database, String(seconds)],
      { execArgv: ['--import', 'tsx'] },
    )
    tether(attacker, 'KILL')
    const ended = once(attacker, 'exit')
    await wait(aheadMs)
    const { result, peak } = await peakResident(plenum.pid, round())
    attacked.push(result)
    most = Math.max(most, peak)
    await ended
  }
  const all = [...quiet, ...attacked]
  const p99 = (list: readonly Round[]): number => median(list.map((one) => one.p99))
  const ratio = p99(attacked) / p99(quiet)
  return {
    figures: {
      'p50 ms, without': median(quiet.map(({ p50 }) => p50)),
      'p50 ms': median(attacked.map(({ p50 }) => p50)),
      'p99 ms, without': p99(quiet),
      'p99 ms': p99(attacked),
      'memory MB, before': before / 2 ** 20,
      'memory MB, at most': most / 2 ** 20,
      'members cut': all.reduce((sum, { ended }) => sum + ended, 0),
    },
    goals: [
      { name: 'p99, of that without', value: ratio, atMost: 2 },
      { name: 'memory MB more', value: (most - before) / 2 ** 20, atMost: 256 },
    ],
    lost: all.reduce((sum, { lost }) => sum + lost, 0),
    repeated: all.reduce((sum, { repeated }) => sum + repeated, 0),
  }
}
