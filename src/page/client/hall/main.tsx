import { render } from 'preact'
import { ToolsContext } from '../meeting/hooks.ts'
import { MeetingSession } from '../meeting/session.ts'
import { textsFor } from '../meeting/texts/texts.ts'
import { keepInTab, keptInTab, replaceAddress } from '../kit/tab.ts'
import { openVault } from '../kit/vault.ts'
import { Hall } from './hall.tsx'
import { hallTextsFor } from './texts.ts'
import { stayAwake } from './wake-lock.ts'

/**
 * The address of the websocket. The key that is in it goes out of the page's own address, which everybody in the hall may
 * read, and is kept for when the page is loaded anew.
 */
function takeAddress(): string {
  const [, meeting = '', key] = /^\/meeting\/(\d+)(?:\/([\w-]+))?\/hall\/*$/.exec(location.pathname) ?? []
  const shown = `/meeting/${meeting}/hall`
  const stored = `key of ${shown}`
  if (key !== undefined) {
    keepInTab(stored, key)
    // Where the browser keeps nothing the address is all there is.
    if (keptInTab(stored) === key) replaceAddress(shown)
  }
  // The server refuses what is no key.
  const known = key ?? keptInTab(stored) ?? '-'.repeat(54)
  return `${location.origin.replace(/^http/, 'ws')}/ws/meeting/${meeting}/${known}/hall`
}

const { language, tag, texts } = textsFor(navigator.languages)
const address = takeAddress()
const vault = openVault(address)
const session = new MeetingSession(address, vault, () => '')
document.documentElement.lang = language
const words = hallTextsFor(navigator.languages)
const showTitle = (): void => {
  document.title = `${session.state.meeting?.name ?? texts.meeting} – ${words.screen}`
}
session.watch(showTitle)
const page = document.getElementById('page')
if (page)
  render(
    <ToolsContext.Provider value={{ texts, language: tag, session, vault }}>
      <Hall words={words} />
    </ToolsContext.Provider>,
    page,
  )
showTitle()
session.start()
stayAwake()
