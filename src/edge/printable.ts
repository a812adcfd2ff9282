/**
 * Text of others, in quotes, so that it does nothing in a terminal: control characters, and marks that hide text or turn
 * it around, are written as escapes.
 */
export function printable(text: string): string {
  return JSON.stringify(text).replace(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, (one) =>
    Array.from(
      { length: one.length },
      (_, n) => `\\u${one.charCodeAt(n).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
