import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Bin, Down, Pen, Up } from '../kit/icons.tsx'
import { useKept, useTools } from './hooks.ts'
import { excess, faultOf, keep, move, remove, tidy } from './prepared.ts'
import type { Fault, Prepared, PreparedPolls } from './prepared.ts'
import type { Draft, Limits } from './protocol.ts'
import { randomId } from '../kit/id.ts'
import { isUnderWay, missingVoters } from './state.ts'
import type { State } from './state.ts'

/** What the chair wants to do that has no way back: it is asked first. */
export type Ask =
  | { type: 'open' }
  | { type: 'finish' }
  | { type: 'abort' }
  | { type: 'leave' }
  | { type: 'kick'; user: number; name: string }
  | { type: 'remove'; question: string; onYes: () => void }

type DeskProps = {
  state: State
  onAsk: (ask: Ask) => void
  /** A poll that could not be started, to be changed; `onTaken` says that it is being. */
  refused: Draft | null
  onTaken: () => void
}

/** The chair's desk. */
const hallAddress = `${location.pathname.replace(/\/+$/, '')}/hall`

export function DeskView({ state, onAsk, refused, onTaken }: DeskProps): JSX.Element {
  const { texts } = useTools()
  const { meeting, poll } = state
  const isConnected = state.phase.type === 'in'
  const meetingState = meeting?.state ?? 'pending'
  const missing = missingVoters(state)
  const canOpen = isConnected && !isUnderWay(state, 'open')
  const canFinish = isConnected && !isUnderWay(state, 'finish')
  return (
    <div class="desk">
      <section aria-labelledby="desk-meeting">
        <h3 id="desk-meeting">{texts.theMeeting}</h3>
        <p>
          <a class="link" href={hallAddress} target="_blank" rel="noopener">
            {texts.bigScreen}
          </a>
        </p>
        {meetingState === 'open' ? (
          <>
            <p class="hint">{texts.openMore}</p>
            <button
              type="button"
              aria-disabled={!canFinish}
              onClick={() => canFinish && onAsk({ type: 'finish' })}
            >
              {texts.finishIt}
            </button>
          </>
        ) : meetingState === 'closed' ? (
          <p class="hint">{texts.states.closed}</p>
        ) : (
          <>
            <p class="hint">{meetingState === 'pending' ? texts.pendingMore : texts.finishedMore}</p>
            <button
              type="button"
              class={meetingState === 'pending' ? 'main' : ''}
              aria-disabled={!canOpen}
              onClick={() => canOpen && onAsk({ type: 'open' })}
            >
              {meetingState === 'pending' ? texts.openIt : texts.reopenIt}
            </button>
          </>
        )}
      </section>
      {poll && (
        <section aria-labelledby="desk-poll">
          <h3 id="desk-poll">{texts.pollUnderWay}</h3>
          {missing && (
            <>
              <p>{texts.turnout(state.people.size - missing.length, state.people.size)}</p>
              {missing.length === 0 ? (
                <p class="hint">{texts.nobodyMissing}</p>
              ) : (
                <details open={missing.length <= 12}>
                  <summary>{texts.missing(missing.length)}</summary>
                  <ul class="missing">
                    {missing.map(({ id, name }) => (
                      <li key={id}>
                        <bdi>{name}</bdi>
                      </li>
                    ))}
                  </ul>
                </details>
              )}
            </>
          )}
          <button
            type="button"
            aria-disabled={!isConnected}
            onClick={() => isConnected && onAsk({ type: 'abort' })}
          >
            {texts.abortIt}
          </button>
        </section>
      )}
      <PollDesk state={state} onAsk={onAsk} refused={refused} onTaken={onTaken} />
    </div>
  )
}

