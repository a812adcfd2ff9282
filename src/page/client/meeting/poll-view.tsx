import type { JSX, RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Cross, Down, Up } from '../kit/icons.tsx'
import { useFocusAfter, useKey, useNow, useTools } from './hooks.ts'
import type { Poll, Result } from './protocol.ts'
import { clockText, secondsLeft, sharesOf, sumOf } from './results.ts'
import type { Texts } from './texts/texts.ts'

type PollViewProps = {
  poll: Poll
  /** By the page's steady clock. */
  endsAt: number
  own: number | null
  pending: number | null
  /** Whether the running sums are shown before one has voted. */
  showsSums: boolean
  isConnected: boolean
  /** Whether the server has been asked several times in vain to take the vote. */
  isStuck: boolean
}

/** Answers longer than that, or more of them, stand below each other. */
const shortAnswer = 20
const fewAnswers = 3
/** A longer question is written smaller. */
const shortQuestion = 80
/** Leads to the ballot from wherever the focus is. */
export const ballotKey = 'F8'

/** The poll under way, and the own vote in it. Choosing is one thing and voting another, so that no slip is a vote. */
export function PollView(props: PollViewProps): JSX.Element {
  const { poll, endsAt, own, pending, isConnected, isStuck } = props
  const { texts, session } = useTools()
  const [chosen, choose] = useState<number | null>(null)
  const section = useRef<HTMLElement>(null)
  const { isSmall, setSmall } = useFolding(section, own !== null && pending === null)
  useFocusAfter(section, () => document.getElementById('result-question'))
  useKey(ballotKey, () => {
    setSmall(false)
    requestAnimationFrame(() =>
      (
        section.current?.querySelector<HTMLElement>('input:checked') ??
        section.current?.querySelector('input')
      )?.focus(),
    )
  })
  const current = pending ?? own
  const choice = chosen ?? current
  const canVote = choice !== null && choice !== current
  const answerOf = (index: number): string => poll.answers[index] ?? ''
  const words =
    pending !== null
      ? isConnected
        ? isStuck
          ? texts.voteStuck
          : texts.voteSending
        : texts.voteWaits
      : own !== null
        ? texts.votedFor(answerOf(own))
        : ''
  const vote = (): void => {
    if (canVote) session.give({ type: 'vote', poll: poll.id, question: poll.question, vote: choice })
  }
  return (
    <section
      class={`poll${own === null ? ' asks' : ''}${isSmall ? ' small' : ''}`}
      aria-labelledby="poll-eyebrow"
      ref={section}
    >
      <div class="poll-head">
        <p class="eyebrow" id="poll-eyebrow">
          {own === null ? texts.pollNow : texts.pollVoted}
        </p>
        <Countdown endsAt={endsAt} />
        <FoldButton isSmall={isSmall} names={[texts.smaller, texts.larger]} onFold={setSmall} />
      </div>
      <h2 class={questionClass(poll.question)} dir="auto">
        {poll.question}
      </h2>
      {!isSmall && own === null && <p class="hint">{texts.openVote}</p>}
      {!isSmall && (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            vote()
          }}
        >
          <fieldset>
            <legend class="hidden">{texts.yourVote}</legend>
            <Answers
              poll={poll}
              current={current}
              choice={choice}
              showsSums={props.showsSums || own !== null}
              onChoose={choose}
            />
          </fieldset>
          <div class="row">
            <button class="main" aria-disabled={!canVote}>
              {choice === null
                ? texts.chooseFirst
                : choice === own && pending === null
                  ? texts.voted(answerOf(choice))
                  : own === null
                    ? texts.castVote(answerOf(choice))
                    : texts.changeVote(answerOf(choice))}
            </button>
          </div>
        </form>
      )}
      <p class="own-vote" role="status">
        {words}
      </p>
    </section>
  )
}

/** The ballot folds by itself once the vote is stored, and takes the focus along that was on what it folds. */
function useFolding(
  section: RefObject<HTMLElement | null>,
  isDone: boolean,
): { isSmall: boolean; setSmall: (isSmall: boolean) => void } {
  const [isSmall, setSmall] = useState(isDone)
  const wasDone = useRef(isDone)
  useLayoutEffect(() => {
    if (!isDone || wasDone.current) {
      wasDone.current = isDone
      return
    }
    wasDone.current = true
    const { current } = section
    const form = current?.querySelector('form')
    if (form?.contains(document.activeElement)) current?.querySelector<HTMLElement>('.fold')?.focus()
    setSmall(true)
  }, [isDone])
  return { isSmall, setSmall }
}

type AnswersProps = {
  poll: Poll
  current: number | null
  choice: number | null
  showsSums: boolean
  onChoose: (index: number) => void
}

