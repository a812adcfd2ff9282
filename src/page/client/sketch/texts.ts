import { chooseLanguage, speak } from '../kit/language.ts'
import { originRefusedIn } from '../kit/refusals.ts'
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
  redo: 'Redo',
  save: 'Save as',
  saveAs: (format: string) => `Save as ${format}`,
  saved: (file: string) => `Your browser saves it as ${file}`,
  notSaved: 'Your browser could not make the picture. Try the other format.',
  clear: 'Clear all',
  undone: 'Your last step is undone',
  redone: 'Your last undone step is done again',
  cleared: 'The sheet is empty; Undo brings everything back',
  penDown: 'Pen down',
  penUp: 'Pen up',
  showNames: 'Show names at strokes',
  nameless: 'Without a name',
  strokes: (strokes: number) => english.plural(strokes, '# stroke', '# strokes'),
  ownName: 'Your name',
  ownNameHint: 'Everyone who opens this sketch can see it at your strokes. Leave it empty to have none.',
  useName: 'Use',
  named: {
    as: (name: string) => `Your strokes have the name ${name}`,
    none: 'Your strokes have no name',
  },
  share: 'Address of this sketch',
  copy: 'Copy',
  copied: 'The address is copied',
  another: 'Begin another sketch',
  summary: (strokes: number, people: number) =>
    `${english.plural(strokes, '# stroke', '# strokes')} by ${english.plural(people, '# person', '# people')}`,
  nothing: 'Nothing has been drawn yet',
  news: (strokes: number) => english.plural(strokes, '# new stroke by others', '# new strokes by others'),
  newsBy: (strokes: number, names: readonly string[]) =>
    `${english.plural(strokes, '# new stroke', '# new strokes')} by ${english.list(names)}`,
  othersUndid: 'Others have taken something back',
  othersRedid: 'Others have brought something back',
  othersCleared: 'Somebody has cleared the sheet',
  connecting: 'Connecting …',
  connected: (here: number) =>
    here === 1 ? 'Connected, nobody else is here' : `Connected, ${english.number(here)} people are here`,
  originRefused: originRefusedIn('en'),
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
  redo: 'Wiederholen',
  save: 'Speichern als',
  saveAs: (format) => `Speichern als ${format}`,
  saved: (file) => `Ihr Browser speichert sie als ${file}`,
  notSaved: 'Ihr Browser konnte das Bild nicht erzeugen. Versuchen Sie das andere Format.',
  clear: 'Alles leeren',
  undone: 'Ihr letzter Schritt ist zurückgenommen',
  redone: 'Ihr zuletzt zurückgenommener Schritt ist wieder da',
  cleared: 'Das Blatt ist leer; „Rückgängig“ holt alles zurück',
  penDown: 'Stift aufgesetzt',
  penUp: 'Stift abgesetzt',
  showNames: 'Namen an den Strichen zeigen',
  nameless: 'Ohne Namen',
  strokes: (strokes) => german.plural(strokes, '# Strich', '# Striche'),
  ownName: 'Ihr Name',
  ownNameHint: 'Wer diese Skizze öffnet, kann ihn an Ihren Strichen sehen. Leer heißt: kein Name.',
  useName: 'Übernehmen',
  named: {
    as: (name) => `Ihre Striche haben den Namen ${name}`,
    none: 'Ihre Striche haben keinen Namen',
  },
  share: 'Adresse dieser Skizze',
  copy: 'Kopieren',
  copied: 'Die Adresse ist kopiert',
  another: 'Eine andere Skizze beginnen',
  summary: (strokes, people) =>
    `${german.plural(strokes, '# Strich', '# Striche')} von ${german.plural(people, '# Person', '# Personen')}`,
  nothing: 'Noch ist nichts gezeichnet',
  news: (strokes) => german.plural(strokes, '# neuer Strich von anderen', '# neue Striche von anderen'),
  newsBy: (strokes, names) =>
    `${german.plural(strokes, '# neuer Strich', '# neue Striche')} von ${german.list(names)}`,
  othersUndid: 'Andere haben etwas zurückgenommen',
  othersRedid: 'Andere haben etwas wiederholt',
  othersCleared: 'Jemand hat das Blatt geleert',
  connecting: 'Verbindung wird aufgebaut …',
  connected: (here) =>
    here === 1 ? 'Verbunden, sonst ist niemand hier' : `Verbunden, ${german.number(here)} Personen sind hier`,
  originRefused: originRefusedIn('de'),
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
  redo: 'Rétablir',
  save: 'Enregistrer en',
  saveAs: (format) => `Enregistrer en ${format}`,
  saved: (file) => `Votre navigateur l’enregistre sous ${file}`,
  notSaved: 'Votre navigateur n’a pas pu créer l’image. Essayez l’autre format.',
  clear: 'Tout effacer',
  undone: 'Votre dernière action est annulée',
  redone: 'Votre dernière action annulée est rétablie',
  cleared: 'La feuille est vide ; « Annuler » fait tout revenir',
  penDown: 'Crayon posé',
  penUp: 'Crayon levé',
  showNames: 'Afficher les noms sur les traits',
  nameless: 'Sans nom',
  strokes: (strokes) => french.plural(strokes, '# trait', '# traits'),
  ownName: 'Votre nom',
  ownNameHint:
    'Tous ceux qui ouvrent ce croquis peuvent le voir sur vos traits. Laissez vide pour ne pas en avoir.',
  useName: 'Utiliser',
  named: {
    as: (name) => `Vos traits portent le nom ${name}`,
    none: 'Vos traits ne portent pas de nom',
  },
  share: 'Adresse de ce croquis',
  copy: 'Copier',
  copied: 'L’adresse est copiée',
  another: 'Commencer un autre croquis',
  summary: (strokes, people) =>
    `${french.plural(strokes, '# trait', '# traits')} de ${french.plural(people, '# personne', '# personnes')}`,
  nothing: 'Rien n’a encore été dessiné',
  news: (strokes) =>
    french.plural(strokes, '# nouveau trait d’autres personnes', '# nouveaux traits d’autres personnes'),
  newsBy: (strokes, names) =>
    `${french.plural(strokes, '# nouveau trait', '# nouveaux traits')} de ${french.list(names)}`,
  othersUndid: 'D’autres ont annulé quelque chose',
  othersRedid: 'D’autres ont rétabli quelque chose',
  othersCleared: 'Quelqu’un a effacé la feuille',
  connecting: 'Connexion …',
  connected: (here) =>
    here === 1 ? 'Connecté, personne d’autre n’est là' : `Connecté, ${french.number(here)} personnes sont là`,
  originRefused: originRefusedIn('fr'),
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
  redo: 'Gör om',
  save: 'Spara som',
  saveAs: (format) => `Spara som ${format}`,
  saved: (file) => `Webbläsaren sparar den som ${file}`,
  notSaved: 'Webbläsaren kunde inte skapa bilden. Försök med det andra formatet.',
  clear: 'Rensa allt',
  undone: 'Ditt senaste steg är ångrat',
  redone: 'Steget du ångrade senast är gjort igen',
  cleared: 'Bladet är tomt; ”Ångra” tar tillbaka allt',
  penDown: 'Pennan är nere',
  penUp: 'Pennan är uppe',
  showNames: 'Visa namn vid strecken',
  nameless: 'Utan namn',
  strokes: (strokes) => swedish.plural(strokes, '# streck', '# streck'),
  ownName: 'Ditt namn',
  ownNameHint: 'Alla som öppnar skissen kan se det vid dina streck. Lämna tomt för att inte ha något.',
  useName: 'Använd',
  named: {
    as: (name) => `Dina streck har namnet ${name}`,
    none: 'Dina streck har inget namn',
  },
  share: 'Skissens adress',
  copy: 'Kopiera',
  copied: 'Adressen är kopierad',
  another: 'Börja en annan skiss',
  summary: (strokes, people) =>
    `${swedish.plural(strokes, '# streck', '# streck')} av ${swedish.plural(people, '# person', '# personer')}`,
  nothing: 'Ingenting har ritats ännu',
  news: (strokes) => swedish.plural(strokes, '# nytt streck av andra', '# nya streck av andra'),
  newsBy: (strokes, names) =>
    `${swedish.plural(strokes, '# nytt streck', '# nya streck')} av ${swedish.list(names)}`,
  othersUndid: 'Andra har ångrat något',
  othersRedid: 'Andra har gjort om något',
  othersCleared: 'Någon har rensat bladet',
  connecting: 'Ansluter …',
  connected: (here) =>
    here === 1 ? 'Ansluten, ingen annan är här' : `Ansluten, ${swedish.number(here)} personer är här`,
  originRefused: originRefusedIn('sv'),
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
