import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { translate } from '../../../meeting/record/system-lines.ts'
import { steadyNow } from '../kit/clock.ts'
import { useTools } from './hooks.ts'
import { noticesOf } from './notices.ts'
import type { LogLine } from './log.ts'
import { ballotKey, resultSentence } from './poll-view.tsx'
import { secondsLeft } from './results.ts'
import { wordsOf } from './words.ts'

/** Lines are read out at most so often, and more than so many at once only by their number. */
const pauseMs = 1000
const maxLines = 3
const maxCharacters = 300
const keptMs = 8000

/** What the system said, as the log shows it. */
const inWords = (text: string): string => translate(text, document.documentElement.lang)?.join('') ?? text

type Said = { key: number; text: string }

/**
 * Tells a screen reader what others see: polls at once, everything else when it has finished its sentence. The log itself
 * is silent, as its history would be read out line by line.
 */
export function Announcer({ readsLines }: { readsLines: boolean }): JSX.Element {
  const { texts, session } = useTools()
  const [urgent, setUrgent] = useState<Said[]>([])
  const [calm, setCalm] = useState<Said[]>([])
  const count = useRef(0)
  const reads = useRef(readsLines)
  reads.current = readsLines
  useEffect(() => {
    let lines: LogLine[] = []
    let isKeyTold = false
    let timer: ReturnType<typeof setTimeout> | undefined
    let warned = { poll: 0, at: Infinity }
    const tell = (set: typeof setCalm, text: string): void => {
      const said = { key: ++count.current, text }
      set((all) => [...all, said])
      setTimeout(() => set((all) => all.filter((one) => one !== said)), keptMs)
    }
    const tellLines = (): void => {
      timer = undefined
      if (lines.length > maxLines) tell(setCalm, texts.tell.lines(lines.length))
      else
        for (const { name, text } of lines)
          tell(setCalm, (name === '' ? inWords(text) : `${name}: ${text}`).slice(0, maxCharacters))
      lines = []
    }
    session.watch((state, before) => {
      for (const notice of noticesOf(before, state))
        switch (notice.type) {
          case 'pollBegan':
            tell(setUrgent, texts.tell.poll(notice.poll.question, notice.poll.answers))
            if (!isKeyTold) tell(setCalm, texts.ballotKey(ballotKey))
            isKeyTold = true
            break
          case 'pollEnded':
            tell(setCalm, texts.tell.result(notice.result.question, resultSentence(notice.result, texts)))
            break
          case 'trouble':
            tell(setCalm, `${texts.notSaidYet}: ${wordsOf(notice.entry.command, state, texts)}`)
            break
          case 'lines':
            if (!reads.current) break
            lines.push(...notice.lines)
            timer ??= setTimeout(tellLines, pauseMs)
            break
        }
    })
    const clock = setInterval(() => {
      const { poll, pollEndsAt, vote } = session.state
      if (!poll || vote?.poll === poll.id) return
      if (warned.poll !== poll.id) warned = { poll: poll.id, at: Infinity }
      const left = secondsLeft(pollEndsAt, steadyNow())
      const mark = [10, 30, 60].find((mark) => left <= mark)
      if (mark === undefined || mark >= warned.at || left === 0) return
      // One who comes in late has just been told that there is a poll.
      if (warned.at !== Infinity || left > mark - 2) tell(setCalm, texts.secondsLeft(left))
      warned.at = mark
    }, 1000)
    return () => clearInterval(clock)
  }, [])
  return (
    <div class="hidden">
      <div role="alert">
        {urgent.map(({ key, text }) => (
          <p key={key}>{text}</p>
        ))}
      </div>
      <div aria-live="polite">
        {calm.map(({ key, text }) => (
          <p key={key}>{text}</p>
        ))}
      </div>
    </div>
  )
}
