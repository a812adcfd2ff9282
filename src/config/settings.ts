import { isDeepStrictEqual } from 'node:util'
import { databaseVariables, type Env, type Host, unsupportedVariables } from '../db/conninfo.ts'
import { cannotRead } from '../db/place.ts'
import { nearest } from '../edge/nearest.ts'
import { printable } from '../edge/printable.ts'
import { parseEnvFile } from './env-file.ts'
import { envTwin, type FlagContext, Reason, UsageError } from './flag.ts'
import { flagsByName } from './flags.ts'
import { lastFlags, type serverFlags } from './server-flags.ts'

/** What a flag is set to, by whichever way, as it was written and as it was understood. May hold a password. */
export type Setting = Readonly<{ text: string | null; value: unknown }>

/** Settings by the names of their flags: there is one for each. */
export type Settings = Readonly<Record<string, Setting>> &
  Readonly<Record<keyof typeof serverFlags | keyof typeof lastFlags, Setting>>

/** Of a value that is shown. */
const maxShown = 60

const fileVariables = new Set([
  ...Array.from(flagsByName.keys(), envTwin),
  ...databaseVariables,
  ...unsupportedVariables,
])

/**
 * Reads what each flag is set to: on the command line (`texts`), else in the environment, else in the file of -config, else
 * by its default.
 *
 * @throws UsageError
 */
export function readSettings(texts: ReadonlyMap<string, string>, env: Env, host: Host): Settings {
  const context = withFile(texts.get('config'), env, host)
  return Object.fromEntries(
    Array.from(flagsByName.keys(), (name) => [name, readSetting(name, texts.get(name), context)]),
  ) as Settings
}

function withFile(given: string | undefined, env: Env, host: Host): FlagContext {
  const none = { env, host, file: null }
  const { value: path } = readSetting('config', given, none)
  if (typeof path !== 'string') return none
  const where = given === undefined ? ` (from ${envTwin('config')})` : ''
  const refuse = (reason: string): never => {
    throw new UsageError(`-config${where} takes ${lastFlags.config.takes}: ${path}${reason}`)
  }
  const text = host.readFile(path) ?? refuse(cannotRead(path, host).slice(path.length))
  const variables = new Map<string, string>()
  try {
    for (const { name, value, line } of parseEnvFile(text)) {
      if (!fileVariables.has(name) || name === envTwin('config')) refuse(`: ${unknownVariable(name, line)}`)
      variables.set(name, value)
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
    refuse(`: ${error instanceof Error ? error.message : 'unusable'}`)
  }
  const merged = Array.from(fileVariables, (name) => [name, env[name] || variables.get(name)])
  return { env: Object.fromEntries(merged) as Env, host, file: { path, variables } }
}

function unknownVariable(name: string, line: number): string {
  const what = /^[A-Z][A-Z0-9_]{0,30}$/.test(name) ? name : 'what it sets'
  const meant = nearest(name, [...fileVariables])
  const hint = meant && meant !== name ? `: did you mean ${meant}?` : ''
  return `line ${line}: ${what} is no variable of Plenum's or PostgreSQL's that may stand there${hint}`
}

/** The flag, else its environment twin unless that is empty, else the default. */
function readSetting(name: string, given: string | undefined, context: FlagContext): Setting {
  const flag = flagsByName.get(name)
  if (!flag) throw new Error(`there is no flag -${name}`)
  const twin = context.env[envTwin(name)] || undefined
  const text = given ?? twin ?? flag.default
  if (text === null) return { text, value: null }
  try {
    if (given === '' && flag.filled) throw new Reason('nothing was given')
    return { text, value: flag.parse(text, context) }
  } catch (error) {
    const inFile = context.file?.variables.get(envTwin(name)) === twin ? ` in ${context.file?.path}` : ''
    const where = given === undefined && twin !== undefined ? ` (from ${envTwin(name)}${inFile})` : ''
    const reason = error instanceof Reason ? `: ${error.message}` : ''
    // What is on the command line is no secret, but for what may have been meant for another flag.
    const shown = given !== undefined && given !== '' && !flag.secret && !/@|pass/i.test(given)
    const was = shown ? `; ${printable(given.slice(0, maxShown))} was given` : ''
    throw new UsageError(`-${name}${where} takes ${flag.takes}${reason}${was}`, { cause: error })
  }
}

/**
 * What has changed between two readings of the settings: `taken` has what a running server takes, with its new value,
 * `later` what it takes at its next start. `settings` is what the server runs with once the former are taken.
 */
export function compareSettings(
  running: Settings,
  read: Settings,
): { taken: Record<string, string>; later: string[]; settings: Settings } {
  const changed = Array.from(flagsByName.keys()).filter(
    (name) => !isDeepStrictEqual(running[name]?.value, read[name]?.value),
  )
  // A server that speaks TLS may be given other files; whether it does is settled when it starts.
  const takes = (name: string): boolean =>
    (flagsByName.get(name)?.live ?? false) &&
    (!['tlscert', 'tlskey'].includes(name) ||
      (running[name]?.value === null) === (read[name]?.value === null))
  const taken = changed.filter(takes)
  return {
    taken: Object.fromEntries(taken.map((name) => [name, read[name]?.text ?? ''])),
    later: changed.filter((name) => !takes(name)),
    settings: { ...running, ...Object.fromEntries(taken.map((name) => [name, read[name]])) } as Settings,
  }
}
