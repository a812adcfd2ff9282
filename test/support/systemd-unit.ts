/** The lines of a unit's section, with those that a backslash continues put together. */
export function readSection(unit: string, section: string): [key: string, value: string][] {
  const text = unit.replace(/\\\n\s*/g, '').split(`\n[${section}]\n`)[1]
  if (text === undefined) throw new Error(`there is no section ${section}`)
  return (text.split(/\n\[/)[0] ?? '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
}

/** The words of a service's command, which must have no quotes. */
export function commandOf(unit: string, key: string): string[] {
  const found = readSection(unit, 'Service').find(([name]) => name === key)
  if (!found || /["']/.test(found[1])) throw new Error(`the unit has no plain ${key}`)
  return found[1].split(/\s+/)
}
