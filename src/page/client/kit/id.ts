/** An id that nobody guesses or has twice: 120 bits, in letters that a command's id may have. Works without TLS too. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(15))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
}
