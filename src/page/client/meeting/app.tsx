import type { JSX } from 'preact'
import { useCallback, useEffect, useState } from 'preact/hooks'
import { AssociationName, Logo } from '../kit/brand.tsx'
import { Bell, BellOff, Door, Mark, Speech, SpeechOff } from '../kit/icons.tsx'
import { Announcer } from './announcer.tsx'
import { Asking } from './asking.tsx'
import { DeskView } from './desk-view.tsx'
import type { Ask } from './desk-view.tsx'
import { useKept, useMedia, useNow, useTools } from './hooks.ts'
import { PendingView } from './pending-view.tsx'
import { PeopleView } from './people-view.tsx'
import { PollView, ResultView } from './poll-view.tsx'
import { lastSaid } from './log.ts'
import { elsewhereCode, isForGood, kickedCode } from './protocol.ts'
import type { Draft, Person } from './protocol.ts'
import { isStuck } from './outbox.ts'
import { isChair, ownVote, pendingVote } from './state.ts'
import type { Phase, State } from './state.ts'
import { TalkView } from './talk-view.tsx'
import type { Texts } from './texts/texts.ts'
import { goneWords } from './words.ts'

type View = 'talk' | 'people' | 'desk'
const noAdmins: readonly number[] = []
const recordAddress = `${location.pathname.replace(/\/+$/, '')}/record`

