import { type JSX, render } from 'preact'
import { useState } from 'preact/hooks'
import { Branded } from '../kit/brand.tsx'
import { useFollowing } from '../kit/follow.ts'
import { useKept } from '../kit/kept.ts'
import { sends } from '../kit/keys.ts'
import { keepInTab, keptInTab, replaceAddress } from '../kit/tab.ts'
import { openVault, type Vault } from '../kit/vault.ts'
import { badRequestCode, type Line, type Pending, refusedCode, type Talk, TalkSession } from './talk.ts'
import { textsFor } from './texts.ts'

const { texts, language, tag } = textsFor(navigator.languages)
const page = document.getElementById('page')
const clock = new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit' })
const days = new Intl.DateTimeFormat(tag, { dateStyle: 'full' })
const longest = 10_000

/** Takes the key out of the address, where others could see it, and keeps it for when the page is loaded anew. */
function takeKey(): string | null {
  const stored = `key of ${location.pathname}`
  const given = new URLSearchParams(location.search).get('session_key')
  if (given !== null) {
    replaceAddress(location.pathname)
    keepInTab(stored, given)
  }
  return given ?? keptInTab(stored)
}

type AppProps = { talk: Talk; session: TalkSession; vault: Vault }

function App({ talk, session, vault }: AppProps): JSX.Element {
  const { phase, user, error } = talk
  const [text, write] = useKept(vault, 'draft', '')
  const [said, setSaid] = useState(0)
  const edit = ({ id, message }: Pending): void => {
    session.discard(id)
    write(text.trim() === '' ? message : `${text}\n${message}`)
    document.getElementById('message')?.focus()
  }
  return (
    <div class="page">
      <header>
        <Branded>
          <h1>{texts.title}</h1>
        </Branded>
        {user !== null && <p class="self">{texts.speakingAs(user)}</p>}
        <div class="state">
          <p role="status">
            {phase === 'in' ? texts.connected : phase === 'connecting' ? texts.connecting : ''}
            {phase === 'waiting' &&
              (talk.isOriginRefused ? texts.originRefused(location.origin) : texts.lost)}
          </p>
          {phase === 'waiting' && (
            <button type="button" onClick={() => session.retryNow()}>
              {texts.tryNow}
            </button>
          )}
        </div>
      </header>
      <main>
        <LogView
          lines={talk.lines}
          pending={talk.pending}
          user={user}
          said={said}
          isLost={phase !== 'in'}
          session={session}
          onEdit={phase === 'refused' ? null : edit}
        />
        <div role="alert" class="fault">
          {phase === 'refused' && whyRefused(talk)}
          {phase !== 'refused' && error !== null && texts.refusal(error)}
        </div>
        {phase !== 'refused' && (
          <Composer
            text={text}
            onWrite={write}
            onSay={(message) => {
              session.say(message)
              setSaid(said + 1)
            }}
          />
        )}
      </main>
    </div>
  )
}

/** Why the page does not come back: what it can do about it depends on that. */
function whyRefused({ code, error }: Talk): string {
  if (code === badRequestCode) return texts.refusal(error ?? 'Invalid or no message')
  return code === refusedCode ? texts.unreadable : texts.notAllowed
}

type LogProps = {
  lines: readonly Line[]
  pending: readonly Pending[]
  user: string | null
  /** How often the reader has said something here: that goes to the end, where it is seen. */
  said: number
  isLost: boolean
  session: TalkSession
  /** Puts what was not said where one writes; null: there is no such place. */
  onEdit: ((pending: Pending) => void) | null
}

