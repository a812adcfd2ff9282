import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { attendeeOf, credentialOf, meetingOf } from '../../../test/support/view.ts'
import { isRejection } from '../../hub/rejection.ts'
import { endConnections, join, refusal } from './attendance.ts'
import { authorise, type Command, decide, remember, say, vote } from './commands.ts'
import { factsOf } from './committed.ts'
import { due, nextDue } from './due.ts'
import type { Change, Fact, Write } from './facts.ts'
import { followSite, type SiteState } from './site.ts'
import { apply, isDone, type Meeting, type MeetingState } from './view.ts'

/** What members, the site, the network and time do to a meeting. */
type Deed =
  | { do: 'join'; who: number }
  | { do: 'end'; who: number; how: 'left' | 'lost' }
  | { do: 'command'; who: number; command: Command; id: string | null }
  | { do: 'wait'; ms: number }
  /** The site, or the command line, changes its tables. */
  | {
      do: 'site'
      change: 'state' | 'admin' | 'ban' | 'key' | 'rejoin' | 'name'
      who: number
      state: MeetingState
    }
  /** The site is asked. What it says is followed after the next deed, or after several. */
  | { do: 'ask' }
  | { do: 'follow' }

const people = [1, 2, 3, 4, 5]
const graceMs = 1000
const closeAfterMs = 5000
const states = ['pending', 'open', 'finished', 'closed'] as const

/** The tables of the site and ours, as far as a meeting's rules can see them: what commits do to them. */
class Tables {
  state: MeetingState = 'pending'
  name = 'Assembly'
  readonly admins = new Set([1, 2])
  readonly banned = new Set<number>()
  readonly keys = new Map(
    people.map((id) => [
      id,
      { key: `key of ${id}`, name: attendeeOf(id).name, allowRejoin: false, proxyName: null },
    ]),
  )
  readonly present = new Set<number>()
  /** By poll: who voted what, and how often it ended. */
  readonly polls: { votes: Map<number, number>; endings: number }[] = []
  lines = 0

  commit(write: Write): Exclude<Parameters<typeof factsOf>[2], null> {
    if (write.state) {
      assert.equal(write.state.from, this.state, 'a state is written that was decided on another one')
      this.state = write.state.to
    }
    for (const id of write.attend ?? []) {
      this.present.add(id)
      this.row(id).allowRejoin = true
    }
    for (const id of write.depart ?? []) {
      assert.ok(this.present.delete(id), `${id} departs without having been there`)
    }
    if (write.ban) {
      this.banned.add(write.ban.member)
      this.row(write.ban.member).allowRejoin = false
    }
    if (write.votes) {
      const poll = this.polls[write.votes.poll]
      assert.ok(poll && poll.endings === 0, 'a vote for a poll that has ended')
      const members = write.votes.cast.map(({ member }) => member)
      assert.equal(new Set(members).size, members.length, 'a member votes twice in one write')
      for (const { member, answer } of write.votes.cast) {
        assert.ok(this.present.has(member), 'a vote of somebody who is not there')
        poll.votes.set(member, answer)
      }
    }
    if (write.endPoll) {
      const poll = this.polls[write.endPoll.id]
      assert.ok(poll && poll.endings === 0, 'a poll ends twice')
      poll.endings++
    }
    const lines = write.lines.map(({ text }) => {
      const id = ++this.lines
      return { id, t: `2026-03-14 19:00:00.${id}`, time: '19:00:00', date: '2026-03-14', message: text }
    })
    if (!write.openPoll) return { lines, poll: null }
    assert.ok(this.state === 'open' && this.polls.every(({ endings }) => endings === 1), 'two polls at once')
    const id = this.polls.push({ votes: new Map(), endings: 0 }) - 1
    return { lines, poll: { id, endsInMs: write.openPoll.minutes * 60_000 } }
  }

