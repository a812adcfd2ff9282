/** A piece of HTML. Only `markup` makes one of what others have said. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Part = Markup | string | number | null | readonly Part[]

/**
 * HTML in which all that is put in is text, unless it is a piece made the same way; null is nothing. (A tag called `html`
 * would have prettier put spaces where there must be none.)
 */
export function markup(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(
    strings.map((text, index) => (index === 0 ? text : show(parts[index - 1] ?? null) + text)).join(''),
  )
}

function show(part: Part): string {
  if (part === null) return ''
  if (part instanceof Markup) return part.text
  if (typeof part === 'object') return part.map(show).join('')
  return String(part).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
