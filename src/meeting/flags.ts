import { flag, flagTable, parseDecimal, seconds } from '../config/flag.ts'

export type MeetingConfig = Readonly<{
  graceMs: number
  closeAfterMs: number
  /** How long before a meeting's time its members may enter; null is at any time. */
  joinWindowMs: number | null
}>

const maxMinutes = 366 * 24 * 60

/** The meeting door's part of the command line. */
export const meetingFlags = flagTable(
  {
    grace: flag({
      ...seconds(0),
      default: '10',
      after: 'profilelisten',
      help: 'how long a member may lose the connection without having left',
      meaning: 'How long a member may lose the connection without having left; 0 for not at all',
    }),
    closeafter: flag({
      ...seconds(0),
      default: '300',
      after: 'grace',
      help: 'how long a finished meeting that has lost everyone waits before it is closed for good',
      meaning:
        'How long a finished meeting whose last people were lost, and had not left by themselves, may be opened again before it is closed for good; after an outage it counts anew',
    }),
    joinwindow: flag({
      value: 'MINUTES',
      default: 'off',
      help: "how long before a meeting's time members may enter; off is at any time",
      meaning:
        "How long before a meeting's time its members may enter, admins excepted; `off` is at any time",
      takes: 'off, or minutes, 0 or more',
      parse: (text) => (text === 'off' ? null : Math.round(parseDecimal(text, 0, maxMinutes) * 60_000)),
    }),
  },
  ({ grace, closeafter, joinwindow }): MeetingConfig => ({
    graceMs: grace,
    closeAfterMs: closeafter,
    joinWindowMs: joinwindow,
  }),
)
