/**
 * A reference model of one meeting, written from the meeting door spec alone (Who may enter, What the server says,
 * Lines of the record, What the client may say, Polls). Plain data: an action goes in, and what each connection is
 * told, the record and the tables come out. Nothing here knows sockets, clocks or the ids of lines.
 */
export interface Person {
  id: number
  name: string
  color: string
  admin: boolean
  /** False: the key that he comes with was given to nobody. */
  known: boolean
  proxy: string | null
}

export interface Poll {
  question: string
  answers: string[]
  votes: Map<number, number>
  ended: boolean
}

export interface PollSum {
  question: string
  answers: string[]
  tally: number[]
  voted: number[] | null
}

/** A frame for one connection. Lines are named by their place in the record, counted from 0. */
export type Told =
  | { type: 'message'; line: number }
  | { type: 'messages'; from: number; to: number }
  | { type: 'adduser' | 'removeuser'; who: number }
  | { type: 'users'; who: number[] }
  | { type: 'status'; isopen: boolean; isfinished: boolean }
  /** A gathered one may be left out when a later one comes. */
  | { type: 'poll'; poll: PollSum | null; gathered: boolean }
  /** `text` is null where the spec leaves the words open. */
  | { type: 'error'; text: string | null }
  | { type: 'disconnect'; text: string }

/** What was sent, as it stands in the frame. */
export type Command =
  | { type: 'say'; who: number; text: unknown }
  | { type: 'vote'; who: number; question: unknown; answer: unknown }
  /** Anything that is no command. */
  | { type: 'garble'; who: number; frame: string | Buffer }
  | AdminCommand

type AdminCommand =
  | { type: 'open' | 'finish' | 'abortpoll'; who: number }
  | { type: 'newpoll'; who: number; question: unknown; answers: unknown; minutes: unknown }
  | { type: 'kick'; who: number; user: unknown; canrejoin: unknown }

export type Action =
  /** `has`: how many lines of the record the client has. */
  | { type: 'enter'; who: number; has: number }
  | { type: 'leave'; who: number }
  | { type: 'lose'; who: number }
  | Command

export interface Model {
  people: Map<number, Person>
  /** Whether who loses his connection stays in the meeting: the grace time is longer than anything here lasts. */
  forgiving: boolean
  state: 'pending' | 'open' | 'finished' | 'closed'
  /** `from` is null for what the system says. */
  lines: { from: number | null; text: string }[]
  /** Who is in the meeting, with the number of his connection; null while he is away. */
  present: Map<number, number | null>
  attended: Set<number>
  mayRejoin: Set<number>
  banned: Set<number>
  /** In their order; the last one may be under way. All this takes less than ten seconds. */
  polls: Poll[]
  /** Each entry, also a refused one, makes the next connection. */
  connections: { who: number; told: Told[] }[]
}

const refusals = {
  notAllowed: 'You are not allowed to enter this meeting',
  over: 'This meeting is already finished and can no longer be joined.',
  inProgress: 'This meeting is already in progress and can no longer be joined.',
}
const takenOver = 'You have connected from a different session. This session is disconnected.'
const kicked = 'You have been forcibly disconnected from this meeting'
const marks = ['This meeting is now open', 'This meeting is now finished']

export function createModel(
  people: Person[],
  { forgiving, open, mayRejoin }: { forgiving: boolean; open: boolean; mayRejoin: number[] },
): Model {
  return {
    people: new Map(people.map((person) => [person.id, person])),
    forgiving,
    state: open ? 'open' : 'pending',
    lines: [],
    present: new Map(),
    attended: new Set(),
    mayRejoin: new Set(mayRejoin),
    banned: new Set(),
    polls: [],
    connections: [],
  }
}

/** Does one action, or several as one step. Whoever speaks is connected. */
export function act(model: Model, ...actions: Action[]): void {
  for (const action of actions)
    if (action.type === 'enter') enter(model, action.who, action.has)
    else if (action.type === 'lose' && model.forgiving) model.present.set(action.who, null)
    else if (action.type === 'leave' || action.type === 'lose')
      depart(model, action.who, `Member ${nameOf(model, action.who)} left the meeting`)
    else command(model, action)

  const poll = pollOf(model)
  // Nobody who is in the meeting has not voted; with nobody in it the poll goes on.
  const allVoted =
    poll && model.present.size > 0 && [...model.present.keys()].every((id) => poll.votes.has(id))
  if (allVoted) endPoll(model, poll, 'All attendees have voted, poll has completed.')
  if (model.state === 'finished' && model.present.size === 0) model.state = 'closed'
}

