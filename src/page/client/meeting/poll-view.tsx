import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { Cross, Down, Up } from '../kit/icons.tsx'
import { useNow, useTools } from './hooks.ts'
import type { Poll, Result } from './protocol.ts'
import { clockText, secondsLeft, sharesOf } from './results.ts'
import type { Texts } from './texts/texts.ts'

type PollViewProps = {
  poll: Poll
  /** By the page's steady clock. */
  endsAt: number
  own: number | null
  pending: number | null
  isConnected: boolean
  /** Whether the server has been asked several times in vain to take the vote. */
  isStuck: boolean
}

/** The poll under way, and the own vote in it. Choosing is one thing and voting another, so that no slip is a vote. */
export function PollView({ poll, endsAt, own, pending, isConnected, isStuck }: PollViewProps): JSX.Element {
  const { texts, session } = useTools()
  const [chosen, choose] = useState<number | null>(null)
  const [isSmall, setSmall] = useState(false)
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
      aria-labelledby="poll-question"
    >
      <div class="poll-head">
        <p class="eyebrow">{own === null ? texts.pollNow : texts.pollVoted}</p>
        <Countdown endsAt={endsAt} />
        <button
          type="button"
          class="bare"
          aria-expanded={!isSmall}
          aria-label={isSmall ? texts.larger : texts.smaller}
          onClick={() => setSmall(!isSmall)}
        >
          {isSmall ? <Down /> : <Up />}
        </button>
      </div>
      <h2 id="poll-question" class="question" dir="auto">
        {poll.question}
      </h2>
      {!isSmall && (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            vote()
          }}
        >
          <fieldset>
            <legend class="hidden">{poll.question}</legend>
            <div class="answers">
              {sharesOf(poll.answers, poll.tally).map(({ answer, votes, part }, index) => (
                <label key={index} class={`answer${index === current ? ' voted' : ''}`}>
                  <input
                    type="radio"
                    name={`poll-${poll.id}`}
                    checked={index === choice}
                    onChange={() => choose(index)}
                  />
                  <span class="answer-text" dir="auto">
                    {answer}
                  </span>{' '}
                  <span class="answer-votes">{texts.votes(votes)}</span>
                  <span class="share" style={{ transform: `scaleX(${part})` }} />
                </label>
              ))}
            </div>
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
  const all = tally.reduce((sum, votes) => sum + votes, 0)
  const parts = answers.map((answer, index) => texts.share(answer, tally[index] ?? 0))
  return `${texts.results(all, parts)} ${texts.endings[ending]}`
}

/** The result of the last poll: bars for the eye, numbers in words for everyone. */
export function ResultView({ result, onClose }: { result: Result; onClose: () => void }): JSX.Element {
  const { texts } = useTools()
  const { question, answers, tally } = result
  return (
    <section class="poll result" aria-labelledby="result-question">
      <div class="poll-head">
        <p class="eyebrow">{texts.result}</p>
        <button type="button" class="bare" aria-label={texts.closeResult} onClick={onClose}>
          <Cross />
        </button>
      </div>
      <h2 id="result-question" class="question" dir="auto">
        {question}
      </h2>
      {tally && (
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
      )}
      <p class="sentence">{resultSentence(result, texts)}</p>
    </section>
  )
}