function PollDesk({ state, onAsk, refused, onTaken }: DeskProps): JSX.Element {
  const { texts, session } = useTools()
  const [polls, keepPolls] = useKept<PreparedPolls>('prepared', [])
  const [edited, edit] = useState<Prepared | null>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (!refused) return
    const { question, answers, minutes } = refused
    const isSame = (poll: Prepared): boolean =>
      poll.question === question && poll.answers.join('\n') === answers.join('\n')
    const poll = { question, answers, minutes, id: polls.find(isSame)?.id ?? randomId(), held: false }
    keepPolls(keep(polls, poll))
    edit(poll)
    onTaken()
    requestAnimationFrame(() => document.getElementById('poll-form-question')?.focus())
  }, [refused])
  const canStart =
    state.phase.type === 'in' &&
    state.meeting?.state === 'open' &&
    !state.poll &&
    !isUnderWay(state, 'newpoll')
  const start = ({ question, answers, minutes }: Draft): void => {
    session.give({ type: 'newpoll', question, answers, minutes })
  }
  return (
    <>
      <section aria-labelledby="desk-prepared">
        <h3 id="desk-prepared" ref={heading} tabIndex={-1}>
          {texts.prepared}
        </h3>
        <p class="hint">{polls.length > 0 ? texts.preparedMore : texts.noPrepared}</p>
        <ol class="prepared">
          {polls.map((poll, index) => (
            <li key={poll.id} class={poll.held ? 'held' : ''}>
              <p class="prepared-question">
                <bdi>{poll.question}</bdi> {poll.held && <span class="tag">{texts.held}</span>}
              </p>
              <p class="hint">
                {texts.list(poll.answers)} · {texts.minutes(poll.minutes)}
              </p>
              <div class="row">
                <button
                  type="button"
                  class={poll.held ? '' : 'main'}
                  aria-disabled={!canStart}
                  aria-label={texts.startPoll(poll.question)}
                  onClick={() => {
                    if (!canStart) return
                    start(poll)
                    keepPolls(keep(polls, { ...poll, held: true }))
                  }}
                >
                  {texts.start}
                </button>
                <span class="tools">
                  <button
                    type="button"
                    class="bare"
                    aria-label={texts.up(poll.question)}
                    aria-disabled={index === 0}
                    onClick={() => keepPolls(move(polls, poll.id, -1))}
                  >
                    <Up />
                  </button>
                  <button
                    type="button"
                    class="bare"
                    aria-label={texts.down(poll.question)}
                    aria-disabled={index === polls.length - 1}
                    onClick={() => keepPolls(move(polls, poll.id, 1))}
                  >
                    <Down />
                  </button>
                  <button
                    type="button"
                    class="bare"
                    aria-label={texts.editPoll(poll.question)}
                    onClick={() => edit(poll)}
                  >
                    <Pen />
                  </button>
                  <button
                    type="button"
                    class="bare"
                    aria-label={texts.deletePoll(poll.question)}
                    onClick={() =>
                      onAsk({
                        type: 'remove',
                        question: poll.question,
                        onYes() {
                          keepPolls(remove(polls, poll.id))
                          heading.current?.focus()
                        },
                      })
                    }
                  >
                    <Bin />
                  </button>
                </span>
              </div>
            </li>
          ))}
        </ol>
        {!canStart && polls.length > 0 && <p class="hint">{texts.whyNoStart}</p>}
      </section>
      <PollForm
        key={edited?.id ?? 'new'}
        edited={edited}
        limits={state.limits}
        canStart={canStart}
        onKeep={(draft) => {
          keepPolls(keep(polls, { ...draft, id: edited?.id ?? randomId(), held: edited?.held ?? false }))
          edit(null)
        }}
        onStart={start}
        onCancel={() => edit(null)}
      />
    </>
  )
}

/** Says at its field that a text is too long, which is never cut: part of a question would be another question. */
function TooLong({ id, text, limit }: { id: string; text: string; limit: number }): JSX.Element {
  const { texts } = useTools()
  const over = excess(text, limit)
  return (
    <p id={id} class="fault" role="status">
      {over > 0 && texts.fieldTooLong(limit, over)}
    </p>
  )
}

