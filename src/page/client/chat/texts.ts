import { chooseLanguage, chooseTag } from '../kit/language.ts'
import { databaseRefusals } from '../kit/refusals.ts'

/** By what the server says (src/chat/protocol.ts). */
const refusals: Readonly<Record<string, string>> = {}

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
  lost: 'Connection lost. It is tried again by itself; what you write is kept.',
  tryNow: 'Try now',
  noKey: 'This page needs the address that you were given: it has a key in it.',
  notAllowed: 'You may not take part in this chat (any more). Ask for a new address where you got this one.',
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
  refusals,
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
  lost: 'Verbindung verloren. Es wird von selbst wieder versucht; was Sie schreiben, bleibt erhalten.',
  tryNow: 'Jetzt versuchen',
  noKey: 'Diese Seite braucht die Adresse, die Sie bekommen haben: darin steht ein Schlüssel.',
  notAllowed:
    'Sie dürfen an diesem Chat nicht (mehr) teilnehmen. Holen Sie sich eine neue Adresse, wo Sie diese bekommen haben.',
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
  refusals: {
    'The message is empty': 'Die Nachricht ist leer.',
    'Message too long, at most 10000 characters': 'Die Nachricht ist zu lang: höchstens 10.000 Zeichen',
    'You are sending too fast': 'Sie senden zu schnell: Warten Sie einen Moment.',
    'The chat is very busy, please try again':
      'Gerade wird zu viel gesagt: Versuchen Sie es in einem Moment noch einmal.',
    'The database is not available: the message may not have been stored':
      'Die Datenbank ist nicht erreichbar: Vielleicht wurde die Nachricht nicht gespeichert.',
    ...databaseRefusals.de,
  },
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
  lost: 'Connexion perdue. Un nouvel essai se fait tout seul ; ce que vous écrivez est conservé.',
  tryNow: 'Essayer maintenant',
  noKey: 'Cette page a besoin de l’adresse que vous avez reçue : elle contient une clé.',
  notAllowed:
    'Vous ne pouvez pas (ou plus) participer à cette discussion. Demandez une nouvelle adresse là où vous avez reçu celle-ci.',
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
  refusals: {
    'The message is empty': 'Le message est vide.',
    'Message too long, at most 10000 characters': 'Le message est trop long : 10 000 caractères au plus',
    'You are sending too fast': 'Vous envoyez trop vite : attendez un instant.',
    'The chat is very busy, please try again': 'La discussion est surchargée : réessayez dans un instant.',
    'The database is not available: the message may not have been stored':
      'La base de données est inaccessible : le message n’a peut-être pas été enregistré.',
    ...databaseRefusals.fr,
  },
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
  lost: 'Anslutningen bröts. Ett nytt försök görs av sig självt; det du skriver finns kvar.',
  tryNow: 'Försök nu',
  noKey: 'Sidan behöver adressen som du har fått: den innehåller en nyckel.',
  notAllowed: 'Du får inte (längre) delta i chatten. Be om en ny adress där du fick den här.',
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
  refusals: {
    'The message is empty': 'Meddelandet är tomt.',
    'Message too long, at most 10000 characters': 'Meddelandet är för långt: högst 10 000 tecken',
    'You are sending too fast': 'Du skickar för fort: vänta ett ögonblick.',
    'The chat is very busy, please try again': 'Chatten är överbelastad: försök igen om ett ögonblick.',
    'The database is not available: the message may not have been stored':
      'Databasen kan inte nås: meddelandet kanske inte har sparats.',
    ...databaseRefusals.sv,
  },
}

const catalogues = { en, de, fr, sv }

/** The texts in the first of the reader's languages that there is, English else; `tag` is for dates and times. */
export function textsFor(wanted: readonly string[]): { texts: Texts; language: string; tag: string } {
  const language = chooseLanguage(wanted, ['en', 'de', 'fr', 'sv'])
  return { texts: catalogues[language], language, tag: chooseTag(wanted, language) }
}
