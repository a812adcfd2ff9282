/** The first of the reader's languages that there is, by its tag's first part; else the first one there is. */
export function chooseLanguage<Language extends string>(
  wanted: readonly string[],
  offered: readonly [Language, ...Language[]],
): Language {
  for (const tag of wanted) {
    const language = tag.toLowerCase().split(/[-_]/)[0]
    const found = offered.find((one) => one === language)
    if (found !== undefined) return found
  }
  return offered[0]
}

/** The reader's first tag of the language, with its region: dates are written by it. Some systems' tags are none. */
export function chooseTag(wanted: readonly string[], language: string): string {
  const isOne = (tag: string): boolean => {
    try {
      return Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0
    } catch {
      return false
    }
  }
  const found = wanted.find((tag) => tag.toLowerCase().split('-')[0] === language && isOne(tag))
  return found ?? language
}

/** Numbers and plurals of a language, for its catalogue. */
export function speak(language: string) {
  const rules = new Intl.PluralRules(language)
  const numbers = new Intl.NumberFormat(language)
  const percents = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 })
  const lists = new Intl.ListFormat(language)
  return {
    number: (n: number) => numbers.format(n),
    percent: (part: number) => percents.format(part),
    list: (items: readonly string[]) => lists.format(items),
    /** `n` with its noun in the right form; # stands for the number. */
    plural: (n: number, one: string, other: string) =>
      (rules.select(n) === 'one' ? one : other).replaceAll('#', numbers.format(n)),
  }
}
