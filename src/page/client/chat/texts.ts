import { chooseLanguage, chooseTag } from '../kit/language.ts'
import { originRefusedIn, refusalsIn } from '../kit/refusals.ts'

/** What the server says to what this page never sends (src/chat/query.ts). */
const technical = [
  'Invalid after, a whole number is expected',
  'Invalid limit, a whole number is expected',
  'Invalid since, an ISO 8601 time is expected',
  'Invalid ids, 0 or 1 is expected',
]

/** By what the server says (src/chat/protocol.ts). */
const refusals = {
  'The message is empty': 'The message is empty: please write something.',
  'The chat is very busy, please try again':
    'Too much is being said at the moment: please try again in a moment.',
  'The database is not available: the message may not have been stored':
    'The database does not answer: the message may not have been stored. Please try again in a moment.',
}

type Refusals = Record<keyof typeof refusals, string>

const en = {
  title: 'Chat',
  talk: 'What is said',
  yourMessage: 'Your message',
  hint: 'Enter sends, Shift and Enter begin a new line',
  touchHint: 'With a keyboard, Ctrl or ⌘ and Enter send',
  send: 'Send',
  speakingAs: (name: string) => `You speak as ${name}`,
  connecting: 'Connecting …',
  connected: 'Connected',
  originRefused: originRefusedIn('en'),
  lost: 'Connection lost. It is tried again by itself; what you write is kept.',
  tryNow: 'Try now',
  noKey: 'This page needs the address that you were given: it has a key in it.',
  notAllowed: 'You may not take part in this chat (any more). Ask for a new address where you got this one.',
  unreadable:
    'The database refuses to open this chat, and would refuse it again: please tell the organisers.',
  empty: 'Nothing has been said yet.',
  toEnd: 'To the newest line',
  sending: 'Being sent …',
  sentLater: 'Is sent when the connection is back.',
  refused: 'This was not said.',
  unsure: 'It is not known whether this was sent.',
  sendAgain: 'Send again',
  discard: 'Discard',
  edit: 'Edit it again',
  tooLong: 'The message is too long: at most 10,000 characters',
  today: 'Today',
  refusal: refusalsIn('en', refusals, technical),
}

export type Texts = typeof en

const de: Texts = {
  title: 'Chat',
  talk: 'Was gesagt wird',
  yourMessage: 'Ihre Nachricht',
  hint: 'Eingabetaste sendet, mit Umschalttaste beginnt sie eine neue Zeile',
  touchHint: 'Mit einer Tastatur senden Strg oder ⌘ und Eingabetaste',
  send: 'Senden',
  speakingAs: (name) => `Sie sprechen als ${name}`,
  connecting: 'Verbindung wird aufgebaut …',
  connected: 'Verbunden',
  originRefused: originRefusedIn('de'),
  lost: 'Verbindung verloren. Es wird von selbst wieder versucht; was Sie schreiben, bleibt erhalten.',
  tryNow: 'Jetzt versuchen',
  noKey: 'Diese Seite braucht die Adresse, die Sie bekommen haben: darin steht ein Schlüssel.',
  notAllowed:
    'Sie dürfen an diesem Chat nicht (mehr) teilnehmen. Holen Sie sich eine neue Adresse, wo Sie diese bekommen haben.',
  unreadable:
    'Die Datenbank öffnet diesen Chat nicht, auch später nicht: Bitte sagen Sie es den Veranstaltern.',
  empty: 'Noch wurde nichts gesagt.',
  toEnd: 'Zur neuesten Zeile',
  sending: 'Wird gesendet …',
  sentLater: 'Wird gesendet, sobald die Verbindung wieder da ist.',
  refused: 'Dies wurde nicht gesagt.',
  unsure: 'Es ist nicht bekannt, ob dies gesendet wurde.',
  sendAgain: 'Noch einmal senden',
  discard: 'Verwerfen',
  edit: 'Noch einmal bearbeiten',
  tooLong: 'Die Nachricht ist zu lang: höchstens 10.000 Zeichen',
  today: 'Heute',
  refusal: refusalsIn(
    'de',
    {
      'The message is empty': 'Die Nachricht ist leer: Bitte schreiben Sie etwas.',
      'The chat is very busy, please try again':
        'Gerade wird zu viel gesagt: Versuchen Sie es in einem Moment noch einmal.',
      'The database is not available: the message may not have been stored':
        'Die Datenbank ist nicht erreichbar: Vielleicht wurde die Nachricht nicht gespeichert. Versuchen Sie es in einem Moment noch einmal.',
    } satisfies Refusals,
    technical,
  ),
}

