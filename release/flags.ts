import { commands } from '../src/config/commands.ts'
import { flags } from '../src/config/flags.ts'

/** What docs/flags.md says, in Markdown: the commands and flags of src/config/ and of the doors. */
export function flagsDocument(): string {
  const entries = flags.map(({ name, env, value, default: normal, meaning, live }) => {
    const set = normal === null ? 'required' : normal === '' ? 'not set' : `default \`${normal}\``
    const reload = live ? ', reloaded' : ''
    return `- \`-${name}${value === null ? '' : ` ${value}`}\` (${set}, \`${env}\`${reload})\n\n${indented(`${meaning}.`)}\n`
  })
  const uses = commands.map(({ name, args, manual }) => {
    const words = [name === 'serve' ? '[serve]' : name, args].filter((word) => word !== '')
    return `- \`plenum ${words.join(' ')}\`\n\n${indented(manual)}\n`
  })
  return `# Commands and flags

This page is made from the tables in the code, by \`npm run docs\`.

## Commands

All commands but \`version\` and \`help\` take flags; only \`serve\` and \`check\` need \`-origin\`. The exit status is 0, or 1 for a
no or a failure. SIGTERM and SIGINT end the server in order, within 10 seconds; a second one ends it at once.

${uses.join('\n')}
## Flags

One dash or two; \`-flag value\` or \`-flag=value\`, of a flag that is on or off \`-flag\` or \`-flag=false\`. The environment variable
counts when the flag is not given. An unknown flag or an unusable value ends the start with one line that names it, and exit
status 2. A running server takes a new value of those that are reloaded at [SIGHUP](operations.md#settings-and-reload).

${entries.join('\n')}`
}

const widest = 110

/** A text as the paragraph of a list's entry; what is in backticks stays on one line. */
function indented(text: string): string {
  const lines: string[] = []
  let line = ' '
  for (const word of text.match(/(?:`[^`]*`|\S)+/g) ?? []) {
    if (line.length + 1 + word.length > widest && line !== ' ') {
      lines.push(line)
      line = ' '
    }
    line += ` ${word}`
  }
  return [...lines, line].join('\n')
}