  row(id: number): { key: string; name: string; allowRejoin: boolean } {
    const row = this.keys.get(id)
    assert.ok(row)
    return row
  }

  /** What the site says now. */
  read(): SiteState {
    return {
      name: this.name,
      state: this.state,
      admins: new Set(this.admins),
      banned: new Set(this.banned),
      keys: new Map(
        [...this.keys].filter(([id]) => this.present.has(id)).map(([id, row]) => [id, structuredClone(row)]),
      ),
    }
  }
}

/** A meeting in which things are done one after the other, each committed before its facts are applied. */
class Play {
  readonly tables = new Tables()
  readonly view: Meeting = meetingOf({ state: 'pending', attendees: [], revision: 0 })
  /** Another view, which hears of facts only, as they are after a way through JSON, and has a clock of its own. */
  readonly replica: Meeting = structuredClone(this.view)
  now = 0
  /** How far that clock is ahead. */
  readonly ahead = 1_234_567
  #subscribers = 0
  #asked: { site: SiteState; asOf: number } | null = null

  step(deed: Deed): void {
    switch (deed.do) {
      case 'join':
        return this.#join(deed.who)
      case 'end':
        return this.#end(deed.who, deed.how)
      case 'command':
        return this.#command(deed.who, deed.command, deed.id)
      case 'wait':
        this.now += deed.ms
        return
      case 'site':
        return this.#change(deed)
      case 'ask':
        this.#asked = { site: this.tables.read(), asOf: this.view.revision }
        return
      case 'follow':
        if (this.#asked) this.follow(this.#asked.site, this.#asked.asOf)
        this.#asked = null
        return
    }
  }

  follow(site: SiteState, asOf: number): void {
    const { state, stateRevision, banRevision } = this.view
    const banned = new Set(this.view.banned)
    const newcomers = [...this.view.attendees.values()].filter(({ revision }) => revision > asOf)
    const change = followSite(this.view, site, asOf)
    if (change) this.#carryOut(change)
    // What has changed since the site was asked is as it was.
    if (stateRevision > asOf) assert.equal(this.view.state, state)
    if (banRevision > asOf) assert.deepEqual(this.view.banned, banned)
    for (const { id } of newcomers)
      assert.ok(this.view.attendees.has(id), `${id} is shown out by an old look`)
  }

  /** Does what is due by itself, until there is nothing. */
  settle(): void {
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < 10, 'there is always something due')
      const all = { of: <One>(attendees: readonly One[]) => attendees }
      const next = due(this.view, this.now, new Map(), all, closeAfterMs)
      if (!next) break
      // The site may have written another state, of which we have not heard: that is a conflict, and read anew.
      const { state } = next.change.write
      if (state && state.from !== this.tables.state) this.#believe(this.tables.state)
      else this.#carryOut(next.change)
    }
    const at = nextDue(this.view, new Map(), closeAfterMs)
    assert.ok(at === null || at > this.now, 'something is due, and nothing of it is done')
  }

  check(): void {
    const { attendees, departed, banned, poll } = this.view
    for (const id of attendees.keys()) {
      assert.ok(!departed.has(id), `${id} is here and has departed`)
      assert.ok(!banned.has(id), `${id} is banned, and inside`)
    }
    assert.deepEqual(new Set(attendees.keys()), this.tables.present)
    if (poll) {
      assert.equal(this.view.state, 'open')
      const isMissing = [...attendees.keys()].some((id) => !poll.votes.has(id))
      assert.ok(isMissing || attendees.size === 0, 'everyone has voted, and the poll goes on')
      assert.deepEqual(poll.votes, this.tables.polls[poll.id]?.votes)
    }
    assert.equal(this.view.lastLine.id, this.tables.lines)
    assert.deepEqual(this.replica, byClock(this.view, this.ahead))
  }

  #join(who: number): void {
    const { tables, view } = this
    const row = tables.keys.get(who)
    const { key = '', name = '', allowRejoin = false } = row ?? {}
    const credential = credentialOf(attendeeOf(who), {
      key,
      name,
      allowRejoin,
      admin: tables.admins.has(who),
      banned: tables.banned.has(who),
      state: tables.state,
    })
    if (refusal(credential, view, null)) return
    assert.ok(!tables.banned.has(who) && tables.state !== 'closed')
    this.#carryOut(join(view, [{ credential, subscriber: ++this.#subscribers, remote: '' }]))
  }

  #end(who: number, how: 'left' | 'lost'): void {
    const attendee = this.view.attendees.get(who)
    if (attendee?.presence.type === 'here') this.#carryOut(endConnections([{ attendee, how }], graceMs))
  }

  #command(who: number, command: Command, id: string | null): void {
    const by = this.view.attendees.get(who)
    if (by?.presence.type !== 'here') return
    const name = id === null ? null : { member: who, id }
    if (name && isDone(this.view, name)) return
    const denied = authorise(by, command)
    if (denied) return assert.equal(by.admin, false)
    const outcome = this.#decide(command, who)
    if (isRejection(outcome)) return
    // The site may have changed the state: the commit would fail.
    if (outcome.write.state && outcome.write.state.from !== this.tables.state)
      return this.#believe(this.tables.state)
    if (outcome.write.openPoll && this.tables.state !== 'open') return this.#believe(this.tables.state)
    this.#carryOut(remember(outcome, name ? [name] : []))
    if (name) assert.ok(isDone(this.view, name))
  }

  #decide(command: Command, who: number) {
    const { view, now } = this
    const by = view.attendees.get(who)
    assert.ok(by)
    if (command.type === 'say') return say(view, [{ by: who, text: command.text }])
    if (command.type !== 'vote') return decide(view, by, command, now)
    const { answers, change } = vote(view, [{ ...command, by: who }], now)
    return answers[0] ?? change
  }

  #change({ change, who, state }: Deed & { do: 'site' }): void {
    const { tables } = this
    const row = tables.keys.get(who)
    if (change === 'state') tables.state = state
    if (change === 'name' && row) tables.keys.set(who, { ...row, name: `${row.name}’` })
    if (change === 'key' && row) tables.keys.set(who, { ...row, key: `${row.key}’` })
    if (change === 'rejoin' && row) tables.keys.set(who, { ...row, allowRejoin: !row.allowRejoin })
    if (change === 'admin' && !tables.admins.delete(who)) tables.admins.add(who)
    if (change === 'ban' && !tables.banned.delete(who)) tables.banned.add(who)
  }

  #believe(state: MeetingState): void {
    this.#apply([{ type: 'stateChanged', state }])
  }

  #carryOut(change: Change): void {
    const poll = this.view.poll
    const committed = this.tables.commit(change.write)
    this.#apply(factsOf(this.view, change, committed))
    const { result } = this.view
    if (!change.write.endPoll) return
    assert.equal(this.view.poll, null)
    assert.equal(result?.id, poll?.id)
    // Counted from what was written.
    const votes = [...(this.tables.polls[result?.id ?? -1]?.votes.values() ?? [])]
    const expected = poll?.answers.map((_, index) => votes.filter((answer) => answer === index).length)
    assert.deepEqual(result?.tally, change.write.endPoll.ending === 'aborted' ? null : expected)
  }

  #apply(facts: readonly Fact[]): void {
    for (const fact of facts) {
      const before = this.view.revision
      apply(this.view, fact, this.now)
      assert.ok(this.view.revision >= before, 'the revision falls')
      apply(this.replica, throughJson(fact), this.now + this.ahead)
    }
  }
}