function Answers({ poll, current, choice, showsSums, onChoose }: AnswersProps): JSX.Element {
  const { texts } = useTools()
  const { answers } = poll
  const isInRows = answers.length > fewAnswers || answers.some(({ length }) => length > shortAnswer)
  return (
    <div class={isInRows ? 'answers rows' : 'answers'}>
      {sharesOf(answers, poll.tally).map(({ answer, votes, part }, index) => (
        <label key={index} class={`answer${index === current ? ' voted' : ''}`}>
          <input
            type="radio"
            name={`poll-${poll.id}`}
            checked={index === choice}
            onChange={() => onChoose(index)}
          />
          <span class="answer-text" dir="auto">
            {answer}
          </span>{' '}
          {showsSums && (
            <>
              <span class="answer-votes">{texts.votes(votes)}</span>
              <span class="share" style={{ transform: `scaleX(${part})` }} />
            </>
          )}
        </label>
      ))}
    </div>
  )
}

type FoldProps = {
  isSmall: boolean
  /** What the button does: while all is shown, and while it is folded. */
  names: readonly [fold: string, unfold: string]
  onFold: (isSmall: boolean) => void
}

function FoldButton({ isSmall, names: [fold, unfold], onFold }: FoldProps): JSX.Element {
  return (
    <button
      type="button"
      class="bare fold"
      aria-expanded={!isSmall}
      aria-label={isSmall ? unfold : fold}
      onClick={() => onFold(!isSmall)}
    >
      {isSmall ? <Down /> : <Up />}
    </button>
  )
}

const questionClass = (question: string): string =>
  question.length > shortQuestion ? 'question long' : 'question'

function Countdown({ endsAt }: { endsAt: number }): JSX.Element {
  const { texts } = useTools()
  const left = secondsLeft(endsAt, useNow(250))
  return (
    <p class={`countdown${left <= 15 ? ' urgent' : ''}`} role="timer" aria-label={texts.timeLeft}>
      {left === 0 ? <span class="time-up">{texts.timeUp}</span> : clockText(left)}
    </p>
  )
}

/** How a poll ended, in one sentence. */
export function resultSentence({ answers, tally, ending }: Result, texts: Texts): string {
  if (!tally) return texts.endings.aborted
  const all = sumOf(tally)
  const parts = answers.map((answer, index) => texts.share(answer, tally[index] ?? 0))
  return `${texts.results(all, parts)} ${texts.endings[ending]}`
}

/** Who leads, and how many of those who were there have voted. */
function verdictOf({ answers, tally, present }: Result, texts: Texts): string {
  if (!tally) return texts.endings.aborted
  const all = sumOf(tally)
  const most = Math.max(...tally)
  if (all === 0) return texts.results(0, [])
  const leading = answers.filter((_, index) => tally[index] === most)
  const [first = ''] = leading
  const verdict = leading.length === 1 ? texts.leads(first, most, all) : texts.leadTogether(leading, most)
  return present === undefined ? verdict : `${verdict} ${texts.turnoutWas(all, Math.max(all, present))}`
}

/** So long a result is shown whole, unless somebody speaks before. */
const shownMs = 20_000

type ResultViewProps = {
  result: Result
  /** The id of the last line that somebody has said: it folds when there is another. */
  spoken: number
  onClose: () => void
}

/** The result of the last poll: who leads in words, then bars for the eye with their numbers. */
export function ResultView({ result, spoken, onClose }: ResultViewProps): JSX.Element {
  const { texts } = useTools()
  const { question, answers, tally, ending } = result
  const [isSmall, setSmall] = useState(false)
  const spokenBefore = useRef(spoken)
  useEffect(() => {
    if (spoken !== spokenBefore.current) setSmall(true)
  }, [spoken])
  useEffect(() => {
    const timer = setTimeout(() => setSmall(true), shownMs)
    return () => clearTimeout(timer)
  }, [])
  return (
    <section class={`poll result${isSmall ? ' small' : ''}`} aria-labelledby="result-eyebrow">
      <div class="poll-head">
        <p class="eyebrow" id="result-eyebrow">
          {texts.result}
        </p>
        <FoldButton isSmall={isSmall} names={[texts.smallerResult, texts.largerResult]} onFold={setSmall} />
        <button type="button" class="bare" aria-label={texts.closeResult} onClick={onClose}>
          <Cross />
        </button>
      </div>
      <h2 id="result-question" class={questionClass(question)} dir="auto" tabIndex={-1}>
        {question}
      </h2>
      <p class="verdict">{verdictOf(result, texts)}</p>
      {!isSmall && tally && (
        <>
          <ul class="bars">
            {sharesOf(answers, tally).map(({ answer, votes, part }, index) => (
              <li key={index}>
                <span class="answer-text" dir="auto">
                  {answer}
                </span>{' '}
                <span class="answer-votes">
                  {texts.votes(votes)} · {texts.percent(part)}
                </span>
                <span class="bar" aria-hidden="true">
                  <span style={{ width: `${part * 100}%` }} />
                </span>
              </li>
            ))}
          </ul>
          <p class="sentence">{texts.endings[ending]}</p>
        </>
      )}
    </section>
  )
}
