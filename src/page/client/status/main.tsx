import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { AssociationName, Logo } from '../kit/brand.tsx'
import { steadyNow } from '../kit/clock.ts'
import { Mark } from '../kit/icons.tsx'
import { Figures } from './figures.tsx'
import { ago } from './format.ts'
import { Meetings } from './meetings.tsx'
import { Recent } from './recent.tsx'
import type { StatusReport } from './report.ts'

const everyMs = 2000
const patienceMs = 5000

/** What the page knows: the last report, when it came (by the page's steady clock), and since when the server is silent. */
type Known = { report: StatusReport | null; at: number; silentSince: number | null }

async function read(): Promise<StatusReport> {
  const answer = await fetch('status.json', { cache: 'no-store', signal: AbortSignal.timeout(patienceMs) })
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`)
  return (await answer.json()) as StatusReport
}

/** Asks every two seconds, as long as the page is looked at. */
function useStatus(): Known & { clock: number } {
  const [known, setKnown] = useState<Known>({ report: null, at: steadyNow(), silentSince: null })
  const [clock, setClock] = useState(steadyNow())
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let asking = false
    const ask = async (): Promise<void> => {
      clearTimeout(timer)
      if (document.hidden || asking) return
      asking = true
      try {
        const report = await read()
        setKnown({ report, at: steadyNow(), silentSince: null })
      } catch {
        setKnown((before) => ({ ...before, silentSince: before.silentSince ?? steadyNow() }))
      }
      asking = false
      setClock(steadyNow())
      timer = setTimeout(() => void ask(), everyMs)
    }
    const turn = (): void => void ask()
    document.addEventListener('visibilitychange', turn)
    turn()
    return () => {
      document.removeEventListener('visibilitychange', turn)
      clearTimeout(timer)
    }
  }, [])
  return { ...known, clock }
}

function Page() {
  const { report, at, silentSince, clock } = useStatus()
  const silent = silentSince !== null
  const waits = report?.waitsFor ?? null
  const state = silent ? 'silent' : waits === null ? 'serving' : 'waiting'
  useEffect(() => {
    document.title = { silent: 'No answer – Plenum', serving: 'Plenum', waiting: 'Waiting – Plenum' }[state]
  }, [state])
  return (
    <>
      <header>
        <Logo otherwise={<Mark />} />
        <div>
          <AssociationName />
          <h1>Plenum</h1>
        </div>
        <p class={`state ${report || silent ? state : ''}`} role="status">
          {silent
            ? 'The server does not answer'
            : report === null
              ? 'Asking the server'
              : waits === null
                ? 'Serving the meetings'
                : `Not serving: ${waits}`}
        </p>
        {silent && (
          <p class="silence">
            {report
              ? `What is shown is ${ago(clock - at)} old. The page goes on asking.`
              : 'Nothing has come yet. The page goes on asking.'}
          </p>
        )}
      </header>
      {report && (
        <main class={silent ? 'stale' : ''}>
          <Figures report={report} />
          <Meetings meetings={report.meetings} serving={waits === null} />
          <Recent entries={report.recent} now={report.now} />
        </main>
      )}
    </>
  )
}

const page = document.getElementById('page')
if (page) render(<Page />, page)
