import * as fc from 'fast-check'
import { linesSeen, pollOf } from './model.ts'
import type { Action, Model } from './model.ts'
import type { Ending } from './model-runner.ts'

const long = (length: number): string => 'x'.repeat(length)

/** Something that somebody does. Who it is, and whom it concerns, depends on who is there when it is done. */
export type Step = { who: number } & (
  | { do: 'enter'; has: 'nothing' | 'half' | 'all' | 'more' }
  | { do: 'leave' | 'lose'; how: Ending }
  | { do: 'say'; text: unknown }
  /** With `begin`, if there is no poll: what has to be done to have one. */
  | { do: 'vote'; question: unknown; answer: unknown; begin: boolean }
  | { do: 'open' | 'finish' | 'abortpoll' }
  | { do: 'newpoll'; question: unknown; answers: unknown; minutes: unknown }
  | { do: 'kick'; user: number; canrejoin: unknown }
  | { do: 'garble'; frame: string | Buffer }
)

const who = fc.nat(11)
const step = (name: Step['do'], fields: Record<string, fc.Arbitrary<unknown>> = {}): fc.Arbitrary<Step> =>
  fc.record({ do: fc.constant(name), who, ...fields }) as unknown as fc.Arbitrary<Step>
const of = (...values: unknown[]): fc.Arbitrary<unknown> => fc.constantFrom(...values)
const mostly = (usual: fc.Arbitrary<unknown>, rare: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ arbitrary: usual, weight: 12 }, { arbitrary: rare, weight: 1 })

const reserved = ['This meeting is now open', ' THIS  meeting is\tnow finished ']
const texts = mostly(
  of(
    'Hello',
    'I move to adjourn.',
    '  with space around \n',
    'two\nlines,\ttab',
    'žluťoučký 🐴',
    ...reserved,
  ),
  of('', '   \n', '\u0007 \u0000', 'a\u0007 b\u0000\r\n c', long(10_000), long(10_001), null, 5, {}),
)
const question = mostly(
  of('Adopt the budget?', '  Adopt \t the\n budget? ', 'Elect the board?', 'A break?'),
  of('', ' \n ', long(500), long(501), 5, null),
)
const answers = mostly(
  of(['yes', 'no'], [' in\tfavour', 'against ', 'abstain'], ['a', 'b', 'c', 'd', long(200)]),
  of(
    [],
    ['one'],
    ['a', 'b', 'c', 'd', 'e', 'f'],
    ['same', ' same '],
    ['yes', ''],
    ['yes', 5],
    ['yes', long(201)],
    'yes',
  ),
)
const notCommands = of(
  ...'|{|[]|null|"open"|{}|{"type":5}|{"type":"openn"}|{"type":"open"}{"type":"open"}'.split('|'),
  Buffer.from('{"type":"open"}'),
)
export const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: step('enter', { has: of('all', 'nothing', 'half', 'more') }) },
  { weight: 2, arbitrary: step('leave', { how: of('no code', 1000) }) },
  { weight: 3, arbitrary: step('lose', { how: of('fin', 'rst', 1001) }) },
  { weight: 4, arbitrary: step('say', { text: texts }) },
  {
    weight: 9,
    arbitrary: step('vote', {
      question: mostly(of('right', 'right, spaced'), of('A break?', 7, null)),
      answer: mostly(fc.nat(2), of(3, 4, 5, -1, 0.5, '0', null, [0], true)),
      begin: mostly(of(true), of(false)),
    }),
  },
  {
    weight: 5,
    arbitrary: step('newpoll', {
      question,
      answers,
      minutes: mostly(of(5, 1, 120), of(0, -1, 1.5, 121, '5', null)),
    }),
  },
  { weight: 2, arbitrary: step('abortpoll') },
  {
    weight: 3,
    arbitrary: step('kick', { user: fc.nat(8), canrejoin: mostly(fc.boolean(), of('true', 0, null)) }),
  },
  { weight: 3, arbitrary: step('open') },
  { weight: 2, arbitrary: step('finish') },
  { weight: 1, arbitrary: step('garble', { frame: notCommands }) },
)

export const entrance = (who: number): Step => ({ do: 'enter', who, has: 'nothing' })

/** Makes an action of a step, or null where nobody can do it. */
export function resolve(step: Step, model: Model): Action | null {
  const known = [...model.people.keys()]
  const pick = (list: number[], n: number): number | undefined => list[n % list.length]
  if (step.do === 'enter') {
    const who = pick(known, step.who)!
    const seen = linesSeen(model, who)
    const has = { nothing: 0, half: Math.floor(seen / 2), all: seen, more: Infinity }[step.has]
    return { type: 'enter', who, has }
  }
  const here = known.filter((id) => typeof model.present.get(id) === 'number')
  const admins = here.filter((id) => model.people.get(id)!.admin)
  const isAdmins = ['open', 'finish', 'newpoll', 'abortpoll', 'kick'].includes(step.do)
  // What is for admins is mostly sent by one.
  const who = pick(isAdmins && step.who < 10 ? admins : here, step.who)
  if (who === undefined) return null
  switch (step.do) {
    case 'leave':
    case 'lose':
      return { type: step.do, who }
    case 'say':
      return { type: 'say', who, text: step.text }
    case 'vote': {
      const [admin] = admins
      const poll = pollOf(model)
      if (!poll && step.begin && admin !== undefined) return beginPoll(model, admin)
      const right = poll?.question ?? 'None?'
      const spaced = ` ${right.replaceAll(' ', '\n\t')}  `
      const { question, answer } = step
      return {
        type: 'vote',
        who,
        question: question === 'right' ? right : question === 'right, spaced' ? spaced : question,
        answer,
      }
    }
    case 'newpoll': {
      const { question, answers, minutes } = step
      return { type: 'newpoll', who, question, answers, minutes }
    }
    case 'kick': {
      const user = [...known, 5, 'x'][step.user]
      return { type: 'kick', who, user, canrejoin: step.canrejoin }
    }
    case 'garble':
      return { type: 'garble', who, frame: step.frame }
    case 'open':
    case 'finish':
    case 'abortpoll':
      return { type: step.do, who }
  }
}

function beginPoll({ state, polls }: Model, who: number): Action {
  if (state !== 'open') return { type: 'open', who }
  const answers = ['yes', 'no', 'abstain'].slice(polls.length % 2)
  return { type: 'newpoll', who, question: `Poll ${polls.length + 1}?`, answers, minutes: 5 }
}

export function describe(action: Action, model: Model, how: Ending): string {
  const name = (id: unknown): string => model.people.get(Number(id))?.name ?? JSON.stringify(id)
  const brief = (value: unknown): string => JSON.stringify(value)?.replace(/(x{20})x+/, '$1...')
  switch (action.type) {
    case 'enter':
      return `${name(action.who)} enters, having ${action.has === Infinity ? 'more lines than' : action.has} of the ${model.lines.length} lines`
    case 'leave':
    case 'lose':
      return `${name(action.who)} ${action.type === 'leave' ? 'leaves' : 'loses the connection'} (${how})`
    case 'kick':
      return `${name(action.who)} kicks ${name(action.user)}, canrejoin ${brief(action.canrejoin)}`
    case 'open':
    case 'finish':
    case 'abortpoll':
    case 'say':
    case 'vote':
    case 'newpoll':
    case 'garble': {
      const { type, who, ...fields } = action
      return `${name(who)} sends ${type} ${Object.values(fields).map(brief).join(', ')}`.trimEnd()
    }
  }
}