function LogView({ lines, pending, user, said, isLost, session, onEdit }: LogProps): JSX.Element {
  const { box, content, isAtEnd, scrolled, toEnd } = useFollowing(said)
  return (
    <div class="scroll">
      <div
        class="log"
        role="log"
        // The announcer says what is new: here it would say all of a history.
        aria-live="off"
        aria-label={texts.talk}
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by keyboard
        tabIndex={0}
        ref={box}
        onScroll={scrolled}
      >
        <div ref={content}>
          {!isLost && lines.length === 0 && pending.length === 0 && <p class="hint">{texts.empty}</p>}
          {lines.map((line, index) => (
            <LineView key={line.id} line={line} before={lines[index - 1]} isOwn={line.user === user} />
          ))}
          {pending.map((one) => {
            const { id, message, state } = one
            return (
              <div key={id} class="line own pending">
                <p class="text" dir="auto">
                  {message}
                </p>
                <p class="hint">{texts[state === 'sending' && isLost ? 'sentLater' : state]}</p>
                {state !== 'sending' && (
                  <p class="row">
                    <button type="button" onClick={() => session.sayAgain(id)}>
                      {texts.sendAgain}
                    </button>
                    {onEdit && (
                      <button type="button" onClick={() => onEdit(one)}>
                        {texts.edit}
                      </button>
                    )}
                    <button type="button" onClick={() => session.discard(id)}>
                      {texts.discard}
                    </button>
                  </p>
                )}
              </div>
            )
          })}
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
          {texts.toEnd} ↓
        </button>
      )}
    </div>
  )
}

/** An application may write times that no calendar of a browser has. */
const show = (format: Intl.DateTimeFormat, at: Date): string =>
  Number.isNaN(at.getTime()) ? '' : format.format(at)

function LineView({
  line,
  before,
  isOwn,
}: {
  line: Line
  before: Line | undefined
  isOwn: boolean
}): JSX.Element {
  const at = new Date(line.time)
  const day = show(days, at)
  const isNewDay = !before || day !== show(days, new Date(before.time))
  return (
    <>
      {isNewDay && <h2 class="day">{day === show(days, new Date()) ? `${texts.today}, ${day}` : day}</h2>}
      <div class={isOwn ? 'line own' : 'line'}>
        <p class="head">
          <bdi class="name">{line.user}</bdi>{' '}
          <time dateTime={line.time} title={at.toLocaleString(tag)}>
            {show(clock, at)}
          </time>
        </p>
        <p class="text" dir="auto">
          {line.message}
        </p>
      </div>
    </>
  )
}

type ComposerProps = {
  text: string
  onWrite: (text: string) => void
  onSay: (text: string) => void
}

function Composer({ text, onWrite, onSay }: ComposerProps): JSX.Element {
  const isTooLong = text.length > longest && Array.from(text).length > longest
  const mayTouch = matchMedia('(pointer: coarse)').matches
  const say = (): void => {
    if (isTooLong || text.trim() === '') return
    onSay(text)
    onWrite('')
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        say()
      }}
    >
      <label for="message">{texts.yourMessage}</label>
      <textarea
        id="message"
        rows={2}
        value={text}
        aria-describedby="hint"
        aria-invalid={isTooLong}
        onInput={({ currentTarget }) => onWrite(currentTarget.value)}
        onKeyDown={(event) => {
          if (!sends(event, mayTouch)) return
          event.preventDefault()
          say()
        }}
      />
      <button class="main" aria-disabled={isTooLong || text.trim() === ''}>
        {texts.send}
      </button>
      <p id="hint" class={isTooLong ? 'fault' : 'hint'}>
        {isTooLong ? texts.tooLong : mayTouch ? texts.touchHint : texts.hint}
      </p>
    </form>
  )
}

/** Has what others say read aloud, once the history has come. */
function createAnnouncer(): (news: readonly Line[], talk: Talk) => void {
  const place = document.createElement('div')
  place.className = 'hidden'
  place.setAttribute('role', 'status')
  document.body.append(place)
  return (news, { live, user }) => {
    const others = news.filter((line) => line.user !== user)
    if (live && others.length > 0)
      place.textContent = others
        .slice(-3)
        .map(({ user, message }) => `${user}: ${message}`)
        .join('\n')
  }
}

document.documentElement.lang = language
document.title = texts.title
const key = takeKey()
if (page && key === null) render(<p class="fault alone">{texts.noKey}</p>, page)
else if (page && key !== null) {
  const announce = createAnnouncer()
  const vault = openVault(`chat ${key}`)
  const session = new TalkSession({ page: new URL(location.href), key, vault }, (talk, news) => {
    render(<App talk={talk} session={session} vault={vault} />, page)
    announce(news, talk)
  })
  session.start()
}