/** The page of a meeting. */
export function App({ sound, onSound }: { sound: boolean; onSound: (on: boolean) => void }): JSX.Element {
  const { session, texts } = useTools()
  const [state, set] = useState(session.state)
  const [view, setView] = useState<View>('talk')
  const [ask, setAsk] = useState<Ask | null>(null)
  const [refused, setRefused] = useState<Draft | null>(null)
  const [hiddenResult, hideResult] = useKept('closedResult', 0)
  const [isSoundOn, setSound] = useState(sound)
  const [readsLines, setReadsLines] = useKept('readsLines', true)
  const isWide = useMedia('(min-width: 60rem)')
  useEffect(() => {
    session.watch(set)
    set(session.state)
  }, [])
  const askKick = useCallback(({ id, name }: Person) => setAsk({ type: 'kick', user: id, name }), [])

  const { meeting, you, phase, poll, result, people } = state
  const chair = isChair(state)
  const isGone = phase.type === 'ended' || phase.type === 'left'
  const canWrite = state.wasIn && !isGone && meeting?.state !== 'closed'
  const views: View[] = [
    ...(isWide ? [] : (['talk'] as const)),
    'people',
    ...(chair ? (['desk'] as const) : []),
  ]
  const shown: View = views.includes(view) ? view : chair && isWide ? 'desk' : isWide ? 'people' : 'talk'
  const admins = meeting?.admins ?? noAdmins
  const labels: Record<View, string> = {
    talk: texts.talk,
    people: texts.present,
    desk: isWide ? texts.desk : texts.deskShort,
  }
  const counts: Record<View, number> = { talk: state.unseen, people: people.size, desk: 0 }

  const tabs =
    views.length > 1 ? (
      <Tabs
        key="tabs"
        views={views}
        labels={labels}
        counts={counts}
        shown={shown}
        onShow={setView}
        name={texts.views}
      />
    ) : (
      <h2 key="tabs" class="tabs alone">
        {labels.people} <span class="count">{texts.number(people.size)}</span>
      </h2>
    )
  // Always there: what was typed, and where one was, stays when another part is looked at.
  const talk = (
    <div
      key="talk"
      id="part-talk"
      class="part"
      hidden={!isWide && shown !== 'talk'}
      {...(isWide ? {} : { role: 'tabpanel', 'aria-labelledby': 'tab-talk' })}
    >
      <TalkView
        state={state}
        canWrite={canWrite}
        onEditPoll={(draft) => {
          setRefused(draft)
          setView('desk')
        }}
      />
    </div>
  )

  return (
    <div class={`page${state.wasIn ? '' : ' outside'}`}>
      {canWrite && (isWide || shown === 'talk') && (
        <a
          class="skip"
          href="#message"
          onClick={(event) => {
            // Without an entry in the history.
            event.preventDefault()
            document.getElementById('message')?.focus()
          }}
        >
          {texts.skip}
        </a>
      )}
      <header class="top">
        <Logo otherwise={<Mark />} />
        <div class="title">
          <AssociationName />
          <h1 dir="auto">{meeting?.name ?? texts.meeting}</h1>
          <p class="standing">
            {meeting && <span class={`state ${meeting.state}`}>{texts.states[meeting.state]}</span>}
            {meeting && meeting.state !== 'pending' && (
              <a class="link" href={recordAddress} target="_blank" rel="noopener">
                {texts.record}
              </a>
            )}
            <Connection phase={phase} wasIn={state.wasIn} />
          </p>
        </div>
        <div class="row tools">
          <Toggle
            name={texts.readLines}
            isOn={readsLines}
            icons={[<Speech />, <SpeechOff />]}
            onToggle={setReadsLines}
          />
          <Toggle
            name={texts.sound}
            isOn={isSoundOn}
            icons={[<Bell />, <BellOff />]}
            onToggle={(on) => {
              setSound(on)
              onSound(on)
            }}
          />
          {!isGone && state.wasIn && (
            <button
              type="button"
              class="quiet"
              aria-label={texts.leave}
              onClick={() => setAsk({ type: 'leave' })}
            >
              <Door />
              <span class="wide-only">{texts.leaveShort}</span>
            </button>
          )}
        </div>
      </header>
      <main>
        {isGone && <Gone phase={phase} />}
        {!isGone && !state.wasIn && (
          <p class="empty">
            {state.isOriginRefused
              ? texts.originRefused(location.origin)
              : phase.type === 'waiting'
                ? texts.unreached
                : texts.connecting}
          </p>
        )}
        {!isGone && state.wasIn && meeting?.state === 'pending' && <PendingView chair={chair} />}
        {!isGone && poll && (
          <PollView
            key={poll.id}
            poll={poll}
            endsAt={state.pollEndsAt}
            own={ownVote(state)}
            pending={pendingVote(state)}
            showsSums={chair}
            isConnected={phase.type === 'in'}
            isStuck={state.outbox.some((entry) => entry.command.type === 'vote' && isStuck(entry))}
          />
        )}
        {!isGone && !poll && result && result.id !== hiddenResult && (
          <ResultView
            key={result.id}
            result={result}
            spoken={lastSaid(state.log)}
            onClose={() => hideResult(result.id)}
          />
        )}
        {state.wasIn && (
          <div class="parts">
            {isWide ? [talk, tabs] : [tabs, talk]}
            <div
              id={`part-${shown === 'desk' ? 'desk' : 'people'}`}
              class="part side"
              hidden={shown === 'talk'}
              {...(views.length > 1 ? { role: 'tabpanel', 'aria-labelledby': `tab-${shown}` } : {})}
            >
              {shown === 'desk' ? (
                <section aria-label={texts.desk}>
                  <DeskView state={state} onAsk={setAsk} refused={refused} onTaken={() => setRefused(null)} />
                </section>
              ) : (
                <section aria-label={texts.present}>
                  <PeopleView
                    people={people}
                    admins={admins}
                    you={you?.id ?? null}
                    voted={poll?.voted ?? null}
                    onRemove={chair && phase.type === 'in' ? askKick : null}
                  />
                </section>
              )}
            </div>
          </div>
        )}
      </main>
      <Announcer readsLines={readsLines} />
      {ask && !isGone && <Asking ask={ask} state={state} onClose={() => setAsk(null)} />}
    </div>
  )
}

