import { render } from 'preact'
import { Chime } from '../kit/chime.ts'
import { openVault } from '../kit/vault.ts'
import { App } from './app.tsx'
import { ToolsContext } from './hooks.ts'
import { noticesOf } from './notices.ts'
import { MeetingSession } from './session.ts'
import { ownVote } from './state.ts'
import type { State } from './state.ts'
import { textsFor } from './texts/texts.ts'

const { language, tag, texts } = textsFor(navigator.languages)
const path = location.pathname.replace(/\/+$/, '')
const vault = openVault(path)
const days = new Intl.DateTimeFormat('en-CA', { year: 'numeric', month: '2-digit', day: '2-digit' })
const address = `${location.origin.replace(/^http/, 'ws')}/ws${path}`
const session = new MeetingSession(address, vault, (instant) => days.format(instant))
const chime = new Chime()
let isSoundOn = vault.read('sound', true)

const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')
const drawIcon = (isAsking: boolean): void => {
  const color = isAsking ? '%23c2410c' : '%23175c4c'
  icon?.setAttribute(
    'href',
    `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='${color}'/></svg>`,
  )
}

function showTitle(state: State): void {
  const { meeting, poll, unseen } = state
  const isAsking = poll !== null && ownVote(state) === null
  const name = meeting?.name ?? texts.meeting
  const mark = isAsking ? `● ${texts.titlePoll} – ` : unseen > 0 ? `(${texts.number(unseen)}) ` : ''
  document.title = mark + name
  drawIcon(isAsking)
}

document.documentElement.lang = language
session.watch((state, before) => {
  showTitle(state)
  if (isSoundOn && noticesOf(before, state).some(({ type }) => type === 'pollBegan')) chime.play()
})
const page = document.getElementById('page')
if (page)
  render(
    <ToolsContext.Provider value={{ texts, language: tag, session, vault }}>
      <App
        sound={isSoundOn}
        onSound={(on) => {
          isSoundOn = on
          vault.write('sound', on)
          if (on) chime.play()
        }}
      />
    </ToolsContext.Provider>,
    page,
  )
showTitle(session.state)
session.start()
