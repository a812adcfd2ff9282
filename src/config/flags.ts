import { doors } from '../doors.ts'
import { envTwin, type Flag } from './flag.ts'
import { lastFlags, serverFlags } from './server-flags.ts'

/** All flags by their names, in the order in which they are shown. */
export const flagsByName: ReadonlyMap<string, Flag<unknown>> = collect()

/** What is to be known of each flag to document it, in the order of the usage text. */
export const flags: readonly Readonly<{
  name: string
  env: string
  value: string | null
  default: string | null
  help: string
  meaning: string
  live: boolean
}>[] = Array.from(flagsByName, ([name, { value, default: normal, help, meaning, live = false }]) => ({
  name,
  env: envTwin(name),
  value,
  default: normal,
  help,
  meaning,
  live,
}))

function collect(): Map<string, Flag<unknown>> {
  const shown: [string, Flag<unknown>][] = []
  const tables = [serverFlags, ...doors.map(({ flags: { flags } }) => flags), lastFlags]
  for (const [name, flag] of tables.flatMap((table) => Object.entries<Flag<unknown>>(table))) {
    if (shown.some(([other]) => other === name)) throw new Error(`there are two flags -${name}`)
    const before = shown.findIndex(([other]) => other === flag.after)
    shown.splice(before < 0 ? shown.length : before + 1, 0, [name, flag])
  }
  return new Map(shown)
}
