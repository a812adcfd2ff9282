import type { JSX } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { sends } from '../kit/keys.ts'
import { useKept, useMedia, useTools } from './hooks.ts'
import { Linked, LogView } from './log-view.tsx'
import { isStuck } from './outbox.ts'
import type { Entry } from './outbox.ts'
import type { Draft } from './protocol.ts'
import { isWritten } from './state.ts'
import type { Refusal, State } from './state.ts'
import { wordsOf } from './words.ts'

type TalkProps = {
  state: State
  canWrite: boolean
  /** The chair wants to change a poll that was refused. */
  onEditPoll: (draft: Draft) => void
}

/** The log, what waits to be said, and where one writes. */
export function TalkView({ state, canWrite, onEditPoll }: TalkProps): JSX.Element {
  const { texts, session } = useTools()
  const [text, write] = useKept('draft', '')
  const [said, setSaid] = useState(0)
  const edit = (refused: string): void => {
    write(text.trim() === '' ? refused : `${text}\n${refused}`)
    document.getElementById('message')?.focus()
  }
  // Not what is on its way for the blink of an eye.
  const isConnected = state.phase.type === 'in'
  const waiting = state.outbox.filter((entry) => {
    const { command, asks } = entry
    return command.type === 'message' || asks || isStuck(entry) || (!isConnected && command.type !== 'vote')
  })
  return (
    <section class="talk" aria-labelledby="talk-title">
      <h2 id="talk-title" class="hidden">
        {texts.talk}
      </h2>
      <LogView
        log={state.log}
        seen={state.seen}
        unseen={state.unseen}
        you={state.you?.id ?? null}
        said={said}
      >
        {waiting.length > 0 && (
          <ul class="waiting" aria-label={texts.notSaidYet}>
            {waiting.map((entry) => (
              <WaitingView key={entry.id} entry={entry} state={state} onEdit={edit} />
            ))}
          </ul>
        )}
      </LogView>
      {/* Each is said aloud by itself, and not once more with the next one. */}
      <div role="alert" aria-atomic="false" class="refusals">
        {state.refusals.map((refusal) => (
          <RefusalView
            key={refusal.key}
            refusal={refusal}
            state={state}
            onEdit={({ command, key }) => {
              if (command?.type === 'message') edit(command.message)
              if (command?.type === 'newpoll') onEditPoll(command)
              session.dismissRefusal(key)
            }}
          />
        ))}
      </div>
      {canWrite && (
        <Composer
          text={text}
          limit={state.limits.message}
          onWrite={write}
          onSay={(message) => {
            session.give({ type: 'message', message })
            setSaid(said + 1)
          }}
        />
      )}
      {state.meeting?.state === 'closed' && <p class="hint closed">{texts.closedForWords}</p>}
    </section>
  )
}

type WaitingProps = { entry: Entry; state: State; onEdit: (text: string) => void }

function WaitingView({ entry, state, onEdit }: WaitingProps): JSX.Element {
  const { texts, session } = useTools()
  const isConnected = state.phase.type === 'in'
  const { id, asks, command, sentAt, onWire } = entry
  const isTroubled = asks || isStuck(entry)
  const hint = asks ? texts.asks : !isConnected ? texts.waiting : isTroubled ? texts.stuck : texts.sending
  return (
    <li class={`line is-said own${isTroubled ? ' asks' : ''}`}>
      <div class="body">
        <p class="text" dir="auto">
          <Linked text={wordsOf(command, state, texts)} />
        </p>
        {/* Not for the moment in which it is answered. */}
        {(isTroubled || !isConnected || !onWire) && <p class="hint">{hint}</p>}
        {(isTroubled || (!isConnected && sentAt === null)) && (
          <div class="row">
            {asks && (
              <button type="button" onClick={() => session.insist(id)}>
                {texts.sendNow}
              </button>
            )}
            {command.type === 'message' && (
              <button
                type="button"
                onClick={() => {
                  session.discard(id)
                  onEdit(command.message)
                }}
              >
                {texts.editAgain}
              </button>
            )}
            <button type="button" onClick={() => session.discard(id)}>
              {texts.discard}
            </button>
          </div>
        )}
      </div>
    </li>
  )
}

type RefusalProps = { refusal: Refusal; state: State; onEdit: (refusal: Refusal) => void }

function RefusalView({ refusal, state, onEdit }: RefusalProps): JSX.Element {
  const { texts, session } = useTools()
  const { command, text, key } = refusal
  const refused = command?.type === 'message' ? command.message : null
  return (
    <div class="refusal">
      <p>
        <strong>
          {refused === null ? texts.refused : texts.notSaid}
          {command && refused === null && ` (${wordsOf(command, state, texts)})`}:
        </strong>{' '}
        {texts.refusal(text)}
      </p>
      {refused !== null && (
        <p class="refused-text" dir="auto">
          {refused}
        </p>
      )}
      <div class="row">
        {isWritten(command) && (
          <button type="button" onClick={() => onEdit(refusal)}>
            {texts.editAgain}
          </button>
        )}
        <button type="button" onClick={() => session.dismissRefusal(key)}>
          {texts.dismiss}
        </button>
      </div>
    </div>
  )
}

type ComposerProps = {
  text: string
  limit: number
  onWrite: (text: string) => void
  onSay: (text: string) => void
}

/** So near to the limit it is said how much is left. */
const nearLimit = 500

function Composer({ text, limit, onWrite, onSay }: ComposerProps): JSX.Element {
  const { texts } = useTools()
  const isTouch = useMedia('(pointer: coarse)')
  const isWide = useMedia('(min-width: 60rem)')
  const field = useRef<HTMLTextAreaElement>(null)
  const left = limit - (text.length > limit - nearLimit ? Array.from(text.trim()).length : 0)
  const say = (): void => {
    const said = text.trim()
    if (said === '' || left < 0) return
    onSay(said)
    onWrite('')
  }
  useLayoutEffect(() => {
    const { current } = field
    if (!current) return
    current.style.height = 'auto'
    current.style.height = `${current.scrollHeight + 2}px`
  }, [text])
  // Whoever opens the page is here to read or to write; on a phone the keyboard would hide what there is to read.
  useEffect(() => {
    if (!isTouch && document.activeElement === document.body) field.current?.focus({ preventScroll: true })
  }, [])
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        say()
        field.current?.focus()
      }}
    >
      <label for="message" class="hidden">
        {texts.yourMessage}
      </label>
      <textarea
        id="message"
        ref={field}
        rows={1}
        value={text}
        placeholder={texts.say}
        aria-describedby="message-hint message-left"
        aria-invalid={left < 0}
        enterkeyhint={isTouch ? 'enter' : 'send'}
        onInput={({ currentTarget }) => onWrite(currentTarget.value)}
        onKeyDown={(event) => {
          if (!sends(event, isTouch)) return
          event.preventDefault()
          say()
        }}
      />
      <button class="main" aria-disabled={text.trim() === '' || left < 0}>
        {texts.send}
      </button>
      <p id="message-hint" class={isTouch && !isWide ? 'hidden' : 'hint'}>
        {isTouch ? texts.touchHint : texts.hint}
      </p>
      <p id="message-left" class={left < 0 ? 'fault' : 'hint'} role="status">
        {left < 0 ? texts.tooLong(-left) : left <= nearLimit && left < limit ? texts.left(left) : ''}
      </p>
    </form>
  )
}
