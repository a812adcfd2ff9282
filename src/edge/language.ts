/**
 * The language of those offered that an Accept-Language prefers (RFC 9110, 12.5.4), by the first part of its tags; the first one
 * offered where it has none of them.
 */
export function preferredLanguage<Language extends string>(
  accepted: string,
  offered: readonly [Language, ...Language[]],
): Language {
  let [best] = offered
  let bestWeight = 0
  for (const item of accepted.split(',')) {
    const [range = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    const language = offered.find((one) => one === range.split('-')[0])
    const weight = Number(parameters.find((part) => part.startsWith('q='))?.slice(2) ?? '1')
    // Of two that are wanted alike the first one counts.
    if (language === undefined || !(weight > bestWeight)) continue
    best = language
    bestWeight = weight
  }
  return best
}