export function pollOf(model: Model): Poll | undefined {
  return model.polls.find((poll) => !poll.ended)
}

/** How many lines of the record a member's clients have seen. */
export function linesSeen(model: Model, who: number): number {
  const told = model.connections.filter((one) => one.who === who).flatMap((one) => one.told)
  const seen = told.map((one) =>
    one.type === 'message' ? one.line + 1 : one.type === 'messages' ? one.to : 0,
  )
  return Math.max(0, ...seen)
}

function enter(model: Model, who: number, has: number): void {
  const connection = model.connections.push({ who, told: [] }) - 1
  const person = model.people.get(who)!
  const refused = refusal(model, person)
  if (refused !== null) return tell(model, connection, { type: 'disconnect', text: refused })

  const before = model.present.get(who)
  if (before === undefined) tellAll(model, { type: 'adduser', who })
  else if (before !== null) tell(model, before, { type: 'disconnect', text: takenOver })
  model.present.set(who, connection)
  model.mayRejoin.add(who)

  const poll = pollOf(model)
  tell(model, connection, { type: 'users', who: [...model.present.keys()] }, status(model))
  tell(model, connection, { type: 'poll', poll: null, gathered: false })
  if (poll) {
    tell(model, connection, { type: 'poll', poll: sum(poll, person), gathered: false })
    // The sums of votes that were cast just before may still be under way to everyone.
    tell(model, connection, { type: 'poll', poll: sum(poll, person), gathered: true })
  }
  tell(model, connection, {
    type: 'messages',
    from: Math.min(has, model.lines.length),
    to: model.lines.length,
  })
  const proxy = person.proxy === null ? '' : ` (through proxy ${person.proxy})`
  const verb = model.attended.has(who) ? 're-joined' : 'joined'
  model.attended.add(who)
  if (before !== null) record(model, `Member ${person.name} ${verb} the meeting${proxy}`)
}

function refusal(model: Model, { id, known, admin }: Person): string | null {
  if (!known || model.banned.has(id)) return refusals.notAllowed
  if (model.state === 'closed') return refusals.over
  // Who is away has not left, so that his return is no entry.
  if (admin || model.present.get(id) === null) return null
  if (model.state === 'finished') return refusals.over
  return model.state === 'open' && !model.mayRejoin.has(id) ? refusals.inProgress : null
}

function depart(model: Model, who: number, line: string): void {
  model.present.delete(who)
  tellAll(model, { type: 'removeuser', who })
  record(model, line)
}

function command(model: Model, action: Command): void {
  const person = model.people.get(action.who)!
  const refuse = (text: string | null): void =>
    tell(model, model.present.get(person.id) ?? null, { type: 'error', text })
  switch (action.type) {
    case 'garble':
      return refuse(null)
    case 'say':
      return say(model, person, action.text, refuse)
    case 'vote':
      return vote(model, person, action, refuse)
    case 'open':
    case 'finish':
    case 'newpoll':
    case 'abortpoll':
    case 'kick':
      return person.admin ? conduct(model, person, action, refuse) : refuse('Permission denied')
  }
}

function conduct(model: Model, by: Person, action: AdminCommand, refuse: Refuse): void {
  const poll = pollOf(model)
  switch (action.type) {
    case 'open':
      if (model.state === 'open') return refuse('Meeting is already open')
      return open(model, by)
    case 'finish':
      if (model.state === 'finished') return refuse('Meeting is already finished')
      if (model.state === 'pending') return refuse('Meeting is not open')
      model.state = 'finished'
      tellAll(model, status(model))
      if (poll) endPoll(model, poll, 'Poll has completed')
      return record(model, 'This meeting is now finished')
    case 'newpoll':
      return newPoll(model, action, refuse)
    case 'abortpoll':
      return poll ? endPoll(model, poll, null) : refuse('There is no active poll')
    case 'kick': {
      const { user, canrejoin } = action
      if (typeof user !== 'number' || typeof canrejoin !== 'boolean' || user === by.id) return refuse(null)
      if (!model.present.has(user)) return refuse('User to kick not found')
      return kick(model, user, by, canrejoin)
    }
  }
}

type Refuse = (text: string | null) => void

function say(model: Model, { id }: Person, given: unknown, refuse: Refuse): void {
  if (typeof given !== 'string') return refuse(null)
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  const text = given.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '').trim()
  if (text === '') return
  if (text.length > 10_000) return refuse(null)
  const plain = (value: string): string => value.replace(/\s+/g, '').toLowerCase()
  if (marks.some((mark) => plain(mark) === plain(text)))
    return refuse('This text is reserved for the meeting record')
  record(model, text, id)
}

