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

/**
 * The characters that only say in which direction text runs (UAX #9: marks, embeddings, overrides, isolates), as a class
 * that the regular expressions of JavaScript and of PostgreSQL both understand, whatever the database's encoding is.
 */
export const directionMarks = '[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]'

const everyDirectionMark = new RegExp(directionMarks, 'g')

/**
 * Without them: so does the system say names, questions and answers. One that has such a mark must not turn around what
 * stands beside it. Letters know their direction by themselves.
 */
export const withoutDirections = (text: string): string => text.replace(everyDirectionMark, '')
