import { nearest } from '../edge/nearest.ts'
import { UsageError } from './flag.ts'
import { flagsByName } from './flags.ts'

/** What the command line says behind the command: flags by their names, and the rest. */
export type Arguments = {
  texts: ReadonlyMap<string, string>
  positional: readonly string[]
  /** What is wanted in place of the command. */
  asked: 'version' | 'help' | null
}

/**
 * Takes the command line apart, as Go's flag package does, except that flags may also stand behind positional arguments:
 * one dash or two, the value after a space or =, of flags that are on or off after = only; the last one counts.
 *
 * @throws UsageError
 */
export function splitArguments(args: readonly string[]): Arguments {
  const texts = new Map<string, string>()
  const positional: string[] = []
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? ''
    if (arg === '--') {
      positional.push(...args.slice(index + 1))
      break
    }
    if (!arg.startsWith('-') || arg === '-') {
      positional.push(arg)
      continue
    }
    const [, name = '', inline] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? []
    if (name === 'h' || name === 'help') return { texts, positional, asked: 'help' }
    if (name === 'version') return { texts, positional, asked: 'version' }
    const flag = flagsByName.get(name)
    if (!flag) throw new UsageError(unknownFlag(name))
    if (inline !== undefined) texts.set(name, inline)
    else if (flag.value === null) texts.set(name, 'true')
    else if (index + 1 < args.length) texts.set(name, args[++index] ?? '')
    else throw new UsageError(`-${name} takes ${flag.takes}`)
  }
  return { texts, positional, asked: null }
}

function unknownFlag(name: string): string {
  // Whatever else it is may be a password that went astray.
  if (!/^[a-z][\w-]{0,30}$/i.test(name)) return 'an argument that begins with - is not a flag'
  const meant = nearest(name, [...flagsByName.keys()])
  return `-${name} is not a flag: ${meant ? `did you mean -${meant}?` : '"plenum help" lists them'}`
}
