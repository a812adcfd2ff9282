/** One assignment of a file of environment variables, and where it stands. */
export type Assignment = Readonly<{ name: string; value: string; line: number }>

/**
 * Reads what systemd takes as an EnvironmentFile: `NAME=value` a line, values bare or in quotes of either kind, comments
 * that begin with `#` or `;`, a backslash before what is to be taken as it stands or before a line's end. Other than
 * systemd it passes over nothing: a line that would have no effect is a mistake.
 *
 * @throws Error that names the line and repeats nothing of it
 */
export function parseEnvFile(text: string): Assignment[] {
  const assignments: Assignment[] = []
  const lines = text.split('\n')
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1
    const [, name, rest] = /^\s*([A-Za-z_]\w*)\s*=(.*)$/s.exec(lines[index] ?? '') ?? []
    if (name === undefined || rest === undefined) {
      if (!/^\s*([#;].*)?$/s.test(lines[index] ?? '')) throw new Error(`line ${line} is not NAME=value`)
      continue
    }
    let value = rest
    while (endsWithin(value) && index + 1 < lines.length) value += `\n${lines[++index]}`
    const bare = unquote(value.trim())
    if (bare === null) throw new Error(`line ${line} has a quote that is not closed, or text behind one`)
    assignments.push({ name, value: bare, line })
  }
  return assignments
}

/** Whether the last thing is a backslash that is not itself taken as it stands. */
function endsWithin(value: string): boolean {
  return (/\\+$/.exec(value)?.[0].length ?? 0) % 2 === 1
}

function unquote(value: string): string | null {
  if (value.startsWith("'")) return /^'([^']*)'$/.exec(value)?.[1] ?? null
  if (value.startsWith('"')) {
    const inner = /^"((?:[^"\\]|\\.)*)"$/s.exec(value)?.[1]
    return inner?.replace(/\\(["\\`$\n])/g, (_, one: string) => (one === '\n' ? '' : one)) ?? null
  }
  return value.replace(/\\(.|\n|$)/g, (_, one: string) => (one === '\n' ? '' : one))
}
