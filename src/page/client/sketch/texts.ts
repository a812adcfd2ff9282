import { chooseLanguage, speak } from '../kit/language.ts'
import { faultsIn } from './faults.ts'

const english = speak('en')
const en = {
  title: 'Sketch',
  intro: 'Everyone who opens this address draws on the same sheet.',
  sheet: 'Sheet to draw on',
  empty: 'Draw something.',
  keys: 'With the keyboard: arrow keys move the pen (with Shift farther), the space bar sets it down and lifts it.',
  tools: 'Tools',
  color: 'Color',
  colors: ['Ink', 'Red', 'Orange', 'Green', 'Blue', 'Violet'],
  width: 'Width',
  widths: ['Fine', 'Medium', 'Broad'],
  undo: 'Undo',
  clear: 'Clear all',
  undone: 'Your last step is undone',
  cleared: 'The sheet is empty; Undo brings everything back',
  penDown: 'Pen down',
  penUp: 'Pen up',
  share: 'Address of this sketch',
  copy: 'Copy',
  copied: 'The address is copied',
  another: 'Begin another sketch',
  summary: (strokes: number, people: number) =>
    `${english.plural(strokes, '# stroke', '# strokes')} by ${english.plural(people, '# person', '# people')}`,
  nothing: 'Nothing has been drawn yet',
  news: (strokes: number) => english.plural(strokes, '# new stroke by others', '# new strokes by others'),
  othersUndid: 'Others have taken something back',
  othersCleared: 'Somebody has cleared the sheet',
  connecting: 'Connecting …',
  connected: (here: number) =>
    here === 1 ? 'Connected, nobody else is here' : `Connected, ${english.number(here)} people are here`,
  lost: 'Connection lost. It is tried again by itself; what you draw is kept.',
  unsent: (steps: number) => english.plural(steps, '# step is not sent yet', '# steps are not sent yet'),
  tryNow: 'Try now',
  full: 'This sketch is full: nothing can be added.',
  readOnly: 'You may look at this sketch, but not draw on it.',
  denied: 'You may not open this sketch (any more).',
  notOpened:
    'The server refuses to open this sketch. It is not tried again by itself: please tell the organisers.',
  stepRefused:
    'The server refuses your last step, and would refuse it again: it is taken back. Please tell the organisers.',
  fault: faultsIn.en,
  gone: 'This sketch has been deleted or replaced. Load the page anew to see what is there now.',
}

export type Texts = typeof en

const german = speak('de')
const de: Texts = {
  title: 'Skizze',
  intro: 'Wer diese Adresse öffnet, zeichnet auf demselben Blatt.',
  sheet: 'Zeichenblatt',
  empty: 'Zeichnen Sie etwas.',
  keys: 'Mit der Tastatur: Pfeiltasten bewegen den Stift (mit Umschalttaste weiter), die Leertaste setzt ihn auf und ab.',
  tools: 'Werkzeuge',
  color: 'Farbe',
  colors: ['Tinte', 'Rot', 'Orange', 'Grün', 'Blau', 'Violett'],
  width: 'Breite',
  widths: ['Fein', 'Mittel', 'Breit'],
  undo: 'Rückgängig',
  clear: 'Alles leeren',
  undone: 'Ihr letzter Schritt ist zurückgenommen',
  cleared: 'Das Blatt ist leer; „Rückgängig“ holt alles zurück',
  penDown: 'Stift aufgesetzt',
  penUp: 'Stift abgesetzt',
  share: 'Adresse dieser Skizze',
  copy: 'Kopieren',
  copied: 'Die Adresse ist kopiert',
  another: 'Eine andere Skizze beginnen',
  summary: (strokes, people) =>
    `${german.plural(strokes, '# Strich', '# Striche')} von ${german.plural(people, '# Person', '# Personen')}`,
  nothing: 'Noch ist nichts gezeichnet',
  news: (strokes) => german.plural(strokes, '# neuer Strich von anderen', '# neue Striche von anderen'),
  othersUndid: 'Andere haben etwas zurückgenommen',
  othersCleared: 'Jemand hat das Blatt geleert',
  connecting: 'Verbindung wird aufgebaut …',
  connected: (here) =>
    here === 1 ? 'Verbunden, sonst ist niemand hier' : `Verbunden, ${german.number(here)} Personen sind hier`,
  lost: 'Verbindung verloren. Es wird von selbst wieder versucht; was Sie zeichnen, bleibt erhalten.',
  unsent: (steps) =>
    german.plural(steps, '# Schritt ist noch nicht gesendet', '# Schritte sind noch nicht gesendet'),
  tryNow: 'Jetzt versuchen',
  full: 'Diese Skizze ist voll: Es kann nichts hinzugefügt werden.',
  readOnly: 'Sie dürfen diese Skizze ansehen, aber nicht darauf zeichnen.',
  denied: 'Sie dürfen diese Skizze nicht (mehr) öffnen.',
  notOpened:
    'Der Server öffnet diese Skizze nicht. Es wird nicht von selbst wieder versucht: Bitte sagen Sie es den Veranstaltern.',
  stepRefused:
    'Der Server nimmt Ihren letzten Schritt nicht an, auch später nicht: Er ist zurückgenommen. Bitte sagen Sie es den Veranstaltern.',
  fault: faultsIn.de,
  gone: 'Diese Skizze wurde gelöscht oder ersetzt. Laden Sie die Seite neu, um zu sehen, was jetzt da ist.',
}

