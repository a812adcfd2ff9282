import type { JSX } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { sends } from '../kit/keys.ts'
import { useMedia, useTools } from './hooks.ts'
import { Linked, LogView } from './log-view.tsx'
import type { Entry } from './outbox.ts'
import type { Command } from './protocol.ts'
import type { Refusal, State } from './state.ts'
import type { Texts } from './texts/texts.ts'

/** The log, what waits to be said, and where one writes. */
export function TalkView({ state, canWrite }: { state: State; canWrite: boolean }): JSX.Element {
  const { texts, vault, session } = useTools()
  const [text, setText] = useState(() => vault.read('draft', ''))
  const write = (next: string): void => {
    setText(next)
    vault.write('draft', next === '' ? null : next)
  }
  // Not what is on its way for the blink of an eye.
  const isConnected = state.phase.type === 'in'
  const waiting = state.outbox.filter(
    ({ command, asks }) => command.type === 'message' || asks || (!isConnected && command.type !== 'vote'),
  )
  return (
    <section class="talk" aria-labelledby="talk-title">
      <h2 id="talk-title" class="hidden">
        {texts.talk}
      </h2>
      <LogView log={state.log} seen={state.seen} unseen={state.unseen} you={state.you?.id ?? null}>
        {waiting.length > 0 && (
          <ul class="waiting" aria-label={texts.notSaidYet}>
            {waiting.map((entry) => (
              <WaitingView key={entry.id} entry={entry} state={state} />
            ))}
          </ul>
        )}
      </LogView>
      <div role="alert" class="refusals">
        {state.refusals.map((refusal) => (
          <RefusalView
            key={refusal.key}
            refusal={refusal}
            state={state}
            onEdit={(refused) => {
              write(text.trim() === '' ? refused : `${text}\n${refused}`)
              session.dismissRefusal(refusal.key)
              document.getElementById('message')?.focus()
            }}
          />
        ))}
      </div>
      {canWrite && (
        <Composer
          text={text}
          limit={state.limits.message}
          onWrite={write}
          onSay={(message) => session.give({ type: 'message', message })}
        />
      )}
      {state.meeting?.state === 'closed' && <p class="hint closed">{texts.closedForWords}</p>}
    </section>
  )
}

/** What a command does, in words. */
function wordsOf(command: Command, { people }: State, texts: Texts): string {
  switch (command.type) {
    case 'message':
      return texts.commands.message(command.message)
    case 'newpoll':
      return texts.commands.newpoll(command.question)
    case 'kick':
      return texts.commands.kick(people.get(command.user)?.name ?? '')
    case 'vote':
    case 'open':
    case 'finish':
    case 'abortpoll':
      return texts.commands[command.type]
  }
}

function WaitingView({ entry, state }: { entry: Entry; state: State }): JSX.Element {
  const { texts, session } = useTools()
  const isConnected = state.phase.type === 'in'
  const { id, asks, command } = entry
  return (
    <li class={`line is-said own${asks ? ' asks' : ''}`}>
      <div class="body">
        <p class="text" dir="auto">
          <Linked text={wordsOf(command, state, texts)} />
        </p>
        {/* Not for the moment in which it is answered. */}
        {!(isConnected && entry.underWaySince !== null) && (
          <p class="hint">{asks ? texts.asks : isConnected ? texts.sending : texts.waiting}</p>
        )}
        {(asks || (!isConnected && entry.sentAt === null)) && (
          <div class="row">
            {asks && (
              <button type="button" onClick={() => session.insist(id)}>
                {texts.sendNow}
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

type RefusalProps = { refusal: Refusal; state: State; onEdit: (text: string) => void }

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
        {texts.refusals[text] ?? text}
      </p>
      {refused !== null && (
        <p class="refused-text" dir="auto">
          {refused}
        </p>
      )}
      <div class="row">
        {refused !== null && (
          <button type="button" onClick={() => onEdit(refused)}>
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
