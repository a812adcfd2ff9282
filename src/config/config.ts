import type { Env, Host } from '../db/conninfo.ts'
import { nearest } from '../edge/nearest.ts'
import { printable } from '../edge/printable.ts'
import { doors } from '../doors.ts'
import type { Door, DoorCommand } from '../hub/door.ts'
import { splitArguments } from './arguments.ts'
import { commands, doorCommands } from './commands.ts'
import { UsageError, type Values } from './flag.ts'
import { flags } from './flags.ts'
import { type lastFlags, type ServerConfig, type serverFlags, toServerConfig } from './server-flags.ts'
import { readSettings, type Settings } from './settings.ts'

type DoorConfigs = {
  readonly [D in (typeof doors)[number] as D['name']]: ReturnType<D['flags']['toConfig']>
}

/** What the server is told. Of a door that is not served the config is null. */
export type Config = ServerConfig & Readonly<{ doors: DoorConfigs }>

/** The doors that are to be served, each with its config. */
export function servedDoors(config: Config): readonly Readonly<{ door: Door; config: unknown }>[] {
  return doors
    .map((door) => ({ door, config: config.doors[door.name] }))
    .filter(({ config }) => config !== null)
}

export type Invocation =
  | { command: 'serve' | 'migrate' | 'check' | 'health'; config: Config; settings: Settings }
  | { command: DoorCommand; input: unknown; config: Config; settings: Settings }
  | { command: 'version' }
  | { command: 'help' }

/**
 * Reads the command line, the environment and the file of -config (meeting door spec, Command line).
 *
 * @param args without the names of runtime and script
 * @throws UsageError
 */
export function parseInvocation(args: readonly string[], env: Env, host: Host): Invocation {
  const [first] = args
  const given = first !== undefined && !first.startsWith('-')
  const name = given ? commands.find(({ name }) => name === first)?.name : 'serve'
  if (name === undefined) throw new UsageError(unknownCommand(first ?? ''))
  const { texts, positional, asked } = splitArguments(given ? args.slice(1) : args)
  const told = asked ?? name
  if (told === 'version' || told === 'help') return { command: told }
  const command = doorCommands.find(({ name }) => name === told)
  const input = command?.parse ? command.parse(positional) : takesOnlyFlags(told, positional)
  const settings = readSettings(texts, env, host)
  const config = toConfig(told, settings)
  return command
    ? { command, input, config, settings }
    : { command: told as 'serve' | 'migrate' | 'check' | 'health', config, settings }
}

/** The text of `plenum --help`. */
export function usage(): string {
  const lines = flags.flatMap(({ name, env, value, default: normal, help }) => {
    const twin = `${env}${normal === null ? ', required by serve and check' : normal === '' ? '' : `, default ${normal}`}`
    return [`  -${name}${value === null ? '' : ` ${value}`}  (${twin})`, `        ${help}`]
  })
  const width = 40
  const summary = commands
    .filter(({ name }) => name !== 'version' && name !== 'help')
    .map(({ name, args, help }) => {
      const origin = needsOrigin(name) ? ' -origin ORIGIN' : ''
      const called = `plenum ${name === 'serve' ? `[${name}]` : name}${args && ` ${args}`}${origin} [flags]`
      return `${called.padEnd(width)}${help}`
    })
  return `usage: ${[...summary, 'plenum version | help'].join('\n       ')}

Flags take one dash or two, and their value after a space or =. In parentheses is the environment
variable that counts when the flag is not given.

${lines.join('\n')}
`
}

function toConfig(command: string, settings: Settings): Config {
  const values = Object.fromEntries(Object.entries(settings).map(([name, { value }]) => [name, value]))
  const server = toServerConfig(values as Values<typeof serverFlags & typeof lastFlags>, {
    servesPages: needsOrigin(command),
  })
  const ofDoors = Object.fromEntries(doors.map(({ name, flags }) => [name, flags.toConfig(values)]))
  return Object.freeze({ ...server, doors: ofDoors as DoorConfigs })
}

function needsOrigin(command: string): boolean {
  return command === 'serve' || command === 'check'
}

function unknownCommand(given: string): string {
  const names = commands.map(({ name }) => name)
  const takes = `the first argument takes a command (${names.join(', ')}) or a flag`
  const meant = nearest(given, names)
  return meant ? `${takes}; ${printable(given)} was given: did you mean ${meant}?` : takes
}

function takesOnlyFlags(command: string, positional: readonly string[]): null {
  if (positional.length === 0) return null
  const on = flags.filter(({ value }) => value === null).map(({ name }) => `-${name}=false`)
  throw new UsageError(
    `${command} takes only flags; one argument too many (quote a value with spaces; on-off flags are set as ${on.join(', ')})`,
  )
}