/** The fact as another process would get it: plain data, of which nothing is lost on the way. */
function throughJson(fact: Fact): Fact {
  const copy = JSON.parse(JSON.stringify(fact)) as Fact
  assert.deepEqual(copy, fact)
  return copy
}

/** The view as it is where the clock is so many milliseconds ahead. */
function byClock(meeting: Meeting, ahead: number): Meeting {
  const view = structuredClone(meeting)
  for (const { presence } of view.attendees.values()) if (presence.type === 'away') presence.until += ahead
  for (const one of view.departed.values()) if (one.lostAt !== null) one.lostAt += ahead
  if (view.poll) view.poll.endsAt += ahead
  for (const times of [view.endedPolls, view.done]) for (const [key, at] of times) times.set(key, at + ahead)
  return view
}

const who = fc.constantFrom(...people)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom<Command>(
      { type: 'open' },
      { type: 'finish' },
      { type: 'abortPoll' },
      { type: 'say', text: 'Good evening' },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('newPoll' as const),
      draft: fc.record({
        question: fc.constantFrom('Q', 'Q', 'Q', 'R'),
        answers: fc.constant<string[]>(['Yes', 'No', 'Perhaps']),
        minutes: fc.constantFrom(1, 2),
      }),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      type: fc.constant('vote' as const),
      question: fc.constantFrom('Q', 'Q', 'Q', 'R'),
      poll: fc.constant(null),
      answer: fc.constantFrom<(number | null)[]>(0, 1, 2, 3, null),
    }),
  },
  fc.record({
    type: fc.constant('kick' as const),
    target: fc.record({ member: who, canRejoin: fc.boolean() }),
  }),
)
const id = fc.constantFrom(null, 'a', 'b')
const change = fc.constantFrom('state', 'admin', 'ban', 'key', 'rejoin', 'name')
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('join' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('end' as const), who, how: fc.constantFrom('left', 'lost') }),
  },
  { weight: 20, arbitrary: fc.record({ do: fc.constant('command' as const), who, command, id }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 999, 1000, 10_000, 61_000, 3_600_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('site' as const),
      change,
      who,
      state: fc.constantFrom('open', ...states),
    }),
  },
  { weight: 2, arbitrary: fc.constant<Deed>({ do: 'ask' }) },
  { weight: 2, arbitrary: fc.constant<Deed>({ do: 'follow' }) },
)

