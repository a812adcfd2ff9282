import { preferredLanguage } from '../../edge/language.ts'
import type { PollEnding } from '../rules/poll.ts'

/** The page's words in one language; what members have said stays as it was said. */
export type Words = {
  language: string
  back: string
  print: string
  record: string
  scheduled: string
  opened: string
  finished: string
  timezone: string
  contents: string
  lines: (count: string, one: boolean) => string
  speakers: (count: string, one: boolean) => string
  notFinal: (asOf: string) => string
  notOpened: string
  neverOpened: string
  presentTitle: string
  members: (count: string, one: boolean) => string
  /** How many of the members were there by a proxy. */
  byProxy: (count: string) => string
  /** What stands before the name of a proxy. */
  proxy: string
  pollsTitle: string
  poll: (number: string) => string
  answer: string
  votes: string
  share: string
  /** What is said of the answer, or of the several, with the most votes. */
  most: string
  tied: string
  /** `present`: how many could have voted; null where that is not known. */
  voters: (count: string, one: boolean, present: string | null) => string
  /** What stands before and after the name of who put a poll. */
  startedBy: readonly [string, string]
  someone: string
  from: (opened: string) => string
  fromTo: (opened: string, ended: string) => string
  endings: Record<PollEnding | 'underWay', string>
  proceedings: string
  downloads: string
  linesTable: string
  pollsTable: string
  data: string
  keepAddress: string
  refusedTitle: string
  refused: string
  unavailableTitle: string
  unavailable: string
  unreadableTitle: string
  unreadable: string
}

const english: Words = {
  language: 'en',
  back: 'To the meeting',
  print: 'Print',
  record: 'Record of the meeting',
  scheduled: 'Scheduled for',
  opened: 'Opened',
  finished: 'Finished',
  timezone: 'Time zone',
  contents: 'Contents',
  lines: (count, one) => `${count} ${one ? 'line' : 'lines'}`,
  speakers: (count, one) => `${count} ${one ? 'member' : 'members'} spoke`,
  notFinal: (asOf) => `Not final. The meeting is not over; this is its record up to ${asOf}.`,
  notOpened: 'This meeting has not been opened yet. Its record begins when it is.',
  neverOpened: 'This meeting has no record, for it was never opened.',
  presentTitle: 'Present',
  members: (count, one) => `${count} ${one ? 'member' : 'members'}`,
  byProxy: (count) => `${count} of them by proxy`,
  proxy: 'represented by ',
  pollsTitle: 'Polls',
  poll: (number) => `Poll ${number}`,
  answer: 'Answer',
  votes: 'Votes',
  share: 'Share',
  most: 'Most votes',
  tied: 'Tied',
  voters: (count, one, present) =>
    present === null
      ? `${count} ${one ? 'member' : 'members'} voted.`
      : `${count} of the ${present} present voted.`,
  startedBy: ['Put by ', '.'],
  someone: 'somebody who is no longer a member',
  from: (opened) => `From ${opened}.`,
  fromTo: (opened, ended) => `From ${opened} to ${ended}.`,
  endings: {
    voted: 'Everyone present had voted.',
    time: 'Its time was up.',
    finished: 'It ended with the meeting.',
    aborted: 'Aborted: there is no result.',
    underWay: 'Still under way: these are the votes so far.',
  },
  proceedings: 'Proceedings',
  downloads: 'Download',
  linesTable: 'Proceedings (CSV)',
  pollsTable: 'Polls (CSV)',
  data: 'All of it (JSON)',
  keepAddress:
    'The address of this page is your key to the meeting. Print without the browser’s headers and footers, and give away the paper or a file, never the address.',
  refusedTitle: 'No record here',
  refused: 'There is no record at this address, or it is not for you. Open it from the page of the meeting.',
  unavailableTitle: 'Not just now',
  unavailable: 'The database of the meetings does not answer. Please try again in a moment.',
  unreadableTitle: 'The record cannot be read',
  unreadable: 'The database of the meetings refuses to give this record. Please tell the organisers.',
}

