import { useEffect, useState } from 'preact/hooks'
import { number } from './format.ts'
import type { MeetingReport } from './report.ts'

type Person = { uid: number; name: string; admin: boolean; remote: string }
type People = { here: Person[]; gone: Person[] }

const order = { open: 0, pending: 1, finished: 2, closed: 3 }

/** The meetings of this process; who is in one is asked for when it is unfolded. */
export function Meetings({ meetings, serving }: { meetings: MeetingReport[]; serving: boolean }) {
  const [shown, setShown] = useState<number | null>(null)
  const sorted = meetings.toSorted((a, b) => order[a.state] - order[b.state] || a.id - b.id)
  return (
    <section aria-labelledby="meetings">
      <h2 id="meetings">Meetings</h2>
      {meetings.length === 0 ? (
        <p class="none">{serving ? 'Nobody is in a meeting.' : 'None are served here.'}</p>
      ) : (
        <table class="meetings">
          <thead>
            <tr>
              <th scope="col">Meeting</th>
              <th scope="col" class="count">
                ID
              </th>
              <th scope="col">State</th>
              <th scope="col" class="count">
                Connected
              </th>
              <th scope="col" class="count">
                Away
              </th>
              <th scope="col">Poll</th>
              <th scope="col" class="count">
                Queued
              </th>
              <th scope="col">
                <span class="unseen">People</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((meeting) => (
              <Meeting
                key={meeting.id}
                meeting={meeting}
                shown={shown === meeting.id}
                onToggle={() => setShown(shown === meeting.id ? null : meeting.id)}
              />
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function Meeting({
  meeting,
  shown,
  onToggle,
}: {
  meeting: MeetingReport
  shown: boolean
  onToggle: () => void
}) {
  const { id, name, state, here, away, pollUnderWay, queuedCommands, banned } = meeting
  return (
    <>
      <tr>
        <th scope="row">
          <bdi>{name}</bdi>
        </th>
        <td data-name="ID" class="count">
          {id}
        </td>
        <td data-name="State">
          <span class={`meeting-state ${state}`}>{state}</span>
        </td>
        <td data-name="Connected" class="count">
          {number(here)}
        </td>
        <td data-name="Away" class="count">
          {number(away)}
        </td>
        <td data-name="Poll">{pollUnderWay ? 'under way' : '–'}</td>
        <td data-name="Queued" class="count">
          {number(queuedCommands)}
        </td>
        <td class="act">
          <button type="button" aria-expanded={shown} onClick={onToggle}>
            People<span class="unseen"> in meeting {id}</span>
          </button>
        </td>
      </tr>
      {shown && (
        <tr class="people">
          <td colSpan={8}>
            {/* Asked for anew whenever the numbers change. */}
            <PeopleOf id={id} banned={banned} version={`${here} ${away} ${banned.join()}`} />
          </td>
        </tr>
      )}
    </>
  )
}

function PeopleOf({ id, banned, version }: { id: number; banned: readonly number[]; version: string }) {
  const [people, setPeople] = useState<People | 'asked' | 'failed'>('asked')
  useEffect(() => {
    const gone = new AbortController()
    readPeople(id, gone.signal).then(setPeople, () => {
      if (!gone.signal.aborted) setPeople('failed')
    })
    return () => gone.abort()
  }, [id, version])
  if (people === 'asked') return <p>Asking who is there</p>
  if (people === 'failed') return <p>The server did not say who is there.</p>
  return (
    <>
      <PersonList title="Connected" people={people.here} />
      <PersonList title="Away, or has left" people={people.gone.filter(({ uid }) => !banned.includes(uid))} />
      <Banned meeting={id} banned={banned} people={[...people.gone, ...people.here]} />
    </>
  )
}

/** Those who were removed without return, with what lets them in again. Who was never in has no name here. */
function Banned({
  meeting,
  banned,
  people,
}: {
  meeting: number
  banned: readonly number[]
  people: readonly Person[]
}) {
  if (banned.length === 0) return null
  return (
    <>
      <h3>Removed, may not return</h3>
      <ul class="banned">
        {banned.map((uid) => {
          const name = people.find((person) => person.uid === uid)?.name
          return (
            <li key={uid}>
              {name === undefined ? 'A member who was not in' : <bdi>{name}</bdi>}{' '}
              <span class="id">ID {uid}</span>
              <code>
                plenum unban {meeting} {uid}
              </code>
            </li>
          )
        })}
      </ul>
    </>
  )
}

function PersonList({ title, people }: { title: string; people: Person[] }) {
  if (people.length === 0) return null
  return (
    <>
      <h3>{title}</h3>
      <ul>
        {people.map(({ uid, name, admin, remote }) => (
          <li key={uid}>
            <bdi>{name}</bdi>
            {admin && <span class="admin">admin</span>} <span class="id">ID {uid}</span>{' '}
            <span class="remote">{remote}</span>
          </li>
        ))}
      </ul>
    </>
  )
}

async function readPeople(id: number, signal: AbortSignal): Promise<People> {
  const answer = await fetch('__meetingstatus', { cache: 'no-store', signal })
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`)
  const { meetings } = (await answer.json()) as {
    meetings: { id: number; members: Person[]; disconnectedmembers: Person[] }[]
  }
  const meeting = meetings.find((one) => one.id === id)
  return { here: meeting?.members ?? [], gone: meeting?.disconnectedmembers ?? [] }
}
