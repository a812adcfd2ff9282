import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { AskDialog } from '../kit/dialog.tsx'
import type { Ask } from './desk-view.tsx'
import { useTools } from './hooks.ts'
import { sumOf } from './results.ts'
import type { State } from './state.ts'

type AskingProps = { ask: Ask; state: State; onClose: () => void }

/** The question before something that has no way back, with what follows from it. */
export function Asking({ ask, state, onClose }: AskingProps): JSX.Element {
  const { texts, session } = useTools()
  const [canRejoin, setRejoin] = useState(true)
  const words = texts.ask
  switch (ask.type) {
    case 'open':
      return (
        <AskDialog
          title={words.open}
          yes={words.openYes}
          no={texts.cancel}
          isHarmless
          onYes={() => session.give({ type: 'open' })}
          onClose={onClose}
        >
          <p>{words.openMore}</p>
          <p>{words.openHere(state.people.size)}</p>
        </AskDialog>
      )
    case 'finish':
      return (
        <AskDialog
          title={words.finish}
          yes={words.finishYes}
          no={texts.cancel}
          onYes={() => session.give({ type: 'finish' })}
          onClose={onClose}
        >
          <p>{words.finishMore}</p>
          {state.poll && <p>{words.finishPoll}</p>}
        </AskDialog>
      )
    case 'abort':
      return (
        <AskDialog
          title={words.abort}
          yes={words.abortYes}
          no={words.abortNo}
          onYes={() => session.give({ type: 'abortpoll' })}
          onClose={onClose}
        >
          <p>
            <strong dir="auto">{state.poll?.question}</strong>
          </p>
          <p>{words.abortMore(sumOf(state.poll?.tally ?? []))}</p>
        </AskDialog>
      )
    case 'leave':
      return (
        <AskDialog
          title={words.leave}
          yes={words.leaveYes}
          no={texts.cancel}
          onYes={() => session.leave()}
          onClose={onClose}
        >
          <p>{words.leaveMore}</p>
          {state.meeting?.state === 'open' && <p>{words.leaveOpen}</p>}
        </AskDialog>
      )
    case 'remove':
      return (
        <AskDialog
          title={words.remove}
          yes={words.removeYes}
          no={texts.cancel}
          onYes={ask.onYes}
          onClose={onClose}
        >
          <p>
            <strong dir="auto">{ask.question}</strong>
          </p>
          <p>{words.removeMore}</p>
        </AskDialog>
      )
    case 'kick':
      return (
        <AskDialog
          title={words.kick(ask.name)}
          yes={words.kickYes(ask.name)}
          no={texts.cancel}
          onYes={() => session.give({ type: 'kick', user: ask.user, canrejoin: canRejoin })}
          onClose={onClose}
        >
          <p>{words.kickMore}</p>
          {[true, false].map((may) => (
            <label key={String(may)} class="choice">
              <input type="radio" name="kick" checked={may === canRejoin} onChange={() => setRejoin(may)} />
              {may ? words.kickReturn : words.kickForGood}
            </label>
          ))}
        </AskDialog>
      )
  }
}
