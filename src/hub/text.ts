/** Whether `text` has at most so many characters, of which some are two units of a string. */
export const isAtMost = (text: string, limit: number): boolean =>
  text.length <= limit || Array.from(text).length <= limit

/**
 * Control characters but newline and tab are removed, lone surrogates replaced: PostgreSQL stores neither NUL nor
 * broken UTF-16.
 */
export function cleanText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  return text.toWellFormed().replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
}
