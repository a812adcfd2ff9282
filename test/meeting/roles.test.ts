import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { newKey } from '../../demo/association.ts'
import { createDatabase } from '../support/database.ts'
import { farewell, gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { join } from '../support/meeting-client.ts'
import type { Frame, Member } from '../support/meeting-client.ts'
import { startPlenum } from '../support/server.ts'

const db = await createDatabase()
const plenum = await startPlenum({
  database: db.url,
  grace: 5,
  poll: 0.3,
  // Each stranger comes from an address of his own: who fails often is kept waiting.
  flags: ['-rate', '0', '-behindproxy'],
})
after(async () => {
  await plenum.stop()
  await db.drop()
})

const states = ['pending', 'open', 'polling', 'finished', 'closed'] as const
type State = (typeof states)[number]
type Command = 'message' | 'vote' | 'open' | 'finish' | 'newpoll' | 'abortpoll' | 'kick'
/** `stranger`: not admitted. `kicked`: an admin whom another one has removed, so that it is not his role that counts. */
type Role = 'stranger' | 'kicked' | 'member' | 'admin'

// Everyone's place in each meeting.
const chair = 0
const admin = 1
const member = 2
const bystander = 3
const target = 4
const barred = 5
const size = 6

const question = 'Accept the report?'
const answers = ['Yes', 'No']
const commands: Record<Command, (meeting: MeetingFixture) => object> = {
  message: () => ({ type: 'message', message: 'Good evening' }),
  vote: () => ({ type: 'vote', question, vote: 0 }),
  open: () => ({ type: 'open' }),
  finish: () => ({ type: 'finish' }),
  newpoll: () => ({ type: 'newpoll', question, answers, minutes: 10 }),
  abortpoll: () => ({ type: 'abortpoll' }),
  kick: (meeting) => ({ type: 'kick', user: meeting.user(target), canrejoin: false }),
}

/** What is stored of a meeting. */
type Stored = {
  state: number
  record: [sender: number | null, text: string][]
  /** The ending of each poll; null while it is under way. */
  polls: (string | null)[]
  votes: [member: number, answer: number][]
  bans: number[]
  present: number[]
}

/** What a command does: what it changes in what is stored, and what a bystander who is no admin sees beside the lines. */
type Effect = {
  lines: (meeting: MeetingFixture, sender: number) => [sender: number | null, text: string][]
  stored?: (meeting: MeetingFixture, sender: number) => Partial<Omit<Stored, 'record' | 'present'>>
  leaves?: number
  seen: (meeting: MeetingFixture) => Frame[]
}

const status = (isopen: boolean, isfinished: boolean): Frame => ({
  type: 'status',
  data: { isopen, isfinished },
})
const poll = (...tally: number[]): Frame => ({
  type: 'poll',
  data: { question, answers, tally, voted: null },
})
const noPoll: Frame = { type: 'poll', data: null }
const system = (...texts: string[]): [null, string][] => texts.map((text) => [null, text])
const openLines = [
  'This meeting is now open',
  'Anything sent from now on will be part of the permanent record',
]
const finishedLine = 'This meeting is now finished'

/** What it does when `sender` kicks `who` without return. */
const kicking = (who: number): Effect => ({
  lines: (meeting, sender) =>
    system(`User ${meeting.name(who)} has been disconnected by ${meeting.name(sender)}`),
  stored: (meeting) => ({ bans: [meeting.user(who)] }),
  leaves: who,
  seen: (meeting) => [
    {
      type: 'removeuser',
      data: { name: meeting.name(who), color: String(meeting.keyId(who) % 10), id: meeting.user(who) },
    },
  ],
})

const effects = new Map<string, Effect>([
  ['is said', { lines: (meeting, sender) => [[meeting.user(sender), 'Good evening']], seen: () => [] }],
  [
    'is counted',
    {
      lines: (meeting, sender) => system(`${meeting.name(sender)} voted Yes`),
      stored: (meeting, sender) => ({ votes: [[meeting.user(sender), 0]] }),
      seen: () => [poll(1, 0)],
    },
  ],
  [
    'opens',
    { lines: () => system(...openLines), stored: () => ({ state: 1 }), seen: () => [status(true, false)] },
  ],
  [
    're-opens',
    {
      lines: (meeting, sender) =>
        system(`This meeting is being re-opened by ${meeting.name(sender)}`, ...openLines),
      stored: () => ({ state: 1 }),
      seen: () => [status(true, false)],
    },
  ],
  [
    'finishes',
    { lines: () => system(finishedLine), stored: () => ({ state: 2 }), seen: () => [status(false, true)] },
  ],
  [
    'finishes poll and meeting',
    {
      lines: () =>
        system('Poll has completed', 'Answer "Yes": 0 votes', 'Answer "No": 0 votes', finishedLine),
      stored: () => ({ state: 2, polls: ['finished'] }),
      seen: () => [noPoll, status(false, true)],
    },
  ],
  [
    'is posted',
    {
      lines: () => system(`A new poll has been posted for ${question}`),
      stored: () => ({ polls: [null] }),
      seen: () => [poll(0, 0)],
    },
  ],
  [
    'aborts',
    {
      lines: () => system('The current poll has been aborted'),
      stored: () => ({ polls: ['aborted'] }),
      seen: () => [noPoll],
    },
  ],
  ['removes', kicking(target)],
])

// A cell names an effect or gives the error that its sender gets; `nothing`: there is not even that.
const nothing = null
const denied = 'Permission denied'
const closed = 'This meeting is closed'
const noActivePoll = 'There is no active poll'
const notOpen = 'Meeting is not open'
type Cell = string | null

const dropped: Cell[] = [nothing, nothing, nothing, nothing, nothing]
const allDenied: Cell[] = [denied, denied, denied, denied, denied]
const table: Record<Command, Record<Role, Cell[]>> = {
  //          pending, open, polling, finished, closed
  message: {
    stranger: dropped,
    kicked: dropped,
    member: ['is said', 'is said', 'is said', 'is said', closed],
    admin: ['is said', 'is said', 'is said', 'is said', closed],
  },
  vote: {
    stranger: dropped,
    kicked: dropped,
    member: [noActivePoll, noActivePoll, 'is counted', noActivePoll, noActivePoll],
    admin: [noActivePoll, noActivePoll, 'is counted', noActivePoll, noActivePoll],
  },
  open: {
    stranger: dropped,
    kicked: dropped,
    member: allDenied,
    admin: ['opens', 'Meeting is already open', 'Meeting is already open', 're-opens', closed],
  },
  finish: {
    stranger: dropped,
    kicked: dropped,
    member: allDenied,
    admin: [notOpen, 'finishes', 'finishes poll and meeting', 'Meeting is already finished', closed],
  },
  newpoll: {
    stranger: dropped,
    kicked: dropped,
    member: allDenied,
    admin: [notOpen, 'is posted', 'There is already an active poll', notOpen, closed],
  },
  abortpoll: {
    stranger: dropped,
    kicked: dropped,
    member: allDenied,
    admin: [noActivePoll, noActivePoll, 'aborts', noActivePoll, closed],
  },
  kick: {
    stranger: dropped,
    kicked: dropped,
    member: allDenied,
    admin: ['removes', 'removes', 'removes', 'removes', closed],
  },
}

/** A meeting in this state with everyone in it but the barred one. */
async function scene(state: State): Promise<{ meeting: MeetingFixture; pages: Member[] }> {
  const meeting = await gather(db.sql, plenum, size, { admins: 2, state: state === 'pending' ? 0 : 1 })
  await db.sql`
    update membership_membermeetingkey set allowrejoin = true
    where meeting_id = ${meeting.id} and member_id <> ${meeting.user(barred)}`
  const pages: Member[] = await meeting.enterAll(chair, admin, member, bystander, target)
  const [first] = pages
  if (state === 'polling') {
    first?.send(commands.newpoll(meeting))
    for (const page of pages) await page.next('poll', ({ data }) => data !== null)
  } else if (state === 'finished') {
    first?.send({ type: 'finish' })
    for (const page of pages) await page.next('status', ({ data }) => data.isfinished)
  }
  return { meeting, pages }
}

/** A server closes a meeting only after all have left. Here it is the site that does. */
async function close(meeting: MeetingFixture, pages: Member[]): Promise<void> {
  await db.sql`update membership_meeting set state = 3 where id = ${meeting.id}`
  for (const page of pages) await page.next('status', ({ data }) => !data.isopen && !data.isfinished)
}

const isFence = (text: string): boolean => text.startsWith('fence ')

/** Resolves when all that has been sent before is done and told. */
async function fence(page: Member, state: State): Promise<void> {
  const mark = `fence ${randomUUID()}`
  page.say(mark)
  if (state === 'closed') await page.next('error', ({ msg }) => msg === closed)
  else await page.line(mark)
}

/** What a page was told since it had `from` frames, without what fences brought. */
function toldSince(page: Member, from: number, fences: number, state: State): Frame[] {
  const frames = page.frames.slice(from)
  if (state === 'closed') frames.splice(frames.length - fences)
  return frames.filter((frame) => frame.type !== 'message' || !isFence(frame.data.message))
}

async function readStored(meeting: MeetingFixture): Promise<Stored> {
  const [row] = await db.sql<Stored[]>`
    select m.state,
      array(select member_id from plenum.ban where meeting_id = m.id order by 1) bans,
      array(select member_id from plenum.attendance where meeting_id = m.id and left_at is null order by 1) present,
      (select coalesce(json_agg(ending order by id), '[]') from plenum.poll where meeting_id = m.id) polls,
      (select coalesce(json_agg(json_build_array(v.member_id, v.answer)), '[]')
        from plenum.vote v join plenum.poll p on p.id = v.poll_id where p.meeting_id = m.id) votes
    from membership_meeting m where m.id = ${meeting.id}`
  assert.ok(row)
  const record = (await meeting.record()).filter(({ text }) => !isFence(text))
  return { ...row, record: record.map(({ sender, text }) => [sender, text]) }
}

let strangers = 0
const ownAddress = (): Record<string, string> => {
  strangers++
  return { 'x-forwarded-for': `10.0.${strangers >> 8}.${strangers & 255}` }
}

/** Who is not admitted in this state, and what he is told. */
function strangerIn(state: State, meeting: MeetingFixture): { key: string; told: string } {
  switch (state) {
    case 'pending':
      return { key: newKey(), told: 'You are not allowed to enter this meeting' }
    case 'open':
    case 'polling':
      return {
        key: meeting.key(barred),
        told: 'This meeting is already in progress and can no longer be joined.',
      }
    case 'finished':
    case 'closed':
      // Not even an admin who is in by another connection may enter a closed meeting.
      return {
        key: meeting.key(state === 'closed' ? chair : barred),
        told: 'This meeting is already finished and can no longer be joined.',
      }
  }
}

/** Sends a command as the first thing after the upgrade, and gives the words with which the connection ends. */
async function intrude(meeting: MeetingFixture, key: string, command: object): Promise<string> {
  const intruder = await join(plenum, meeting.id, key, { headers: ownAddress() })
  intruder.send(command)
  const text = await farewell(intruder)
  assert.deepEqual(
    intruder.frames.map(({ type }) => type),
    ['disconnect'],
  )
  return text
}

/** Has the chair kick the admin, whose command comes while the kick is on its way to the disk. */
async function kickInMid(meeting: MeetingFixture, pages: Member[], command: object | null): Promise<void> {
  const [first, second] = pages
  assert.ok(first && second)
  const held = await holdTransaction(
    db.url,
    (tx) => tx`
      select from plenum.attendance where meeting_id = ${meeting.id} and member_id = ${meeting.user(admin)} for update`,
  )
  first.send({ type: 'kick', user: meeting.user(admin), canrejoin: false })
  await held.waitedFor()
  if (command) second.send(command)
  await second.caughtUp()
  await held.rollback()
  assert.equal(await farewell(second), 'You have been forcibly disconnected from this meeting')
}

/** Does what the cell is about and gives what it is to bring. */
async function act(
  role: Role,
  state: State,
  { meeting, pages }: { meeting: MeetingFixture; pages: Member[] },
  command: object,
  cell: Cell,
): Promise<{ effect: Effect | null; sender: number }> {
  if (role === 'stranger') {
    const { key, told } = strangerIn(state, meeting)
    assert.equal(await intrude(meeting, key, command), told)
    return { effect: null, sender: -1 }
  }
  if (role === 'kicked') {
    if (state !== 'closed') await kickInMid(meeting, pages, command)
    const told = await intrude(meeting, meeting.key(admin), command)
    assert.equal(told, 'You are not allowed to enter this meeting')
    return { effect: state === 'closed' ? null : kicking(admin), sender: chair }
  }
  const sender = role === 'admin' ? admin : member
  const page = pages[sender]
  assert.ok(page)
  const from = page.frames.length
  const effect = effects.get(cell ?? '') ?? null
  page.send(command)
  if (!effect) await page.next('error')
  await fence(page, state)
  const errors = toldSince(page, from, 1, state).flatMap((frame) =>
    frame.type === 'error' ? [frame.msg] : [],
  )
  assert.deepEqual(errors, effect ? [] : [cell])
  return { effect, sender }
}

suite('what each role may do in each state of a meeting', { concurrency: 8 }, () => {
  for (const [command, roles] of Object.entries(table) as [Command, (typeof table)[Command]][])
    for (const [role, cells] of Object.entries(roles) as [Role, Cell[]][])
      for (const [index, state] of states.entries()) {
        const cell = cells[index] ?? nothing
        const outcome = cell ?? (role === 'kicked' && state !== 'closed' ? 'nothing but the kick' : 'nothing')
        test(`${command}, ${role}, ${state}: ${outcome}`, async () => {
          const { meeting, pages } = await scene(state)
          if (state === 'closed') {
            if (role === 'kicked') await kickInMid(meeting, pages, null)
            await close(
              meeting,
              pages.filter(({ isClosed }) => !isClosed),
            )
          }
          const watcher = pages[bystander]
          assert.ok(watcher)
          await fence(watcher, state)
          const before = await readStored(meeting)
          const from = watcher.frames.length
          const inBefore = pages.map(({ isClosed }) => !isClosed)

          const { effect, sender } = await act(
            role,
            state,
            { meeting, pages },
            commands[command](meeting),
            cell,
          )
          // The sum of a vote comes up to a tenth of a second later.
          if (state === 'polling') await wait(150)
          await fence(watcher, state)

          const told = toldSince(watcher, from, 1, state)
          const lines = told.flatMap((frame) => (frame.type === 'message' ? [frame.data] : []))
          const newLines = effect?.lines(meeting, sender) ?? []
          assert.deepEqual(
            lines.map(({ from, message }) => [from === -1 ? null : from, message]),
            newLines,
            'the lines that a bystander sees',
          )
          assert.deepEqual(
            told.filter(({ type }) => type !== 'message'),
            effect?.seen(meeting) ?? [],
            'what else he sees',
          )
          const gone = effect?.leaves
          assert.deepEqual(await readStored(meeting), {
            ...before,
            ...effect?.stored?.(meeting, sender),
            record: [...before.record, ...newLines],
            present: before.present.filter((id) => gone === undefined || id !== meeting.user(gone)),
          })
          assert.deepEqual(
            pages.map(({ isClosed }) => !isClosed),
            inBefore.map((isIn, seat) => isIn && seat !== gone),
            'who is connected',
          )
        })
      }

  test('a member who gets an admin command wrong is told no more than that he may not', async () => {
    const meeting = await gather(db.sql, plenum, 2)
    const [first, second] = await meeting.enterAll(0, 1)
    const before = await readStored(meeting)
    for (const wrong of [
      { type: 'newpoll' },
      { type: 'newpoll', question, answers: [], minutes: 0 },
      { type: 'kick' },
      { type: 'kick', user: 'all', canrejoin: 1 },
      { type: 'kick', user: -1, canrejoin: true },
    ]) {
      second.send(wrong)
      assert.equal((await second.next('error')).msg, denied, JSON.stringify(wrong))
    }
    await settle(second, first)
    assert.deepEqual((await readStored(meeting)).bans, before.bans)
  })

  test('what comes from one who waits for a refusal is never done', async () => {
    const meeting = await gather(db.sql, plenum, size, { state: 1 })
    await db.sql`
      update membership_membermeetingkey set allowrejoin = true
      where meeting_id = ${meeting.id} and member_id <> ${meeting.user(barred)}`
    const pages = await meeting.enterAll(chair, bystander)
    const [first, watcher] = pages
    first.send(commands.newpoll(meeting))
    await watcher.next('poll', ({ data }) => data !== null)
    await fence(watcher, 'open')
    const before = await readStored(meeting)
    const from = watcher.frames.length
    const headers = ownAddress()
    const knock = (): Promise<Member> => join(plenum, meeting.id, meeting.key(barred), { headers })
    // From the eleventh refusal of a minute on they come a second late.
    for (const early of await Promise.all(Array.from({ length: 10 }, knock))) await farewell(early)
    // On a busy machine the second may be over before the commands have come: then it is tried again.
    let isInTime = false
    for (let tries = 0; !isInTime && tries < 10; tries++) {
      const last = await knock()
      for (const command of Object.values(commands)) last.send(command(meeting))
      await last.caughtUp()
      isInTime = !last.isClosed
      await farewell(last)
    }
    assert.ok(isInTime, 'the commands have come before the refusal')
    await fence(watcher, 'open')
    assert.deepEqual(toldSince(watcher, from, 1, 'open'), [])
    assert.deepEqual(await readStored(meeting), before)
  })
})
