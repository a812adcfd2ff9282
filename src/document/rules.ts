/** What a document is asked to do, and what is decided about it: pure, nothing is stored or sent here. */
import type { Decision } from '../hub/room-rules.ts'
import { Draft, type Permissions } from './draft.ts'
import {
  appendTypes,
  type Command,
  type Fault,
  fault,
  type Key,
  type TooLong,
  tooLongFault,
} from './protocol.ts'
import type { Fact, Refusal, View } from './view.ts'

/** Somebody in the document, as their commands need them. */
export type Sender = {
  /** What they may do at the time. */
  readonly permissions: Permissions
  /** A command that costs so much is done or dropped. */
  answered: (cost: number) => void
}

/** `cost`: the memory that it takes while it waits, in bytes. */
export type CommandJob = Readonly<{
  type: 'command'
  subscriber: number
  sender: Sender
  command: Command | TooLong
  cost: number
}>

/** Who has gone takes some keys along. */
export type LeaveJob = Readonly<{ type: 'leave'; subscriber: number }>

export type Job = CommandJob | LeaveJob

/** What is to become durable, all of it or nothing: `data` behind the document's end, and keys. */
export type Write = Readonly<{
  appends: number
  data: Buffer
  keys: readonly Key[]
  /** How much more the document counts for the quota, if it does. */
  quotaBytes: number
}>

export type Answer =
  /** What waited for the command is given back. */
  | Readonly<{ type: 'answered'; job: CommandJob }>
  /** There are more keys to be taken away. */
  | Readonly<{ type: 'leaving'; subscriber: number }>

/** What the rules take from the settings, and `left`, what may be added until the quota is full. */
export type Limits = Readonly<{ maxSize: number; maxTotal: number; left: number }>

export type DocumentDecision = Decision<Write, Fact, Answer>

const maxAtOnce = 250
const maxKeysAtOnce = 1000
const costOfKey = 1024
const maxCostAtOnce = 1024 * 1024

/** How many jobs at the front can share a commit. */
export const batch = (jobs: readonly Job[]): number => Math.min(jobs.length, maxAtOnce)

/** Decides about jobs that share a commit, or about as many of the first ones as may for what they cost. */
export function decide(view: View, run: readonly Job[], limits: Limits): DocumentDecision {
  const draft = new Draft(view, limits)
  const answers: Answer[] = []
  let [taken, cost] = [0, 0]
  for (const job of run) {
    if (cost > maxCostAtOnce) break
    taken++
    if (job.type === 'command') {
      decideCommand(draft, job, limits)
      answers.push({ type: 'answered', job })
      cost += job.cost
    } else {
      const { count, more } = draft.leave(job.subscriber, maxKeysAtOnce)
      if (more) answers.push({ type: 'leaving', subscriber: job.subscriber })
      cost += count * costOfKey
    }
  }
  return { taken, write: writeOf(draft), facts: draft.facts, answers, regardless: null }
}

function writeOf(draft: Draft): Write | null {
  const parts = draft.facts.flatMap((fact) => (fact.type === 'appended' ? [fact.data] : []))
  const keys = draft.storedKeys()
  if (parts.length === 0 && keys.length === 0) return null
  const [first] = parts
  const data = first && parts.length === 1 ? first : Buffer.concat(parts)
  return { appends: parts.length, data, keys, quotaBytes: draft.quotaBytes }
}

function decideCommand(draft: Draft, { subscriber, sender, command }: CommandJob, limits: Limits): void {
  const { permissions } = sender
  const refuse = (refusal: Refusal): void =>
    void draft.facts.push({ type: 'refused', to: subscriber, refusal })
  const refuseAppend = (result: 'refused' | 'notPermitted', fault: Fault | null): void =>
    refuse({ fault, answer: { type: 'append', result, length: draft.length } })
  switch (command.type) {
    case 'append': {
      const outcome = draft.append(command, permissions, subscriber)
      if (outcome === 'tooLong') refuseAppend('refused', tooLargeFault(limits.maxSize))
      else if (outcome === 'full') refuseAppend('refused', fullFault(limits.maxTotal))
      else if (outcome !== 'accepted') refuseAppend(outcome, null)
      return
    }
    case 'setKey': {
      const outcome = draft.setKey(command, permissions, subscriber)
      if (outcome === 'set') return
      const fault = outcome === 'full' ? fullFault(limits.maxTotal) : null
      return refuse({ fault, answer: { type: 'setKey', request: command.request } })
    }
    case 'broadcast':
      draft.facts.push({ type: 'broadcast', by: subscriber, data: command.data })
      return
    case 'tooLong': {
      const fault = tooLongFault(command.limit)
      if (appendTypes.has(command.kind)) refuseAppend('refused', fault)
      else refuse({ fault, answer: null })
    }
  }
}

/** Of commands that the database refuses for good, by this fault, while the document is so long. */
export function refusedBy(jobs: readonly Job[], fault: Fault, length: number): Fact[] {
  return jobs.flatMap((job): Fact[] => {
    if (job.type !== 'command') return []
    const { command, subscriber: to } = job
    const answer: Refusal['answer'] =
      command.type === 'append'
        ? { type: 'append', result: 'notPermitted', length }
        : command.type === 'setKey'
          ? { type: 'setKey', request: command.request }
          : null
    return [{ type: 'refused', to, refusal: { fault, answer } }]
  })
}

export const tooLargeFault = (maxSize: number): Fault =>
  fault(`a document of more than ${maxSize} bytes is not taken`)

/** It is no use to try again: somebody has to delete documents, or to raise the quota. */
export const fullFault = (maxTotal: number): Fault =>
  fault(
    `documents that were made without a token or JWT have ${maxTotal} bytes at most in all: no more is taken`,
  )
