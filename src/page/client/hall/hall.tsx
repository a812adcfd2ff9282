import type { JSX, RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { AssociationName, Logo } from '../kit/brand.tsx'
import { wallNow } from '../kit/clock.ts'
import { Mark } from '../kit/icons.tsx'
import { Announcer } from '../meeting/announcer.tsx'
import { useNow, useTools } from '../meeting/hooks.ts'
import { elsewhereCode, kickedForGoodCode } from '../meeting/protocol.ts'
import type { Meeting, Poll, Result } from '../meeting/protocol.ts'
import { clockText, secondsLeft, sharesOf, sumOf } from '../meeting/results.ts'
import type { Phase } from '../meeting/state.ts'
import { goneWords } from '../meeting/words.ts'
import type { HallTexts } from './texts.ts'

/** A meeting for all who are in a hall: what is asked, the time, how many have voted, and the result. Nobody's name. */
export function Hall({ words }: { words: HallTexts }): JSX.Element {
  const { texts, session } = useTools()
  const [state, set] = useState(session.state)
  useEffect(() => {
    session.watch(set)
    set(session.state)
  }, [])
  const { phase, meeting, poll, pollEndsAt, result, here } = state
  const stage = useRef<HTMLElement>(null)
  useFit(stage, [phase.type, meeting, poll?.id, result?.id])
  const isOver = phase.type === 'ended'
  // What was decided stays to be read, until the next question.
  const last = poll ? null : result
  const votes = poll?.tally ?? last?.tally ?? null
  return (
    <div class="hall">
      <header>
        <Logo otherwise={<Mark />} />
        <div class="title">
          <AssociationName />
          <h1 dir="auto">{meeting?.name ?? texts.meeting}</h1>
        </div>
        <FullScreen label={words.fullScreen} />
        <TimeOfDay />
      </header>
      <main ref={stage} class={poll ? 'asks' : ''}>
        {isOver ? (
          <Over phase={phase} words={words} />
        ) : !meeting || !state.wasIn ? (
          <p class="standing" role="status">
            {state.isOriginRefused
              ? texts.originRefused(location.origin)
              : phase.type === 'waiting'
                ? texts.unreached
                : texts.connecting}
          </p>
        ) : poll ? (
          <Question poll={poll} eyebrow={words.poll} />
        ) : last ? (
          <Outcome result={last} />
        ) : (
          <Standing meeting={meeting} words={words} />
        )}
      </main>
      {!isOver && state.wasIn && (
        <footer>
          {poll && <TimeLeft endsAt={pollEndsAt} label={words.left} />}
          {votes && <Figure value={sumOf(votes)} label={words.cast} />}
          <Figure value={here} label={words.present} />
          {last && meeting && <p class="note">{words.standing[meeting.state]}</p>}
        </footer>
      )}
      {!isOver && state.wasIn && phase.type !== 'in' && (
        <p class="lost" role="status">
          {words.lost}
        </p>
      )}
      <Announcer readsLines={false} />
    </div>
  )
}

function Question({ poll, eyebrow }: { poll: Poll; eyebrow: string }): JSX.Element {
  return (
    <section aria-labelledby="question">
      <p class="eyebrow">{eyebrow}</p>
      <Asked question={poll.question} />
      <ul class="answers">
        {poll.answers.map((answer) => (
          <li key={answer} dir="auto">
            {answer}
          </li>
        ))}
      </ul>
    </section>
  )
}

const longQuestion = 120

const Asked = ({ question }: { question: string }): JSX.Element => (
  <h2 id="question" class={question.length > longQuestion ? 'long' : ''} dir="auto">
    {question}
  </h2>
)

function Outcome({ result }: { result: Result }): JSX.Element {
  const { texts } = useTools()
  const { question, answers, tally, ending } = result
  const most = Math.max(...(tally ?? []))
  return (
    <section aria-labelledby="question">
      <p class="eyebrow">{texts.result}</p>
      <Asked question={question} />
      {tally && (
        <ul class="shares">
          {sharesOf(answers, tally).map(({ answer, votes, part }) => (
            <li key={answer} class={votes > 0 && votes === most ? 'most' : ''}>
              <span class="answer" dir="auto">
                {answer}
              </span>{' '}
              <span class="votes">
                <b>{texts.number(votes)}</b> {sumOf(tally) > 0 && <span>{texts.percent(part)}</span>}
              </span>
              <span class="bar">
                <span style={{ transform: `scaleX(${part})` }} />
              </span>
            </li>
          ))}
        </ul>
      )}
      <p class="ending">{texts.endings[ending]}</p>
    </section>
  )
}

function Standing({ meeting, words }: { meeting: Meeting; words: HallTexts }): JSX.Element {
  return (
    <p class="standing" role="status">
      {words.standing[meeting.state]}
    </p>
  )
}

/** Why nothing more is shown. */
function Over({ phase, words }: { phase: Phase & { type: 'ended' }; words: HallTexts }): JSX.Element {
  const { texts } = useTools()
  const refusedCode = 4500
  const own: Record<number, readonly [string, string]> = {
    [refusedCode]: [words.refused, words.refusedMore],
    [kickedForGoodCode]: [words.refused, ''],
    [elsewhereCode]: [words.taken, words.takenMore],
  }
  const [title, more] = own[phase.code] ?? goneWords(phase.code, texts) ?? [texts.refusal(phase.text), '']
  return (
    <section role="alert">
      <h2 class="standing">{title}</h2>
      {more !== '' && <p class="ending">{more}</p>}
    </section>
  )
}

function Figure({ value, label }: { value: number; label: (n: number) => string }): JSX.Element {
  const { texts } = useTools()
  return (
    <p class="figure">
      <b>{texts.number(value)}</b> <span>{label(value)}</span>
    </p>
  )
}

function TimeLeft({ endsAt, label }: { endsAt: number; label: string }): JSX.Element {
  const { texts } = useTools()
  const left = secondsLeft(endsAt, useNow(250))
  return (
    <p class={`figure${left <= 15 ? ' urgent' : ''}`} role="timer" aria-label={texts.timeLeft}>
      <b>{clockText(left)}</b> <span>{label}</span>
    </p>
  )
}

function TimeOfDay(): JSX.Element {
  const { language } = useTools()
  useNow(1000)
  const format = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit' })
  return <p class="clock">{format.format(wallNow())}</p>
}

/** Nothing else on the page can be pressed; it is gone once the page fills the screen. */
function FullScreen({ label }: { label: string }): JSX.Element | null {
  const [isFull, set] = useState(false)
  useEffect(() => {
    const change = (): void => set(document.fullscreenElement !== null)
    document.addEventListener('fullscreenchange', change)
    return () => document.removeEventListener('fullscreenchange', change)
  }, [])
  if (isFull || !document.fullscreenEnabled) return null
  const fill = (): void => void document.documentElement.requestFullscreen().catch(() => undefined)
  return (
    <button type="button" onClick={fill}>
      {label}
    </button>
  )
}

/** In percent. */
const smallest = 40
const step = 2

/** Makes the texts of an element as much smaller as it takes for all of them to be seen, each time that `what` changes. */
function useFit(element: RefObject<HTMLElement | null>, what: readonly unknown[]): void {
  const fit = (): void => {
    const { current } = element
    if (!current) return
    for (let scale = 100; scale >= smallest; scale -= step) {
      current.style.setProperty('--fit', String(scale / 100))
      if (current.scrollHeight <= current.clientHeight && current.scrollWidth <= current.clientWidth) return
    }
  }
  useLayoutEffect(fit, what)
  useEffect(() => {
    window.addEventListener('resize', fit)
    return () => window.removeEventListener('resize', fit)
  }, [])
}