const german: Words = {
  language: 'de',
  back: 'Zur Versammlung',
  print: 'Drucken',
  record: 'Protokoll der Versammlung',
  scheduled: 'Angesetzt für',
  opened: 'Eröffnet',
  finished: 'Beendet',
  timezone: 'Zeitzone',
  contents: 'Umfang',
  lines: (count, one) => `${count} ${one ? 'Zeile' : 'Zeilen'}`,
  speakers: (count, one) => (one ? `${count} Mitglied sprach` : `${count} Mitglieder sprachen`),
  notFinal: (asOf) =>
    `Nicht endgültig. Die Versammlung ist nicht zu Ende; dies ist das Protokoll bis ${asOf}.`,
  notOpened: 'Diese Versammlung ist noch nicht eröffnet. Das Protokoll beginnt mit der Eröffnung.',
  neverOpened: 'Zu dieser Versammlung gibt es kein Protokoll, denn sie wurde nie eröffnet.',
  presentTitle: 'Anwesend',
  members: (count, one) => `${count} ${one ? 'Mitglied' : 'Mitglieder'}`,
  byProxy: (count) => `davon ${count} vertreten`,
  proxy: 'vertreten durch ',
  pollsTitle: 'Abstimmungen',
  poll: (number) => `Abstimmung ${number}`,
  answer: 'Antwort',
  votes: 'Stimmen',
  share: 'Anteil',
  most: 'Meiste Stimmen',
  tied: 'Gleichstand',
  voters: (count, one, present) => {
    const verb = one ? 'stimmte' : 'stimmten'
    return present === null
      ? `${count} ${one ? 'Mitglied' : 'Mitglieder'} ${verb} ab.`
      : `${count} von ${present} Anwesenden ${verb} ab.`
  },
  startedBy: ['Gestellt von ', '.'],
  someone: 'jemandem, der kein Mitglied mehr ist',
  from: (opened) => `Ab ${opened}.`,
  fromTo: (opened, ended) => `Von ${opened} bis ${ended}.`,
  endings: {
    voted: 'Alle Anwesenden hatten abgestimmt.',
    time: 'Die Zeit war abgelaufen.',
    finished: 'Sie endete mit der Versammlung.',
    aborted: 'Abgebrochen: ohne Ergebnis.',
    underWay: 'Noch im Gange: dies sind die bisherigen Stimmen.',
  },
  proceedings: 'Verlauf',
  downloads: 'Herunterladen',
  linesTable: 'Verlauf (CSV)',
  pollsTable: 'Abstimmungen (CSV)',
  data: 'Alles (JSON)',
  keepAddress:
    'Die Adresse dieser Seite ist Ihr Schlüssel zur Versammlung. Drucken Sie ohne Kopf- und Fußzeilen des Browsers, und geben Sie Papier oder Dateien weiter, nie die Adresse.',
  refusedTitle: 'Hier ist kein Protokoll',
  refused:
    'An dieser Adresse gibt es kein Protokoll, oder es ist nicht für Sie bestimmt. Öffnen Sie es von der Seite der Versammlung aus.',
  unavailableTitle: 'Im Moment nicht',
  unavailable: 'Die Datenbank der Versammlungen antwortet nicht. Bitte versuchen Sie es gleich noch einmal.',
  unreadableTitle: 'Das Protokoll ist nicht lesbar',
  unreadable:
    'Die Datenbank der Versammlungen gibt dieses Protokoll nicht heraus. Bitte sagen Sie es den Veranstaltern.',
}

const french: Words = {
  language: 'fr',
  back: 'Vers la réunion',
  print: 'Imprimer',
  record: 'Procès-verbal de la réunion',
  scheduled: 'Prévue pour',
  opened: 'Ouverte',
  finished: 'Terminée',
  timezone: 'Fuseau horaire',
  contents: 'Contenu',
  lines: (count, one) => `${count} ${one ? 'ligne' : 'lignes'}`,
  speakers: (count, one) => `${count} ${one ? 'membre a pris' : 'membres ont pris'} la parole`,
  notFinal: (asOf) =>
    `Non définitif. La réunion n’est pas terminée ; ceci est le procès-verbal jusqu’à ${asOf}.`,
  notOpened: 'Cette réunion n’est pas encore ouverte. Le procès-verbal commence à l’ouverture.',
  neverOpened: 'Cette réunion n’a pas de procès-verbal, car elle n’a jamais été ouverte.',
  presentTitle: 'Présences',
  members: (count, one) => `${count} ${one ? 'membre' : 'membres'}`,
  byProxy: (count) => `dont ${count} par procuration`,
  proxy: 'par procuration : ',
  pollsTitle: 'Votes',
  poll: (number) => `Vote ${number}`,
  answer: 'Réponse',
  votes: 'Voix',
  share: 'Part',
  most: 'Le plus de voix',
  tied: 'À égalité',
  voters: (count, one, present) => {
    const verb = one ? 'a voté' : 'ont voté'
    return present === null
      ? `${count} ${one ? 'membre' : 'membres'} ${verb}.`
      : `Sur ${present} personnes présentes, ${count} ${verb}.`
  },
  startedBy: ['Soumis par ', '.'],
  someone: 'une personne qui n’est plus membre',
  from: (opened) => `À partir de ${opened}.`,
  fromTo: (opened, ended) => `De ${opened} à ${ended}.`,
  endings: {
    voted: 'Toutes les personnes présentes avaient voté.',
    time: 'Le temps était écoulé.',
    finished: 'Il a pris fin avec la réunion.',
    aborted: 'Annulé : sans résultat.',
    underWay: 'Encore en cours : voici les voix exprimées jusqu’ici.',
  },
  proceedings: 'Déroulement',
  downloads: 'Télécharger',
  linesTable: 'Déroulement (CSV)',
  pollsTable: 'Votes (CSV)',
  data: 'Tout (JSON)',
  keepAddress:
    'L’adresse de cette page est votre clé de la réunion. Imprimez sans les en-têtes et pieds de page du navigateur, et transmettez le papier ou un fichier, jamais l’adresse.',
  refusedTitle: 'Pas de procès-verbal ici',
  refused:
    'Il n’y a pas de procès-verbal à cette adresse, ou il ne vous est pas destiné. Ouvrez-le depuis la page de la réunion.',
  unavailableTitle: 'Pas pour le moment',
  unavailable: 'La base de données des réunions ne répond pas. Veuillez réessayer dans un instant.',
  unreadableTitle: 'Le procès-verbal est illisible',
  unreadable:
    'La base de données des réunions refuse de donner ce procès-verbal. Veuillez prévenir les organisateurs.',
}

