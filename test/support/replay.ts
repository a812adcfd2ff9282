import { act, createModel, pollOf } from './model.ts'
import type { Action, Model, Person } from './model.ts'
import { Difference } from './frame-oracle.ts'
import type { Tables } from './stored-tables.ts'

interface Circumstances {
  people: Person[]
  forgiving: boolean
  open: boolean
  mayRejoin: number[]
  /** The answers that each question was asked with. */
  polls: { question: string; answers: string[] }[]
}

/**
 * Finds what must have been done, and in which order, for a record to have become what it is, and does that in a new
 * model. Throws where no actions explain it: every line is either somebody's action or follows from one.
 */
export function replay({ record, banned }: Tables, given: Circumstances): Model {
  const model = createModel(given.people, given)
  const lines = record.map(({ from, text }) => ({ from, text }))
  while (model.lines.length < lines.length) {
    const place = model.lines.length
    const actions = [actionOf(model, lines, place, given, banned)]
    // Who comes or goes at the same time as others is written with them, and only then polls are looked at.
    const [{ type }] = actions as [Action]
    while (type === 'enter' || type === 'leave') {
      const next = lines[place + actions.length]
      const action = next && arrivalOrDeparture(model, next.text)
      if (next?.from !== null || action?.type !== type) break
      actions.push(action)
    }
    for (const action of actions)
      if (action.type !== 'enter' && !model.present.has(action.who))
        throw new Difference(`${explain(lines, place)}\nis by one who is not in the meeting`)
    act(model, ...actions)
    for (let index = place; index < Math.max(model.lines.length, place + 1); index++) {
      const expected = model.lines[index]
      if (lines[index]?.from === expected?.from && lines[index]?.text === expected?.text) continue
      throw new Difference(
        `${explain(lines, index)}\ncannot stand where after ${JSON.stringify(actions)} there was to be\n  ${JSON.stringify(expected) ?? 'nothing'}`,
      )
    }
  }
  return model
}

type Lines = { from: number | null; text: string }[]

function explain(lines: Lines, place: number): string {
  const shown = lines.slice(0, place + 1).map(({ from, text }) => `${from ?? '-'}: ${text}`)
  return `line ${place + 1} of the record\n  ${shown.join('\n  ')}`
}

function actionOf(
  model: Model,
  lines: Lines,
  place: number,
  { polls }: Circumstances,
  banned: number[],
): Action {
  const { from, text } = lines[place]!
  if (from !== null) return { type: 'say', who: from, text }
  const coming = arrivalOrDeparture(model, text)
  if (coming) return coming

  const admin = [...model.present.keys()].find((id) => model.people.get(id)!.admin)
  const [, target, by] = /^User (.+) has been disconnected by (.+)$/.exec(text) ?? []
  if (target !== undefined) {
    const user = idOf(model, target)
    const isLast = !lines
      .slice(place + 1)
      .some((line) => line.from === null && line.text.startsWith(`User ${target} `))
    return { type: 'kick', who: idOf(model, by), user, canrejoin: !(isLast && banned.includes(user)) }
  }
  const [, voter, answer] = /^(.+) (?:voted|changed their vote to) (.+)$/.exec(text) ?? []
  const poll = pollOf(model)
  if (voter !== undefined && poll)
    return {
      type: 'vote',
      who: idOf(model, voter),
      question: poll.question,
      answer: poll.answers.indexOf(answer!),
    }
  if (admin === undefined)
    throw new Difference(`${explain(lines, place)}\nis an admin's, but none is in the meeting`)
  const [, question] = /^A new poll has been posted for (.+)$/.exec(text) ?? []
  if (question !== undefined) {
    const answers = polls.find((one) => one.question === question)?.answers
    return { type: 'newpoll', who: admin, question, answers, minutes: 5 }
  }
  const [, reopener] = /^This meeting is being re-opened by (.+)$/.exec(text) ?? []
  if (reopener !== undefined) return { type: 'open', who: idOf(model, reopener) }
  if (text === 'This meeting is now open') return { type: 'open', who: admin }
  if (text === 'This meeting is now finished' || text === 'Poll has completed')
    return { type: 'finish', who: admin }
  if (text === 'The current poll has been aborted') return { type: 'abortpoll', who: admin }
  throw new Difference(`${explain(lines, place)}\nfollows from nothing`)
}

function arrivalOrDeparture(model: Model, text: string): Action | null {
  const [, name, what] = /^Member (.+) (joined|re-joined|left) the meeting/.exec(text) ?? []
  if (name === undefined) return null
  const who = idOf(model, name)
  return what === 'left' ? { type: 'leave', who } : { type: 'enter', who, has: 0 }
}

function idOf(model: Model, name: string | undefined): number {
  const person = [...model.people.values()].find((one) => one.name === name)
  if (!person) throw new Difference(`the record names ${name}, whom nobody knows`)
  return person.id
}