test('whatever several members do, and the site, and time: the rules of a meeting hold', () => {
  const seen = { polls: 0, ended: 0, votes: 0, bans: 0, states: new Set<string>() }
  fc.assert(
    fc.property(fc.array(deed, { minLength: 30, maxLength: 60, size: 'max' }), (deeds) => {
      const play = new Play()
      // Most of it happens in an open meeting of several people.
      const begin: Deed[] = [1, 3, 4].map((who) => ({ do: 'join', who }))
      const draft = { question: 'Q', answers: ['Yes', 'No', 'Perhaps'], minutes: 2 }
      for (const command of [{ type: 'open' }, { type: 'newPoll', draft }] as const)
        begin.push({ do: 'command', who: 1, command, id: null })
      for (const deed of [...begin, ...deeds]) {
        play.step(deed)
        play.settle()
        play.check()
        seen.states.add(play.view.state)
      }
      // In the end the view says what the site says, and asked again it has nothing to add.
      play.follow(play.tables.read(), play.view.revision)
      play.settle()
      play.check()
      assert.equal(followSite(play.view, play.tables.read(), play.view.revision), null)
      assert.deepEqual([play.view.state, play.view.banned], [play.tables.state, play.tables.banned])
      seen.polls += play.tables.polls.length
      seen.ended += play.tables.polls.filter(({ endings }) => endings === 1).length
      seen.votes += play.tables.polls.reduce((sum, { votes }) => sum + votes.size, 0)
      seen.bans += play.tables.banned.size
    }),
    { numRuns: 600 },
  )
  // It has to come to all that.
  assert.ok(seen.polls > 500 && seen.ended > 250 && seen.votes > 250 && seen.bans > 50, JSON.stringify(seen))
  assert.deepEqual([...seen.states].sort(), [...states].sort())
})