const fr: Texts = {
  title: 'Discussion',
  talk: 'Ce qui se dit',
  yourMessage: 'Votre message',
  hint: 'Entrée envoie, Maj et Entrée commencent une nouvelle ligne',
  touchHint: 'Avec un clavier, Ctrl ou ⌘ et Entrée envoient',
  send: 'Envoyer',
  speakingAs: (name) => `Vous parlez sous le nom de ${name}`,
  connecting: 'Connexion …',
  connected: 'Connecté',
  originRefused: originRefusedIn('fr'),
  lost: 'Connexion perdue. Un nouvel essai se fait tout seul ; ce que vous écrivez est conservé.',
  tryNow: 'Essayer maintenant',
  noKey: 'Cette page a besoin de l’adresse que vous avez reçue : elle contient une clé.',
  notAllowed:
    'Vous ne pouvez pas (ou plus) participer à cette discussion. Demandez une nouvelle adresse là où vous avez reçu celle-ci.',
  unreadable:
    'La base de données refuse d’ouvrir cette discussion, et la refuserait encore : prévenez les organisateurs.',
  empty: 'Rien n’a encore été dit.',
  toEnd: 'À la ligne la plus récente',
  sending: 'Envoi en cours …',
  sentLater: 'Sera envoyé au retour de la connexion.',
  refused: 'Ceci n’a pas été dit.',
  unsure: 'On ne sait pas si ceci a été envoyé.',
  sendAgain: 'Envoyer à nouveau',
  discard: 'Abandonner',
  edit: 'Modifier à nouveau',
  tooLong: 'Le message est trop long : 10 000 caractères au plus',
  today: 'Aujourd’hui',
  refusal: refusalsIn(
    'fr',
    {
      'The message is empty': 'Le message est vide : écrivez quelque chose.',
      'The chat is very busy, please try again': 'La discussion est surchargée : réessayez dans un instant.',
      'The database is not available: the message may not have been stored':
        'La base de données est inaccessible : le message n’a peut-être pas été enregistré. Réessayez dans un instant.',
    } satisfies Refusals,
    technical,
  ),
}

const sv: Texts = {
  title: 'Chatt',
  talk: 'Vad som sägs',
  yourMessage: 'Ditt meddelande',
  hint: 'Retur skickar, skift och retur börjar en ny rad',
  touchHint: 'Med ett tangentbord skickar Ctrl eller ⌘ och retur',
  send: 'Skicka',
  speakingAs: (name) => `Du talar som ${name}`,
  connecting: 'Ansluter …',
  connected: 'Ansluten',
  originRefused: originRefusedIn('sv'),
  lost: 'Anslutningen bröts. Ett nytt försök görs av sig självt; det du skriver finns kvar.',
  tryNow: 'Försök nu',
  noKey: 'Sidan behöver adressen som du har fått: den innehåller en nyckel.',
  notAllowed: 'Du får inte (längre) delta i chatten. Be om en ny adress där du fick den här.',
  unreadable: 'Databasen öppnar inte chatten, inte heller senare: säg till arrangörerna.',
  empty: 'Ingenting har sagts ännu.',
  toEnd: 'Till den senaste raden',
  sending: 'Skickas …',
  sentLater: 'Skickas när anslutningen är tillbaka.',
  refused: 'Detta har inte sagts.',
  unsure: 'Det är inte känt om detta skickades.',
  sendAgain: 'Skicka igen',
  discard: 'Kasta',
  edit: 'Redigera igen',
  tooLong: 'Meddelandet är för långt: högst 10 000 tecken',
  today: 'I dag',
  refusal: refusalsIn(
    'sv',
    {
      'The message is empty': 'Meddelandet är tomt: skriv något.',
      'The chat is very busy, please try again': 'Chatten är överbelastad: försök igen om ett ögonblick.',
      'The database is not available: the message may not have been stored':
        'Databasen är inte tillgänglig: meddelandet har kanske inte sparats. Försök igen om ett ögonblick.',
    } satisfies Refusals,
    technical,
  ),
}

const catalogues = { en, de, fr, sv }

/** The texts in the first of the reader's languages that there is, English else; `tag` is for dates and times. */
export function textsFor(wanted: readonly string[]): { texts: Texts; language: string; tag: string } {
  const language = chooseLanguage(wanted, ['en', 'de', 'fr', 'sv'])
  return { texts: catalogues[language], language, tag: chooseTag(wanted, language) }
}
