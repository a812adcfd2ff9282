import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Bin, Down, Pen, Up } from '../kit/icons.tsx'
import { useFocusAfter, useKept, useTools } from './hooks.ts'
import { excess, faultOf, holdOf, isSame, keep, move, remove, tidy } from './prepared.ts'
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
      {poll && <PollUnderWay state={state} onAsk={onAsk} />}
      <PollDesk state={state} onAsk={onAsk} refused={refused} onTaken={onTaken} />
    </div>
  )
}

function PollUnderWay({ state, onAsk }: Pick<DeskProps, 'state' | 'onAsk'>): JSX.Element {
  const { texts } = useTools()
  const section = useRef<HTMLElement>(null)
  useFocusAfter(section, () => document.getElementById('desk-prepared'))
  const isConnected = state.phase.type === 'in'
  const missing = missingVoters(state)
  return (
    <section aria-labelledby="desk-poll" ref={section}>
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
    const known = polls.find((poll) => isSame(poll, refused))
    const poll = { question, answers, minutes, id: known?.id ?? randomId(), held: false }
    keepPolls(keep(polls, poll))
    edit(poll)
    onTaken()
    requestAnimationFrame(() => document.getElementById('poll-form-question')?.focus())
  }, [refused])
  // What was aborted is still to be held.
  useEffect(() => {
    if (state.result?.tally) keepPolls(holdOf(polls, state.result))
  }, [state.result?.id])
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

type FieldFaultProps = { id: string; text: string; limit: number; fault: string | null }

/**
 * Says at its field what is wrong with it. A text that is too long is never cut: part of a question would be another
 * question.
 */
function FieldFault({ id, text, limit, fault }: FieldFaultProps): JSX.Element {
  const { texts } = useTools()
  const over = excess(text, limit)
  return (
    <p id={id} class="fault" role="status">
      {over > 0 ? texts.fieldTooLong(limit, over) : fault}
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
  const empty: Draft = { question: '', answers: texts.defaults, minutes: 5 }
  const [fresh, keepFresh] = useKept<Draft>('newPoll', empty)
  const [last, keepLast] = useKept<string[]>('lastAnswers', texts.defaults)
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
    const found = faultOf(draft, limits)
    setFault(found)
    if (found) return
    then(tidied)
    keepLast(tidied.answers)
    // The next question hardly has the same answers: one who forgets to change them asks something else.
    if (!edited) change({ ...empty, minutes: draft.minutes })
    question.current?.focus()
  }
  const canRepeat =
    last.join('\n') !== draft.answers.join('\n') && last.join('\n') !== texts.defaults.join('\n')
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
          aria-invalid={fault?.type === 'question' || excess(draft.question, limits.question) > 0}
          aria-describedby="poll-form-question-fault"
          onInput={({ currentTarget }) => change({ ...draft, question: currentTarget.value })}
        />
        <FieldFault
          id="poll-form-question-fault"
          text={draft.question}
          limit={limits.question}
          fault={fault?.type === 'question' ? texts.faults.question : null}
        />
        <AnswerFields draft={draft} limits={limits} fault={fault} onChange={change} />
        {!edited && canRepeat && (
          <button type="button" class="link" onClick={() => change({ ...draft, answers: last })}>
            {texts.sameAnswers(last)}
          </button>
        )}
        <label for="poll-form-minutes">{texts.minutesLabel}</label>
        <input
          id="poll-form-minutes"
          class="short"
          type="number"
          min={1}
          max={limits.minutes}
          value={draft.minutes}
          aria-invalid={fault?.type === 'minutes'}
          aria-describedby="poll-form-minutes-fault"
          onInput={({ currentTarget }) => change({ ...draft, minutes: currentTarget.valueAsNumber || 0 })}
        />
        <p id="poll-form-minutes-fault" class="fault" role="status">
          {fault?.type === 'minutes' && texts.faults.minutes(limits.minutes)}
        </p>
        {!edited && (
          <p id="poll-form-start" class="hint">
            {texts.startMore}
          </p>
        )}
        <div class="row">
          {!edited && (
            <button
              type="button"
              class="main"
              aria-disabled={!canStart}
              aria-describedby="poll-form-start"
              onClick={() => {
                if (canStart) take(onStart)
              }}
            >
              {texts.start}
            </button>
          )}
          <button>{edited ? texts.keepChanges : texts.keep}</button>
          {edited && (
            <button type="button" onClick={onCancel}>
              {texts.cancel}
            </button>
          )}
        </div>
      </form>
    </section>
  )
}

type AnswerFieldsProps = {
  draft: Draft
  limits: Limits
  fault: Fault | null
  onChange: (draft: Draft) => void
}

/** So many fields for answers are there at first. */
const firstFields = 3

function AnswerFields({ draft, limits, fault, onChange }: AnswerFieldsProps): JSX.Element {
  const { texts } = useTools()
  const { answers } = draft
  const [added, setAdded] = useState(0)
  const shown = Math.min(limits.answers, Math.max(firstFields, answers.length) + added)
  const faultAt = (index: number): string | null =>
    (fault?.type === 'answers' || fault?.type === 'equal') && fault.index === index
      ? texts.faults[fault.type]
      : null
  return (
    <>
      {Array.from({ length: shown }, (_, index) => (
        <div key={index} class="field">
          <label for={`poll-form-${index}`}>
            {texts.answer(index + 1)} {index > 1 && <span class="hint">({texts.optional})</span>}
          </label>
          <input
            id={`poll-form-${index}`}
            value={answers[index] ?? ''}
            autocomplete="off"
            aria-invalid={faultAt(index) !== null || excess(answers[index] ?? '', limits.answer) > 0}
            aria-describedby={`poll-form-fault-${index}`}
            onInput={({ currentTarget }) => {
              const all = Array.from(
                { length: Math.max(answers.length, index + 1) },
                (_, at) => answers[at] ?? '',
              )
              setAdded(shown - Math.max(firstFields, all.length))
              onChange({ ...draft, answers: all.with(index, currentTarget.value) })
            }}
          />
          <FieldFault
            id={`poll-form-fault-${index}`}
            text={answers[index] ?? ''}
            limit={limits.answer}
            fault={faultAt(index)}
          />
        </div>
      ))}
      {shown < limits.answers && (
        <button
          type="button"
          class="link"
          onClick={() => {
            setAdded(added + 1)
            requestAnimationFrame(() => document.getElementById(`poll-form-${shown}`)?.focus())
          }}
        >
          {texts.addAnswer}
        </button>
      )}
    </>
  )
}
