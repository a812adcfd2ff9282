import { chooseLanguage, chooseTag } from '../../kit/language.ts'
import { de } from './de.ts'
import { en } from './en.ts'
import type { Texts } from './en.ts'
import { fr } from './fr.ts'
import { sv } from './sv.ts'

export type { Texts } from './en.ts'

const catalogues = { en, de, fr, sv }
type Language = keyof typeof catalogues

/** The catalogue for a reader of these languages, and the tag by which dates are written: with the reader's region. */
export function textsFor(wanted: readonly string[]): { language: Language; tag: string; texts: Texts } {
  const language = chooseLanguage(wanted, ['en', 'de', 'fr', 'sv'])
  return { language, tag: chooseTag(wanted, language), texts: catalogues[language] }
}