type FormProps = {
  edited: Prepared | null
  limits: Limits
  canStart: boolean
  onKeep: (draft: Draft) => void
  onStart: (draft: Draft) => void
  onCancel: () => void
}

function PollForm({ edited, limits, canStart, onKeep, onStart, onCancel }: FormProps): JSX.Element {
  const { texts } = useTools()
  const [fresh, keepFresh] = useKept<Draft>('newPoll', {
    question: '',
    answers: texts.defaults,
    minutes: 5,
  })
  const [changed, setChanged] = useState<Draft | null>(edited)
  const draft = changed ?? fresh
  const [fault, setFault] = useState<Fault | null>(null)
  const question = useRef<HTMLInputElement>(null)
  const form = useRef<HTMLFormElement>(null)
  useEffect(() => {
    if (fault) form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus()
  }, [fault])
  const change = (next: Draft): void => {
    if (edited) setChanged(next)
    else keepFresh(next)
    setFault(null)
  }
  const take = (then: (draft: Draft) => void): void => {
    const tidied = tidy(draft)
    const found = faultOf(tidied, limits)
    setFault(found)
    if (found) return
    then(tidied)
    if (!edited) change({ ...draft, question: '' })
    question.current?.focus()
  }
  return (
    <section aria-labelledby="desk-new">
      <h3 id="desk-new">{edited ? texts.changePoll : texts.newPoll}</h3>
      <form
        class="poll-form"
        ref={form}
        onSubmit={(event) => {
          event.preventDefault()
          take(onKeep)
        }}
      >
        <label for="poll-form-question">{texts.question}</label>
        <input
          id="poll-form-question"
          ref={question}
          value={draft.question}
          autocomplete="off"
          aria-invalid={fault === 'question' || excess(draft.question, limits.question) > 0}
          aria-describedby="poll-form-long poll-form-fault"
          onInput={({ currentTarget }) => change({ ...draft, question: currentTarget.value })}
        />
        <TooLong id="poll-form-long" text={draft.question} limit={limits.question} />
        {Array.from({ length: limits.answers }, (_, index) => (
          <div key={index} class="field">
            <label for={`poll-form-${index}`}>
              {texts.answer(index + 1)} {index > 1 && <span class="hint">({texts.optional})</span>}
            </label>
            <input
              id={`poll-form-${index}`}
              value={draft.answers[index] ?? ''}
              autocomplete="off"
              aria-invalid={
                (index < 2 && (fault === 'answers' || fault === 'equal')) ||
                excess(draft.answers[index] ?? '', limits.answer) > 0
              }
              aria-describedby={`poll-form-long-${index} poll-form-fault`}
              onInput={({ currentTarget }) => {
                const answers = Array.from({ length: limits.answers }, (_, at) => draft.answers[at] ?? '')
                change({ ...draft, answers: answers.with(index, currentTarget.value) })
              }}
            />
            <TooLong id={`poll-form-long-${index}`} text={draft.answers[index] ?? ''} limit={limits.answer} />
          </div>
        ))}
        <label for="poll-form-minutes">{texts.minutesLabel}</label>
        <input
          id="poll-form-minutes"
          class="short"
          type="number"
          min={1}
          max={limits.minutes}
          value={draft.minutes}
          aria-invalid={fault === 'minutes'}
          aria-describedby="poll-form-fault"
          onInput={({ currentTarget }) => change({ ...draft, minutes: currentTarget.valueAsNumber || 0 })}
        />
        <p id="poll-form-fault" class="fault" role="alert">
          {fault === 'minutes' ? texts.faults.minutes(limits.minutes) : fault && texts.faults[fault]}
        </p>
        <div class="row">
          <button>{edited ? texts.keepChanges : texts.keep}</button>
          {edited ? (
            <button type="button" onClick={onCancel}>
              {texts.cancel}
            </button>
          ) : (
            <button
              type="button"
              aria-disabled={!canStart}
              onClick={() => {
                if (canStart) take(onStart)
              }}
            >
              {texts.start}
            </button>
          )}
        </div>
      </form>
    </section>
  )
}
