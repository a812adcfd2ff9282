import { refusalsIn } from '../kit/refusals.ts'

/** What the server says to what this page never sends (src/document/protocol.ts). */
const technical = [
  'the message is shorter than its fields',
  'a message began before the last one had ended',
  'a continuation of no message',
  'a frame has two bytes at least',
  'the first message has to be init',
  'protocol versions 2 and 3 are understood',
  'an id has # to # bytes in version #',
  'an id is UTF-8 without NUL',
  'the document is open already',
  'a message of an unknown type',
  'already exists',
]

/** By what the server says, with # for each number (src/document/). */
const en = {
  'does not exist': 'This sketch does not exist (any more). Load the page anew, or begin another sketch.',
  'invalid offset': 'This sketch is not what it was. Load the page anew to see what is there now.',
  'access denied': 'You may not open this sketch (any more). Ask for a new address where you got this one.',
  'The database refuses this document: please tell the organisers':
    'The database refuses this sketch: please tell the organisers.',
  'the server is too busy': 'The server has too much to do: it is tried again in a moment.',
  'the document is too busy': 'Too much is being drawn here: it is tried again in a moment.',
  'no init message came in time': 'The connection is too slow: it is tried again in a moment.',
  'a message was not complete in time': 'The connection is too slow: it is tried again in a moment.',
  'too much came before the document was open':
    'The server could not keep up with this page: it is tried again in a moment.',
  'too much is unanswered': 'The server could not keep up with this page: it is tried again in a moment.',
  'a message of more than # bytes is not taken':
    'The server takes no step of more than # bytes: please draw shorter strokes, or tell the organisers.',
  'a document of more than # bytes is not taken': 'A sketch has # bytes at most: please begin another one.',
  'documents that were made without a token or JWT have # bytes at most in all: no more is taken':
    'The server has no room left for sketches: please tell the organisers.',
}

type Faults = Record<keyof typeof en, string>

const de: Faults = {
  'does not exist':
    'Diese Skizze gibt es nicht (mehr). Laden Sie die Seite neu, oder beginnen Sie eine andere Skizze.',
  'invalid offset':
    'Diese Skizze ist nicht mehr die, die sie war. Laden Sie die Seite neu, um zu sehen, was jetzt da ist.',
  'access denied':
    'Sie dürfen diese Skizze nicht (mehr) öffnen. Holen Sie sich eine neue Adresse, wo Sie diese bekommen haben.',
  'The database refuses this document: please tell the organisers':
    'Die Datenbank verweigert diese Skizze: Bitte sagen Sie es den Veranstaltern.',
  'the server is too busy': 'Der Server hat zu viel zu tun: Gleich wird es wieder versucht.',
  'the document is too busy': 'Hier wird gerade zu viel gezeichnet: Gleich wird es wieder versucht.',
  'no init message came in time': 'Die Verbindung ist zu langsam: Gleich wird es wieder versucht.',
  'a message was not complete in time': 'Die Verbindung ist zu langsam: Gleich wird es wieder versucht.',
  'too much came before the document was open':
    'Der Server kam mit dieser Seite nicht mit: Gleich wird es wieder versucht.',
  'too much is unanswered': 'Der Server kam mit dieser Seite nicht mit: Gleich wird es wieder versucht.',
  'a message of more than # bytes is not taken':
    'Der Server nimmt keinen Schritt von mehr als # Bytes an: Bitte zeichnen Sie kürzere Striche, oder sagen Sie es den Veranstaltern.',
  'a document of more than # bytes is not taken':
    'Eine Skizze hat höchstens # Bytes: Bitte beginnen Sie eine andere.',
  'documents that were made without a token or JWT have # bytes at most in all: no more is taken':
    'Der Server hat keinen Platz mehr für Skizzen: Bitte sagen Sie es den Veranstaltern.',
}

const fr: Faults = {
  'does not exist': 'Ce croquis n’existe pas (ou plus). Rechargez la page, ou commencez un autre croquis.',
  'invalid offset':
    'Ce croquis n’est plus ce qu’il était. Rechargez la page pour voir ce qu’il y a maintenant.',
  'access denied':
    'Vous ne pouvez pas (ou plus) ouvrir ce croquis. Demandez une nouvelle adresse là où vous avez reçu celle-ci.',
  'The database refuses this document: please tell the organisers':
    'La base de données refuse ce croquis : prévenez les organisateurs.',
  'the server is too busy': 'Le serveur est surchargé : un nouvel essai se fait dans un instant.',
  'the document is too busy': 'On dessine trop ici en ce moment : un nouvel essai se fait dans un instant.',
  'no init message came in time': 'La connexion est trop lente : un nouvel essai se fait dans un instant.',
  'a message was not complete in time':
    'La connexion est trop lente : un nouvel essai se fait dans un instant.',
  'too much came before the document was open':
    'Le serveur n’a pas pu suivre cette page : un nouvel essai se fait dans un instant.',
  'too much is unanswered':
    'Le serveur n’a pas pu suivre cette page : un nouvel essai se fait dans un instant.',
  'a message of more than # bytes is not taken':
    'Le serveur n’accepte pas d’action de plus de # octets : faites des traits plus courts, ou prévenez les organisateurs.',
  'a document of more than # bytes is not taken': 'Un croquis a # octets au plus : commencez-en un autre.',
  'documents that were made without a token or JWT have # bytes at most in all: no more is taken':
    'Le serveur n’a plus de place pour des croquis : prévenez les organisateurs.',
}

const sv: Faults = {
  'does not exist': 'Skissen finns inte (längre). Ladda om sidan, eller börja en annan skiss.',
  'invalid offset': 'Skissen är inte längre vad den var. Ladda om sidan för att se vad som finns där nu.',
  'access denied': 'Du får inte (längre) öppna skissen. Be om en ny adress där du fick den här.',
  'The database refuses this document: please tell the organisers':
    'Databasen tar inte emot skissen: säg till arrangörerna.',
  'the server is too busy': 'Servern har för mycket att göra: ett nytt försök görs strax.',
  'the document is too busy': 'Det ritas för mycket här just nu: ett nytt försök görs strax.',
  'no init message came in time': 'Anslutningen är för långsam: ett nytt försök görs strax.',
  'a message was not complete in time': 'Anslutningen är för långsam: ett nytt försök görs strax.',
  'too much came before the document was open': 'Servern hann inte med sidan: ett nytt försök görs strax.',
  'too much is unanswered': 'Servern hann inte med sidan: ett nytt försök görs strax.',
  'a message of more than # bytes is not taken':
    'Servern tar inte emot steg på mer än # byte: rita kortare streck, eller säg till arrangörerna.',
  'a document of more than # bytes is not taken': 'En skiss har högst # byte: börja en annan.',
  'documents that were made without a token or JWT have # bytes at most in all: no more is taken':
    'Servern har ingen plats kvar för skisser: säg till arrangörerna.',
}

/** What a fault of the server's is to the reader, by language. */
export const faultsIn = {
  en: refusalsIn('en', en, technical),
  de: refusalsIn('de', de, technical),
  fr: refusalsIn('fr', fr, technical),
  sv: refusalsIn('sv', sv, technical),
}

const passing = new Set<keyof Faults>([
  'the server is too busy',
  'the document is too busy',
  'no init message came in time',
  'a message was not complete in time',
  'too much came before the document was open',
  'too much is unanswered',
])

/** Whether the same may be done a moment later. */
export const passes = (text: string): boolean => (passing as Set<string>).has(text)

/** Whether it is for one step, and not for the sketch: others can be stored. */
export const concernsStep = (text: string): boolean => text.startsWith('a message of more than ')