function vote(model: Model, { id, name }: Person, given: Command & { type: 'vote' }, refuse: Refuse): void {
  const { question, answer } = given
  if (typeof question !== 'string') return refuse(null)
  const poll = pollOf(model)
  if (!poll) return refuse('There is no active poll')
  if (fold(question) !== poll.question) return refuse('Vote for the wrong question received')
  const text = typeof answer === 'number' ? poll.answers[answer] : undefined
  if (text === undefined) return refuse('Invalid vote')
  const before = poll.votes.get(id)
  if (before === answer) return
  poll.votes.set(id, Number(answer))
  tellPoll(model, true)
  record(model, before === undefined ? `${name} voted ${text}` : `${name} changed their vote to ${text}`)
}

function open(model: Model, { name }: Person): void {
  const again = model.state === 'finished'
  model.state = 'open'
  tellAll(model, status(model))
  if (again) record(model, `This meeting is being re-opened by ${name}`)
  record(model, 'This meeting is now open')
  record(model, 'Anything sent from now on will be part of the permanent record')
}

function newPoll(model: Model, given: Command & { type: 'newpoll' }, refuse: Refuse): void {
  const isText = (value: unknown, limit: number): value is string =>
    typeof value === 'string' && fold(value) !== '' && fold(value).length <= limit
  if (!isText(given.question, 500) || !Array.isArray(given.answers)) return refuse(null)
  const question = fold(given.question)
  const answers = given.answers.filter((answer) => isText(answer, 200)).map(fold)
  const different = new Set(answers).size
  const minutes = Number.isInteger(given.minutes) ? Number(given.minutes) : 0
  if (answers.length !== given.answers.length || different !== answers.length) return refuse(null)
  if (different < 2 || different > 5 || minutes < 1 || minutes > 120) return refuse(null)

  if (model.state !== 'open') return refuse('Meeting is not open')
  if (pollOf(model)) return refuse('There is already an active poll')
  if (model.polls.some((poll) => poll.question === question))
    return refuse('This question was just asked, please word it differently or wait a moment')
  model.polls.push({ question, answers, votes: new Map(), ended: false })
  tellPoll(model, false)
  record(model, `A new poll has been posted for ${question}`)
}

/** `line` is null for a poll that was aborted, which tells no result. */
function endPoll(model: Model, poll: Poll, line: string | null): void {
  poll.ended = true
  tellPoll(model, false)
  record(model, line ?? 'The current poll has been aborted')
  if (line === null) return
  const counts = tally(poll)
  for (const [index, answer] of poll.answers.entries())
    record(model, `Answer "${answer}": ${counts[index]} ${counts[index] === 1 ? 'vote' : 'votes'}`)
}

function kick(model: Model, who: number, by: Person, canRejoin: boolean): void {
  tell(model, model.present.get(who) ?? null, { type: 'disconnect', text: kicked })
  if (!canRejoin) {
    model.banned.add(who)
    model.mayRejoin.delete(who)
  }
  depart(model, who, `User ${nameOf(model, who)} has been disconnected by ${by.name}`)
}

const nameOf = (model: Model, id: number): string => model.people.get(id)!.name
const fold = (text: string): string => text.replace(/\s+/g, ' ').trim()
const tally = ({ answers, votes }: Poll): number[] =>
  answers.map((_, index) => [...votes.values()].filter((vote) => vote === index).length)

function sum(poll: Poll, { admin }: Person): PollSum {
  const { question, answers, votes } = poll
  return { question, answers, tally: tally(poll), voted: admin ? [...votes.keys()] : null }
}

function status({ state }: Model): Told {
  return { type: 'status', isopen: state === 'open', isfinished: state === 'finished' }
}

/** Nobody is told where there is no connection. */
function tell(model: Model, connection: number | null, ...told: Told[]): void {
  if (connection !== null) model.connections[connection]!.told.push(...told)
}

function tellAll(model: Model, told: Told): void {
  for (const connection of model.present.values()) tell(model, connection, told)
}

function tellPoll(model: Model, gathered: boolean): void {
  const poll = pollOf(model)
  for (const [who, connection] of model.present)
    tell(model, connection, { type: 'poll', poll: poll ? sum(poll, model.people.get(who)!) : null, gathered })
}

function record(model: Model, text: string, from: number | null = null): void {
  tellAll(model, { type: 'message', line: model.lines.push({ from, text }) - 1 })
}