const swedish: Words = {
  language: 'sv',
  back: 'Till mötet',
  print: 'Skriv ut',
  record: 'Mötesprotokoll',
  scheduled: 'Planerat till',
  opened: 'Öppnat',
  finished: 'Avslutat',
  timezone: 'Tidszon',
  contents: 'Innehåll',
  lines: (count, one) => `${count} ${one ? 'rad' : 'rader'}`,
  speakers: (count, one) => `${count} ${one ? 'medlem' : 'medlemmar'} yttrade sig`,
  notFinal: (asOf) => `Inte slutgiltigt. Mötet är inte slut; detta är protokollet fram till ${asOf}.`,
  notOpened: 'Mötet har inte öppnats än. Protokollet börjar när det öppnas.',
  neverOpened: 'Mötet har inget protokoll, eftersom det aldrig öppnades.',
  presentTitle: 'Närvarande',
  members: (count, one) => `${count} ${one ? 'medlem' : 'medlemmar'}`,
  byProxy: (count) => `varav ${count} genom ombud`,
  proxy: 'genom ombudet ',
  pollsTitle: 'Omröstningar',
  poll: (number) => `Omröstning ${number}`,
  answer: 'Svar',
  votes: 'Röster',
  share: 'Andel',
  most: 'Flest röster',
  tied: 'Lika många röster',
  voters: (count, one, present) =>
    present === null
      ? `${count} ${one ? 'medlem' : 'medlemmar'} röstade.`
      : `${count} av ${present} närvarande röstade.`,
  startedBy: ['Ställd av ', '.'],
  someone: 'någon som inte längre är medlem',
  from: (opened) => `Från ${opened}.`,
  fromTo: (opened, ended) => `Från ${opened} till ${ended}.`,
  endings: {
    voted: 'Alla närvarande hade röstat.',
    time: 'Tiden var ute.',
    finished: 'Den slutade med mötet.',
    aborted: 'Avbruten: det finns inget resultat.',
    underWay: 'Pågår ännu: detta är rösterna hittills.',
  },
  proceedings: 'Förlopp',
  downloads: 'Ladda ner',
  linesTable: 'Förlopp (CSV)',
  pollsTable: 'Omröstningar (CSV)',
  data: 'Allt (JSON)',
  keepAddress:
    'Sidans adress är din nyckel till mötet. Skriv ut utan webbläsarens sidhuvud och sidfot, och lämna papperet eller en fil vidare, aldrig adressen.',
  refusedTitle: 'Inget protokoll här',
  refused:
    'Det finns inget protokoll på den här adressen, eller så är det inte för dig. Öppna det från mötets sida.',
  unavailableTitle: 'Inte just nu',
  unavailable: 'Mötenas databas svarar inte. Försök igen om en stund.',
  unreadableTitle: 'Protokollet kan inte läsas',
  unreadable: 'Mötenas databas lämnar inte ut det här protokollet. Säg till arrangörerna.',
}

const words = { en: english, de: german, fr: french, sv: swedish }

/** The words that an Accept-Language prefers of those that there are; English where it has none. */
export const chooseWords = (accepted: string): Words =>
  words[preferredLanguage(accepted, ['en', 'de', 'fr', 'sv'])]
