import assert from 'node:assert/strict'
import type { Fellow, TestMeeting } from './database.ts'
import { join } from './meeting-client.ts'
import type { Member } from './meeting-client.ts'
import type { Plenum } from './server.ts'

/** Members who behave. They talk and vote, and everything must go on for them whatever others do. */
export class BehavedMembers {
  /** What the poll asks that was opened last. */
  question = 'Nothing so far?'
  readonly #people: { id: number; member: Member }[]
  readonly #said: string[] = []
  readonly #patienceMs: number

  private constructor(people: { id: number; member: Member }[], patienceMs: number) {
    this.#people = people
    this.#patienceMs = patienceMs
  }

  /** They enter an open meeting; the first one has to be its admin, and of two or more. */
  static async gather(
    plenum: Plenum,
    meeting: TestMeeting,
    fellows: readonly Fellow[],
    patienceMs = 5000,
  ): Promise<BehavedMembers> {
    const people = []
    for (const { id } of fellows)
      people.push({ id, member: await join(plenum, meeting.id, meeting.keys.get(id)) })
    for (const { member } of people) await member.next('messages')
    return new BehavedMembers(people, patienceMs)
  }

  /** Each says a line that all see, and all but the chair vote in a poll of the chair's. */
  async confer(): Promise<void> {
    const patience = this.#patienceMs
    for (const { member } of this.#people) {
      const text = `line ${this.#said.length}`
      this.#said.push(text)
      member.say(text)
      for (const listener of this.#people)
        await listener.member.next('message', ({ data }) => data.message === text, patience)
    }
    const [chair, ...voters] = this.#people
    if (!chair) throw new Error('nobody is here')
    this.question = `Question ${this.#said.length}?`
    chair.member.send({ type: 'newpoll', question: this.question, answers: ['yes', 'no'], minutes: 5 })
    for (const { id, member } of voters) {
      await member.next('poll', ({ data }) => data?.question === this.question, patience)
      member.send({ type: 'vote', question: this.question, vote: 0 })
      await chair.member.next('poll', ({ data }) => data?.voted?.includes(id) ?? false, patience)
    }
    chair.member.send({ type: 'abortpoll' })
    for (const { member } of this.#people) await member.next('poll', ({ data }) => data === null, patience)
  }

  /** Nobody was cut off, refused anything, or told anything twice, out of order or not at all. */
  assertUndisturbed(): void {
    for (const { id, member } of this.#people) {
      const who = `member ${id}`
      assert.equal(member.isClosed, false, `${who} was cut off`)
      const refusals = member.frames.filter(({ type }) => type === 'error' || type === 'disconnect')
      assert.deepEqual(refusals, [], who)
      for (const frame of member.frames)
        if (frame.type === 'status') assert.deepEqual(frame.data, { isopen: true, isfinished: false }, who)
      const lines = member.lines()
      for (const [index, { id }] of lines.entries())
        assert.ok(
          id > (lines[index - 1]?.id ?? 0),
          `${who} was told line ${id} after ${lines[index - 1]?.id}`,
        )
      const counts = new Map<string, number>()
      for (const { message } of lines) counts.set(message, (counts.get(message) ?? 0) + 1)
      // Those who came later have the first lines from their history.
      for (const text of this.#said) assert.equal(counts.get(text), 1, `${who} was told '${text}'`)
    }
  }
}
