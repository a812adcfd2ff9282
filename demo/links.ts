import { networkInterfaces } from 'node:os'
import type { SampleMeeting } from './association.ts'

export type Samples = { meeting: SampleMeeting; chat: readonly { user: string; key: string }[] }

type Link = { path: string; words: string }
type Group = { words: string; links: Link[] }

/** What there is to open, the first one first. */
export function linksOf({ meeting, chat }: Samples): [first: Link, ...Group[]] {
  const seatPath = (key: string): string => `/meeting/${meeting.id}/${key}`
  const seats = meeting.seats.map(({ name, key, isChair, proxyName }) => ({
    isChair,
    path: seatPath(key),
    words: isChair ? `${name}, who chairs` : proxyName ? `${name}, for whom ${proxyName} comes` : name,
  }))
  const [first = { path: '/', words: '' }] = seats.filter(({ isChair }) => isChair)
  const anybody = meeting.seats.at(-1)?.key ?? ''
  return [
    first,
    { words: `${meeting.name}: each link in a window of its own.`, links: seats },
    {
      words: 'Beside it:',
      links: [
        { path: `${seatPath(anybody)}/hall`, words: 'The meeting on a big screen' },
        { path: `${seatPath(anybody)}/record`, words: 'The record of the meeting' },
        ...chat.map(({ user, key }) => ({ path: `/chat?session_key=${key}`, words: `Chat, as ${user}` })),
        { path: '/document/demo#sketch', words: 'A sheet to draw on together' },
        { path: '/status', words: 'What the operator sees' },
      ],
    },
  ]
}

/** The file for -home (docs/flags.md). */
export const homeFile = (groups: readonly Group[]): string =>
  groups
    .map(({ words, links }) => [words, ...links.map(({ path, words }) => `${path} ${words}`), ''].join('\n'))
    .join('\n')

/** An address at which other devices of the network reach this machine; null where it is in none. */
export function lanAddress(): string | null {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((one) => one && !one.internal && one.family === 'IPv4')
  return found?.address ?? null
}
