import type { Env, Host } from '../db/place.ts'

/** The command line or the environment cannot be used; the message is one line and repeats nothing that may be secret. */
export class UsageError extends Error {}

/** A reason that is worth telling beyond what the flag takes, and safe to tell. */
export class Reason extends Error {}

/** Variables of the environment from the file that -config names, for those that are not in the environment. */
export type SettingsFile = Readonly<{ path: string; variables: ReadonlyMap<string, string> }>

/** What a flag's text may have to be read with. */
export type FlagContext = Readonly<{ env: Env; host: Host; file: SettingsFile | null }>

/** One flag of the command line. Usage text, manual page, docs/flags.md and environment twin are made from it. */
export type Flag<T> = Readonly<{
  /** What stands for the value in the usage; null for a flag that is on or off. */
  value: string | null
  /** As the operator would write it, '' where it is not set; null where it has to be given. */
  default: string | null
  /** One line for the usage text and the manual page. */
  help: string
  /** The same for docs/flags.md, in Markdown, with what an operator has to know besides. */
  meaning: string
  /** Ends the sentence 'the flag takes ...'. */
  takes: string
  /** Behind which flag it is shown; without it behind the one before it in its table. */
  after?: string
  /** Whether a running server takes a new value (SIGHUP). No such value is secret: it is logged. */
  live?: true
  /** Whether nothing, given for it on the command line, is an error: a variable of a shell that was not set. */
  filled?: true
  /** Its value is never repeated. */
  secret?: true
  /** Throws where it cannot use `text`: a `Reason` is told, of any other error it is only told what the flag takes. */
  parse: (text: string, context: FlagContext) => T
}>

export type Flags = Readonly<Record<string, Flag<unknown>>>

/** What the flags of a table are set to. */
export type Values<F extends Flags> = { readonly [Name in keyof F]: ReturnType<F[Name]['parse']> }

/** Flags by their names in the order in which they are shown, and what is made of their values. */
export type FlagTable<Config> = Readonly<{
  flags: Flags
  /** Throws `UsageError` where the values do not go together. */
  toConfig: (values: Readonly<Record<string, unknown>>) => Config
}>

/** Makes a table of flags; `toConfig` gets their values by name. */
export function flagTable<F extends Flags, Config>(
  flags: F,
  toConfig: (values: Values<F>) => Config,
): FlagTable<Config> {
  return { flags, toConfig: (values) => toConfig(values as Values<F>) }
}

export function flag<T>(definition: Flag<T>): Flag<T> {
  return definition
}

const maxSeconds = 86_400

/** A time of `min` seconds or more, in milliseconds. */
export const seconds = (min: number) => ({
  value: 'SECONDS',
  takes: `seconds, ${min} or more`,
  parse: (text: string) => Math.round(parseDecimal(text, min, maxSeconds) * 1000),
})

export const wholeNumber = (min: number, max: number) => ({
  value: 'N',
  takes: `a whole number from ${min} to ${max}`,
  parse: (text: string) => parseWhole(text, min, max),
})

/** A size of at most `max` mebibytes, in bytes. */
export const mebibytes = (max: number) => ({
  value: 'MIB',
  takes: `mebibytes, from 0.001 to ${max}`,
  parse: (text: string) => Math.round(parseDecimal(text, 0.001, max) * 1024 * 1024),
})

export const oneOf = <const Word extends string>(words: readonly Word[]) => ({
  takes: words.join(', '),
  parse(text: string): Word {
    const word = words.find((word) => word === text)
    if (!word) throw new Error('none of the words')
    return word
  },
})

/** Off where it is not given. */
export const onOff = {
  value: null,
  default: 'false',
  takes: 'true or false, after =',
  parse(text: string): boolean {
    if (/^(?:1|t|true)$/i.test(text)) return true
    if (/^(?:0|f|false)$/i.test(text)) return false
    throw new Error('neither true nor false')
  },
} as const

/** A path, null where none is given. */
export const file = {
  value: 'FILE',
  default: '',
  parse(text: string): string | null {
    if (text.includes('\0') || text.includes('\n')) throw new Error('no path')
    return text === '' ? null : text
  },
} as const

/** A decimal number as people write it: without a sign or an exponent. */
export function parseDecimal(text: string, min: number, max: number): number {
  const number = /^(?:\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= min && number <= max)) throw new Error('not such a number')
  return number
}

function parseWhole(text: string, min: number, max: number): number {
  if (!/^\d+$/.test(text)) throw new Error('not a whole number')
  return parseDecimal(text, min, max)
}

/** For messages that are known to repeat no value. */
export function withReason<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new Reason(error instanceof Error ? error.message : 'unusable', { cause: error })
  }
}

/** The environment variable that counts where the flag is not given. */
export function envTwin(name: string): string {
  return `PLENUM_${name.toUpperCase().replaceAll('-', '_')}`
}
