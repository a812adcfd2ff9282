import { flags } from '../src/config/flags.ts'

/** What docs/flags.md says, in Markdown: the flags of src/config/ and of the doors. */
export function flagsDocument(): string {
  const entries = flags.map(({ name, env, value, default: normal, meaning, live }) => {
    const set = normal === null ? 'required' : normal === '' ? 'not set' : `default \`${normal}\``
    const reload = live ? ', reloaded' : ''
    return `- \`-${name}${value === null ? '' : ` ${value}`}\` (${set}, \`${env}\`${reload})\n\n  ${meaning}.\n`
  })
  return `# Flags

One dash or two; \`-flag value\` or \`-flag=value\`, of a flag that is on or off \`-flag\` or \`-flag=false\`. The environment variable
counts when the flag is not given. An unknown flag or an unusable value ends the start with one line that names it, and exit
status 2. A running server takes a new value of those that are reloaded at [SIGHUP](../README.md#reload).

This page is made from the tables in the code, by \`npm run docs\`.

${entries.join('\n')}`
}
