/** One answer of a poll with what it has got. */
export type Share = { answer: string; votes: number; /** Of all votes, from 0 to 1. */ part: number }

/** How many votes there are. */
export const sumOf = (tally: readonly number[]): number => tally.reduce((sum, votes) => sum + votes, 0)

/** How votes are divided, in the order of the answers. */
export function sharesOf(answers: readonly string[], tally: readonly number[]): Share[] {
  const all = sumOf(tally)
  return answers.map((answer, index) => {
    const votes = tally[index] ?? 0
    return { answer, votes, part: all === 0 ? 0 : votes / all }
  })
}

/** What is left of a poll, in whole seconds; both by the same clock. */
export function secondsLeft(endsAt: number, now: number): number {
  return Math.max(0, Math.ceil((endsAt - now) / 1000))
}

/** As a clock shows it: 4:05, and 1:04:05 from an hour on. */
export function clockText(seconds: number): string {
  const two = (n: number): string => String(n).padStart(2, '0')
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}