const french = speak('fr')
const fr: Texts = {
  title: 'Croquis',
  intro: 'Tous ceux qui ouvrent cette adresse dessinent sur la même feuille.',
  sheet: 'Feuille à dessin',
  empty: 'Dessinez quelque chose.',
  keys: 'Au clavier : les flèches déplacent le crayon (plus loin avec Maj), la barre d’espace le pose et le lève.',
  tools: 'Outils',
  color: 'Couleur',
  colors: ['Encre', 'Rouge', 'Orange', 'Vert', 'Bleu', 'Violet'],
  width: 'Épaisseur',
  widths: ['Fin', 'Moyen', 'Épais'],
  undo: 'Annuler',
  clear: 'Tout effacer',
  undone: 'Votre dernière action est annulée',
  cleared: 'La feuille est vide ; « Annuler » fait tout revenir',
  penDown: 'Crayon posé',
  penUp: 'Crayon levé',
  share: 'Adresse de ce croquis',
  copy: 'Copier',
  copied: 'L’adresse est copiée',
  another: 'Commencer un autre croquis',
  summary: (strokes, people) =>
    `${french.plural(strokes, '# trait', '# traits')} de ${french.plural(people, '# personne', '# personnes')}`,
  nothing: 'Rien n’a encore été dessiné',
  news: (strokes) =>
    french.plural(strokes, '# nouveau trait d’autres personnes', '# nouveaux traits d’autres personnes'),
  othersUndid: 'D’autres ont annulé quelque chose',
  othersCleared: 'Quelqu’un a effacé la feuille',
  connecting: 'Connexion …',
  connected: (here) =>
    here === 1 ? 'Connecté, personne d’autre n’est là' : `Connecté, ${french.number(here)} personnes sont là`,
  lost: 'Connexion perdue. Un nouvel essai se fait tout seul ; ce que vous dessinez est conservé.',
  unsent: (steps) =>
    french.plural(steps, '# action n’est pas encore envoyée', '# actions ne sont pas encore envoyées'),
  tryNow: 'Essayer maintenant',
  full: 'Ce croquis est plein : on ne peut plus rien y ajouter.',
  readOnly: 'Vous pouvez regarder ce croquis, mais pas y dessiner.',
  denied: 'Vous ne pouvez pas (ou plus) ouvrir ce croquis.',
  notOpened:
    'Le serveur refuse d’ouvrir ce croquis. Aucun nouvel essai ne se fait tout seul : prévenez les organisateurs.',
  stepRefused:
    'Le serveur refuse votre dernière action, et la refuserait encore : elle est annulée. Prévenez les organisateurs.',
  fault: faultsIn.fr,
  gone: 'Ce croquis a été supprimé ou remplacé. Rechargez la page pour voir ce qu’il y a maintenant.',
}

const swedish = speak('sv')
const sv: Texts = {
  title: 'Skiss',
  intro: 'Alla som öppnar den här adressen ritar på samma blad.',
  sheet: 'Ritblad',
  empty: 'Rita något.',
  keys: 'Med tangentbordet: piltangenterna flyttar pennan (längre med skift), mellanslag sätter ned och lyfter den.',
  tools: 'Verktyg',
  color: 'Färg',
  colors: ['Bläck', 'Röd', 'Orange', 'Grön', 'Blå', 'Violett'],
  width: 'Bredd',
  widths: ['Fin', 'Medel', 'Bred'],
  undo: 'Ångra',
  clear: 'Rensa allt',
  undone: 'Ditt senaste steg är ångrat',
  cleared: 'Bladet är tomt; ”Ångra” tar tillbaka allt',
  penDown: 'Pennan är nere',
  penUp: 'Pennan är uppe',
  share: 'Skissens adress',
  copy: 'Kopiera',
  copied: 'Adressen är kopierad',
  another: 'Börja en annan skiss',
  summary: (strokes, people) =>
    `${swedish.plural(strokes, '# streck', '# streck')} av ${swedish.plural(people, '# person', '# personer')}`,
  nothing: 'Ingenting har ritats ännu',
  news: (strokes) => swedish.plural(strokes, '# nytt streck av andra', '# nya streck av andra'),
  othersUndid: 'Andra har ångrat något',
  othersCleared: 'Någon har rensat bladet',
  connecting: 'Ansluter …',
  connected: (here) =>
    here === 1 ? 'Ansluten, ingen annan är här' : `Ansluten, ${swedish.number(here)} personer är här`,
  lost: 'Anslutningen bröts. Ett nytt försök görs av sig självt; det du ritar finns kvar.',
  unsent: (steps) => swedish.plural(steps, '# steg är inte skickat ännu', '# steg är inte skickade ännu'),
  tryNow: 'Försök nu',
  full: 'Skissen är full: inget kan läggas till.',
  readOnly: 'Du får titta på skissen, men inte rita på den.',
  denied: 'Du får inte (längre) öppna skissen.',
  notOpened: 'Servern öppnar inte skissen. Inget nytt försök görs av sig självt: säg till arrangörerna.',
  stepRefused:
    'Servern tar inte emot ditt senaste steg, inte heller senare: det är ångrat. Säg till arrangörerna.',
  fault: faultsIn.sv,
  gone: 'Skissen har raderats eller ersatts. Ladda om sidan för att se vad som finns där nu.',
}

const catalogues = { en, de, fr, sv }

/** The texts in the first of the reader's languages that there is, English else. */
export function textsFor(wanted: readonly string[]): { texts: Texts; language: string } {
  const language = chooseLanguage(wanted, ['en', 'de', 'fr', 'sv'])
  return { texts: catalogues[language], language }
}
