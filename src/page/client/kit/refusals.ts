import { speak } from './language.ts'

type Language = 'en' | 'de' | 'fr' | 'sv'

/** What the reader is told, by what the server says: # stands for each of its numbers, and any number for any other. */
export type RefusalTexts = Readonly<Record<string, string>>

/** Those of every page on which somebody speaks or draws: of the database (src/db/failure.ts), and of all doors. */
const common = {
  en: {
    'The database refuses this: please change it, or tell the organisers':
      'The database refuses this: please change it, or tell the organisers.',
    'The database lacks one of these characters: please leave it out':
      'The database lacks one of these characters: please leave it out.',
    'The database refuses this as too long: please make it shorter':
      'The database refuses this as too long: please make it shorter.',
    'You are sending too fast': 'You are sending too fast: wait a moment.',
    'Message too long, at most # characters':
      'Message too long, at most # characters: please make it shorter.',
  },
  de: {
    'The database refuses this: please change it, or tell the organisers':
      'Die Datenbank nimmt das nicht an: Bitte ändern Sie es, oder sagen Sie es den Veranstaltern.',
    'The database lacks one of these characters: please leave it out':
      'Eines dieser Zeichen kennt die Datenbank nicht: Bitte lassen Sie es weg.',
    'The database refuses this as too long: please make it shorter':
      'Das ist der Datenbank zu lang: Bitte kürzen Sie es.',
    'You are sending too fast': 'Sie senden zu schnell: Warten Sie einen Moment.',
    'Message too long, at most # characters':
      'Die Nachricht ist zu lang: höchstens # Zeichen. Bitte kürzen Sie sie.',
  },
  fr: {
    'The database refuses this: please change it, or tell the organisers':
      'La base de données refuse ceci : modifiez-le, ou prévenez les organisateurs.',
    'The database lacks one of these characters: please leave it out':
      'La base de données ne connaît pas l’un de ces caractères : retirez-le.',
    'The database refuses this as too long: please make it shorter':
      'La base de données trouve ceci trop long : raccourcissez-le.',
    'You are sending too fast': 'Vous envoyez trop vite : attendez un instant.',
    'Message too long, at most # characters':
      'Le message est trop long : # caractères au plus. Raccourcissez-le.',
  },
  sv: {
    'The database refuses this: please change it, or tell the organisers':
      'Databasen tar inte emot detta: ändra det, eller säg till arrangörerna.',
    'The database lacks one of these characters: please leave it out':
      'Databasen saknar ett av tecknen: ta bort det.',
    'The database refuses this as too long: please make it shorter':
      'Detta är för långt för databasen: gör det kortare.',
    'You are sending too fast': 'Du skickar för fort: vänta ett ögonblick.',
    'Message too long, at most # characters': 'Meddelandet är för långt: högst # tecken. Gör det kortare.',
  },
} as const satisfies Record<Language, RefusalTexts>

/** What is said by every door to what no page of this version sends. */
const misunderstood = [
  'Only text frames of UTF-8 are understood',
  'Invalid JSON',
  'A JSON object is expected',
  'Invalid id',
  'Invalid or no message',
] as const

/** Of what the server does not understand: then the page is older or newer than it is. */
const reload: Record<Language, string> = {
  en: 'The server does not understand this page. Please load the page anew; if that does not help, tell the organisers.',
  de: 'Der Server versteht diese Seite nicht. Bitte laden Sie die Seite neu; hilft das nicht, sagen Sie es den Veranstaltern.',
  fr: 'Le serveur ne comprend pas cette page. Rechargez la page ; si cela n’aide pas, prévenez les organisateurs.',
  sv: 'Servern förstår inte sidan. Ladda om sidan; hjälper det inte, säg till arrangörerna.',
}

const unknown: Record<Language, (said: string) => string> = {
  en: (said) => `The server says: ${said}`,
  de: (said) => `Der Server sagt: ${said}`,
  fr: (said) => `Le serveur dit : ${said}`,
  sv: (said) => `Servern säger: ${said}`,
}

/**
 * Says in a language what the server has said in English. `texts`: the page's own, beside those of all pages; `technical`: what
 * is said to what the page never sends. What is in none of them is shown as the server's words.
 */
export function refusalsIn(
  language: Language,
  texts: RefusalTexts,
  technical: readonly string[],
): (said: string) => string {
  const { number } = speak(language)
  const known = new Map<string, string>()
  for (const text of [...misunderstood, ...technical]) known.set(withoutNumbers(text), reload[language])
  for (const [said, text] of Object.entries({ ...common[language], ...texts }))
    known.set(withoutNumbers(said), text)
  return (said) => {
    const found = known.get(withoutNumbers(said))
    if (found === undefined) return unknown[language](said)
    const numbers = said.match(/\d+/g) ?? []
    let next = 0
    return found.replaceAll('#', () => number(Number(numbers[next++])))
  }
}

const withoutNumbers = (text: string): string => text.replaceAll(/\d+/g, '#')

const originRefused: Record<Language, (origin: string) => string> = {
  en: (origin) =>
    `This server takes no connections from pages at ${origin}. Please tell the organisers: its operator has to name this address in -origin.`,
  de: (origin) =>
    `Dieser Server nimmt keine Verbindungen von Seiten unter ${origin} an. Bitte sagen Sie es den Veranstaltern: Wer ihn betreibt, muss diese Adresse in -origin nennen.`,
  fr: (origin) =>
    `Ce serveur n’accepte aucune connexion des pages de ${origin}. Prévenez les organisateurs : l’exploitant doit indiquer cette adresse dans -origin.`,
  sv: (origin) =>
    `Den här servern tar inte emot anslutningar från sidor på ${origin}. Säg till arrangörerna: den som driver servern måste ange adressen i -origin.`,
}

/** What people read on a page of an origin that the server does not let in. */
export const originRefusedIn = (language: Language): ((origin: string) => string) => originRefused[language]