type ToggleProps = {
  name: string
  isOn: boolean
  /** While it is on, and while it is off. */
  icons: readonly [on: JSX.Element, off: JSX.Element]
  onToggle: (isOn: boolean) => void
}

function Toggle({ name, isOn, icons: [on, off], onToggle }: ToggleProps): JSX.Element {
  return (
    <button
      type="button"
      class="bare"
      aria-pressed={isOn}
      aria-label={name}
      title={name}
      onClick={() => onToggle(!isOn)}
    >
      {isOn ? on : off}
    </button>
  )
}

type TabsProps = {
  views: View[]
  labels: Record<View, string>
  counts: Record<View, number>
  shown: View
  onShow: (view: View) => void
  name: string
}

function Tabs({ views, labels, counts, shown, onShow, name }: TabsProps): JSX.Element {
  const { texts } = useTools()
  const go = (by: number): void => {
    const next = views.at((views.indexOf(shown) + by) % views.length) ?? shown
    onShow(next)
    document.getElementById(`tab-${next}`)?.focus()
  }
  return (
    <div class="tabs" role="tablist" aria-label={name}>
      {views.map((view) => (
        <button
          key={view}
          id={`tab-${view}`}
          type="button"
          role="tab"
          aria-selected={view === shown}
          {...(view === shown || view === 'talk' ? { 'aria-controls': `part-${view}` } : {})}
          tabIndex={view === shown ? 0 : -1}
          onClick={() => onShow(view)}
          onKeyDown={({ key }) => {
            if (key === 'ArrowRight') go(1)
            if (key === 'ArrowLeft') go(-1)
          }}
        >
          {labels[view]} {counts[view] > 0 && <span class="count">{texts.number(counts[view])}</span>}
        </button>
      ))}
    </div>
  )
}

/** The state of the connection in words. What is said aloud does not change each second. */
function Connection({ phase, wasIn }: { phase: Phase; wasIn: boolean }): JSX.Element {
  const { texts } = useTools()
  const words = connectionWords(phase, wasIn, texts)
  return (
    // That all is well is for those who ask: the connection is news only where it is lost.
    <span class={phase.type === 'in' ? 'hidden' : `connection ${phase.type}`}>
      <span role="status">{words}</span>
      {phase.type === 'waiting' && <Retry until={phase.until} />}
    </span>
  )
}

function connectionWords(phase: Phase, wasIn: boolean, texts: Texts): string {
  switch (phase.type) {
    case 'in':
      return texts.connected
    case 'connecting':
      return phase.again ? `${texts.lost}. ${texts.tryingNow}` : texts.connecting
    case 'waiting':
      return wasIn ? `${phase.offline ? texts.offline : texts.lost}.` : ''
    case 'left':
    case 'ended':
      return ''
  }
}

function Retry({ until }: { until: number }): JSX.Element {
  const { texts, session } = useTools()
  const now = useNow(500)
  return (
    <>
      {' '}
      {texts.tryingIn(Math.max(1, Math.ceil((until - now) / 1000)))}{' '}
      <button type="button" class="link" onClick={() => session.retryNow()}>
        {texts.tryNow}
      </button>
    </>
  )
}

/** What is left when the meeting goes on without this page, or not at all. */
function Gone({ phase }: { phase: State['phase'] }): JSX.Element {
  const { texts, session } = useTools()
  const { gone } = texts
  const code = phase.type === 'ended' ? phase.code : 0
  const [words, more] = goneWords(code, texts) ?? [
    phase.type === 'ended' ? texts.refusal(phase.text) : '',
    '',
  ]
  return (
    <section class="gone" role="alert">
      <h2>{words}</h2>
      {more !== '' && <p>{more}</p>}
      {!isForGood(code) && (
        <button type="button" class="main" onClick={() => session.comeBack()}>
          {code === 0 || code === kickedCode
            ? gone.comeBack
            : code === elsewhereCode
              ? gone.useThis
              : gone.tryAgain}
        </button>
      )}
    </section>
  )
}
