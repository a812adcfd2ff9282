import type { ComponentChildren, JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { translate } from '../../../meeting/record/system-lines.ts'
import { wallNow } from '../kit/clock.ts'
import { useFollowing } from '../kit/follow.ts'
import { findLinks } from '../kit/links.ts'
import { memo } from '../kit/memo.ts'
import { colorClass, useTools } from './hooks.ts'
import { comingsOf, runsOf } from './log.ts'
import type { Chunk, Log, LogLine } from './log.ts'
import type { Texts } from './texts/texts.ts'

/** So many are named of those who came in. */
const maxNames = 2

type LogViewProps = {
  log: Log
  seen: number | null
  unseen: number
  /** The id of the reader. */
  you: number | null
  /** How often the reader has said something here: that goes to the end, where it is seen. */
  said: number
  children: ComponentChildren
}

/** What was said, in pieces that a browser need not lay out before they are scrolled to. */
export function LogView({ log, seen, unseen, you, said, children }: LogViewProps): JSX.Element {
  const { texts, session, language } = useTools()
  const lookAgain = (): void =>
    session.look(follows() && document.visibilityState === 'visible' && document.hasFocus())
  const { box, content, isAtEnd, follows, scrolled, toEnd } = useFollowing(said, lookAgain)
  useEffect(() => {
    for (const event of ['focus', 'blur']) window.addEventListener(event, lookAgain)
    document.addEventListener('visibilitychange', lookAgain)
    return () => {
      for (const event of ['focus', 'blur']) window.removeEventListener(event, lookAgain)
      document.removeEventListener('visibilitychange', lookAgain)
    }
  }, [])

  const today = format(wallNow(), language, wholeDay)
  const markIn =
    seen !== null && seen < log.last
      ? log.chunks.find(({ lines }) => (lines.at(-1)?.id ?? 0) > seen)?.key
      : undefined
  return (
    <div class="scroll">
      <div
        class="log"
        role="log"
        aria-live="off"
        aria-label={texts.log}
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by keyboard
        tabIndex={0}
        ref={box}
        onScroll={scrolled}
      >
        <div ref={content}>
          {log.count === 0 && <p class="empty">{texts.empty}</p>}
          {log.chunks.map((chunk) => (
            <ChunkView
              key={chunk.key}
              chunk={chunk}
              markAfter={chunk.key === markIn ? seen : null}
              you={you}
              today={today}
              isPast={chunk.key < (log.chunks.at(-2)?.key ?? 0)}
            />
          ))}
          {children}
        </div>
      </div>
      {!isAtEnd && (
        <button
          type="button"
          class="to-end"
          onClick={() => {
            toEnd()
            box.current?.focus({ preventScroll: true })
          }}
        >
          {texts.toEnd(unseen)} ↓
        </button>
      )}
    </div>
  )
}

type ChunkProps = {
  chunk: Chunk
  markAfter: number | null
  you: number | null
  isPast: boolean
  /** Which day it is: at midnight the headings of days change. */
  today: string
}

const ChunkView = memo(function ChunkView({ chunk, markAfter, you, isPast, today }: ChunkProps): JSX.Element {
  const { texts, language } = useTools()
  const marked = markAfter === null ? undefined : chunk.lines.find(({ id }) => id > markAfter)
  return (
    <div class={isPast ? 'chunk past' : 'chunk'}>
      {runsOf(chunk.lines, marked).map((run) => {
        const lines = run.lines.map((line) => (
          <LineView
            key={line.id}
            line={line}
            isMarked={line === marked}
            isNamed={line.named || (line === chunk.lines[0] && line.kind === 'said')}
            isOwn={line.from === you}
            today={today}
            texts={texts}
            language={language}
          />
        ))
        return run.isFolded ? (
          <Run key={run.lines[0]?.id} lines={run.lines}>
            {lines}
          </Run>
        ) : (
          lines
        )
      })}
    </div>
  )
})

/** Those who came and went one after the other, in a line that unfolds. */
function Run({ lines, children }: { lines: readonly LogLine[]; children: ComponentChildren }): JSX.Element {
  const { texts } = useTools()
  const { came, went } = comingsOf(lines)
  const said = [
    ...(came.length > 0 ? [texts.cameIn(came.slice(0, maxNames), Math.max(0, came.length - maxNames))] : []),
    ...(went.length > 0 ? [texts.wentOut(went.slice(0, maxNames), Math.max(0, went.length - maxNames))] : []),
  ]
  return (
    <details class="run">
      <summary>
        <time dateTime={new Date(lines[0]?.at ?? 0).toISOString()}>{clock.format(lines[0]?.at ?? 0)}</time>
        <span dir="auto">{said.join(' · ')}</span>
      </summary>
      {children}
    </details>
  )
}

type LineProps = {
  line: LogLine
  isMarked: boolean
  isNamed: boolean
  isOwn: boolean
  today: string
  texts: Texts
  language: string
}

const LineView = memo(function LineView({
  line,
  isMarked,
  isNamed,
  isOwn,
  today,
  texts,
  language,
}: LineProps): JSX.Element {
  const { at, kind, name, color, text, date, time } = line
  const { zone } = useTools().session.state.clock
  return (
    <>
      {line.newDay && (
        <h3 class="day">
          <span>{dayText(at, today, language, texts)}</span>
        </h3>
      )}
      {isMarked && (
        <p class="new">
          <span>{texts.newLines}</span>
        </p>
      )}
      <div class={`line is-${kind}${isNamed ? ' named' : ''}${isOwn ? ' own' : ''}`}>
        <time dateTime={new Date(at).toISOString()} title={texts.inZone(`${date} ${time}`, zone.name)}>
          {clock.format(at)}
        </time>
        <div class="body">
          {kind === 'said' && (
            <p class={isNamed ? `name ${colorClass(color)}` : 'hidden'}>
              <bdi>{name}</bdi>
              {isNamed ? '' : ': '}
            </p>
          )}
          {kind === 'said' ? (
            <p class="text" dir="auto">
              <Linked text={text} />
            </p>
          ) : (
            <SystemText text={text} />
          )}
        </div>
      </div>
    </>
  )
})

/** What the system said, in the reader's language where it is known there; in the record it is English. */
function SystemText({ text }: { text: string }): JSX.Element {
  const pieces = translate(text, document.documentElement.lang)
  return (
    <p class="text" dir="ltr" lang={pieces ? undefined : 'en'}>
      {pieces ? (
        pieces.map((piece, index) =>
          index % 2 === 0 ? (
            piece
          ) : (
            <bdi key={index} lang="">
              <Linked text={piece} />
            </bdi>
          ),
        )
      ) : (
        <Linked text={text} />
      )}
    </p>
  )
}

/** A text of somebody: nothing of it is ever markup, and only addresses of the web become links. */
export function Linked({ text }: { text: string }): JSX.Element {
  if (!text.includes('://')) return <>{text}</>
  return (
    <>
      {findLinks(text).map(({ text, href }, index) =>
        href === undefined ? (
          text
        ) : (
          <a key={index} href={href} target="_blank" rel="noopener noreferrer nofollow">
            {text}
          </a>
        ),
      )}
    </>
  )
}

const formats = new Map<string, Intl.DateTimeFormat>()

function format(at: number, language: string, options: Intl.DateTimeFormatOptions): string {
  const key = `${language} ${JSON.stringify(options)}`
  let found = formats.get(key)
  if (!found) formats.set(key, (found = new Intl.DateTimeFormat(language, options)))
  return found.format(at)
}

const wholeDay: Intl.DateTimeFormatOptions = {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
}

// Of one width in every language, and as the record has it.
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })

function dayText(at: number, today: string, language: string, texts: Texts): string {
  const day = format(at, language, wholeDay)
  if (day === today) return `${texts.today}, ${day}`
  const isYesterday = day === format(wallNow() - 86_400_000, language, wholeDay)
  return isYesterday ? `${texts.yesterday}, ${day}` : day
}
