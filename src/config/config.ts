import type { Env, Host } from '../db/conninfo.ts'
import { nearest } from '../edge/nearest.ts'
import { printable } from '../edge/printable.ts'
import { doors } from '../doors.ts'
import type { Door } from '../hub/door.ts'
import { splitArguments } from './arguments.ts'
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
  | { command: 'serve' | 'migrate' | 'check' | 'health' | 'meetings'; config: Config; settings: Settings }
  | { command: MemberCommand; config: Config; meeting: number; member: number | string }
  | { command: 'version' }
  | { command: 'help' }

const maxId = Number.MAX_SAFE_INTEGER

const memberCommands = ['kick', 'unban', 'admit'] as const
/** What is done to a member of a meeting. */
export type MemberCommand = (typeof memberCommands)[number]
export const commands = [
  'serve',
  'migrate',
  'check',
  'health',
  'meetings',
  ...memberCommands,
  'version',
  'help',
] as const
export type Command = (typeof commands)[number]

/**
 * Reads the command line, the environment and the file of -config (meeting door spec, Command line).
 *
 * @param args without the names of runtime and script
 * @throws UsageError
 */
export function parseInvocation(args: readonly string[], env: Env, host: Host): Invocation {
  const [first] = args
  const given = first !== undefined && !first.startsWith('-')
  const command = given ? commands.find((name) => name === first) : 'serve'
  if (!command) throw new UsageError(unknownCommand(first ?? ''))
  const { texts, positional, asked } = splitArguments(given ? args.slice(1) : args)
  const told = asked ?? command
  if (told === 'version' || told === 'help') return { command: told }
  checkPositional(told, positional)
  const settings = readSettings(texts, env, host)
  const config = toConfig(told, settings)
  if (!isMemberCommand(told)) return { command: told, config, settings }
  return { command: told, config, ...parseMember(told, positional) }
}

/** The text of `plenum --help`. */
export function usage(): string {
  const lines = flags.flatMap(({ name, env, value, default: normal, help }) => {
    const twin = `${env}${normal === null ? ', required by serve and check' : normal === '' ? '' : `, default ${normal}`}`
    return [`  -${name}${value === null ? '' : ` ${value}`}  (${twin})`, `        ${help}`]
  })
  return `usage: plenum [serve] -origin ORIGIN [flags]   serve meetings
       plenum migrate [flags]                  create or update Plenum's tables, then end
       plenum check -origin ORIGIN [flags]     check configuration and database, then end
       plenum health [flags]                   ask the server at -adminlisten or -listen if it is ready
       plenum meetings [flags]                 list meetings, their states, and who is in them
       plenum kick MEETING MEMBER [flags]      disconnect a member, without return
       plenum unban MEETING MEMBER [flags]     let a member enter who was kicked without return
       plenum admit MEETING MEMBER [flags]     let a member into an open meeting who comes late
       plenum version | help

Flags take one dash or two, and their value after a space or =. In parentheses is the environment
variable that counts when the flag is not given.

${lines.join('\n')}
`
}

function toConfig(command: Command, settings: Settings): Config {
  const values = Object.fromEntries(Object.entries(settings).map(([name, { value }]) => [name, value]))
  const server = toServerConfig(values as Values<typeof serverFlags & typeof lastFlags>, {
    servesPages: command === 'serve' || command === 'check',
  })
  const ofDoors = Object.fromEntries(doors.map(({ name, flags }) => [name, flags.toConfig(values)]))
  return Object.freeze({ ...server, doors: ofDoors as DoorConfigs })
}

function unknownCommand(given: string): string {
  const takes = `the first argument takes a command (${commands.join(', ')}) or a flag`
  const meant = nearest(given, commands)
  return meant ? `${takes}; ${printable(given)} was given: did you mean ${meant}?` : takes
}

function checkPositional(command: Command, positional: readonly string[]): void {
  if (isMemberCommand(command)) {
    parseMember(command, positional)
    return
  }
  if (positional.length > 0) {
    const on = flags.filter(({ value }) => value === null).map(({ name }) => `-${name}=false`)
    throw new UsageError(
      `${command} takes only flags; one argument too many (quote a value with spaces; on-off flags are set as ${on.join(', ')})`,
    )
  }
}

function isMemberCommand(command: Command): command is MemberCommand {
  return memberCommands.some((one) => one === command)
}

/** A name may be several arguments. */
function parseMember(
  command: MemberCommand,
  [first = '', ...others]: readonly string[],
): { meeting: number; member: number | string } {
  const meeting = parseId(first)
  const text = others.join(' ').trim()
  const member = /^[-+.\d\s]+$/.test(text) ? parseId(text) : text
  if (meeting === 0 || member === 0 || member === '')
    throw new UsageError(
      `${command} takes MEETING (its id) and MEMBER (the user id, or the name); "plenum meetings" lists them`,
    )
  return { meeting, member }
}

/** 0 for what is no id. */
function parseId(text: string): number {
  const id = /^\d{1,16}$/.test(text) ? Number(text) : 0
  return id <= maxId ? id : 0
}
