import { chooseLanguage, speak } from '../kit/language.ts'

const english = speak('en')
const en = {
  screen: 'Big screen',
  present: (n: number) => english.plural(n, 'present', 'present'),
  cast: (n: number) => english.plural(n, 'vote cast', 'votes cast'),
  left: 'left',
  poll: 'Poll',
  standing: {
    pending: 'The meeting has not been opened yet',
    open: 'The meeting is open',
    finished: 'The meeting is finished',
    closed: 'The meeting is closed',
  },
  lost: 'Connection lost. What is shown may be out of date.',
  taken: 'Another screen has taken the place of this one',
  takenMore: 'A link is shown on four screens at most. Load the page again to show the meeting here.',
  refused: 'This link does not show the meeting',
  refusedMore: 'Open it once more from where you got it: its address ends in “/hall”.',
  fullScreen: 'Full screen',
}
type HallTexts = typeof en

const german = speak('de')
const de: HallTexts = {
  screen: 'Leinwand',
  present: (n) => german.plural(n, 'anwesend', 'anwesend'),
  cast: (n) => german.plural(n, 'Stimme abgegeben', 'Stimmen abgegeben'),
  left: 'verbleiben',
  poll: 'Abstimmung',
  standing: {
    pending: 'Die Versammlung ist noch nicht eröffnet',
    open: 'Die Versammlung ist eröffnet',
    finished: 'Die Versammlung ist beendet',
    closed: 'Die Versammlung ist geschlossen',
  },
  lost: 'Verbindung verloren. Was zu sehen ist, kann veraltet sein.',
  taken: 'Ein anderer Bildschirm hat den Platz von diesem eingenommen',
  takenMore:
    'Ein Link wird auf höchstens vier Bildschirmen gezeigt. Laden Sie die Seite neu, um die Versammlung hier zu zeigen.',
  refused: 'Dieser Link zeigt die Versammlung nicht',
  refusedMore: 'Öffnen Sie ihn noch einmal von dort, wo Sie ihn bekommen haben: Er endet auf „/hall“.',
  fullScreen: 'Vollbild',
}

const french = speak('fr')
const fr: HallTexts = {
  screen: 'Grand écran',
  present: (n) => french.plural(n, 'présent', 'présents'),
  cast: (n) => french.plural(n, 'vote exprimé', 'votes exprimés'),
  left: 'restantes',
  poll: 'Vote',
  standing: {
    pending: 'L’assemblée n’est pas encore ouverte',
    open: 'L’assemblée est ouverte',
    finished: 'L’assemblée est terminée',
    closed: 'L’assemblée est close',
  },
  lost: 'Connexion perdue. Ce qui est affiché n’est peut-être plus à jour.',
  taken: 'Un autre écran a pris la place de celui-ci',
  takenMore: 'Un lien s’affiche sur quatre écrans au plus. Rechargez la page pour montrer l’assemblée ici.',
  refused: 'Ce lien ne montre pas l’assemblée',
  refusedMore: 'Ouvrez-le à nouveau là où vous l’avez reçu : son adresse se termine par « /hall ».',
  fullScreen: 'Plein écran',
}

const swedish = speak('sv')
const sv: HallTexts = {
  screen: 'Storbild',
  present: (n) => swedish.plural(n, 'närvarande', 'närvarande'),
  cast: (n) => swedish.plural(n, 'röst avgiven', 'röster avgivna'),
  left: 'kvar',
  poll: 'Omröstning',
  standing: {
    pending: 'Mötet är inte öppnat än',
    open: 'Mötet är öppet',
    finished: 'Mötet är avslutat',
    closed: 'Mötet är stängt',
  },
  lost: 'Anslutningen bröts. Det som visas kan vara inaktuellt.',
  taken: 'En annan skärm har tagit den här skärmens plats',
  takenMore: 'En länk visas på högst fyra skärmar. Ladda om sidan för att visa mötet här.',
  refused: 'Den här länken visar inte mötet',
  refusedMore: 'Öppna den en gång till där du fick den: adressen slutar på ”/hall”.',
  fullScreen: 'Helskärm',
}

const catalogues = { en, de, fr, sv }

/** What this page says beside the meeting page's own words. */
export const hallTextsFor = (wanted: readonly string[]): HallTexts =>
  catalogues[chooseLanguage(wanted, ['en', 'de', 'fr', 'sv'])]

export type { HallTexts }
