/** How the database's refusals (`refusalTexts` of src/db/failure.ts) are shown by every page on which somebody speaks. */
export const databaseRefusals = {
  de: {
    'The database refuses this: please change it, or tell the organisers':
      'Die Datenbank nimmt das nicht an: Bitte ändern Sie es, oder sagen Sie es den Veranstaltern.',
    'The database lacks one of these characters: please leave it out':
      'Eines dieser Zeichen kennt die Datenbank nicht: Bitte lassen Sie es weg.',
    'The database refuses this as too long: please make it shorter':
      'Das ist der Datenbank zu lang: Bitte kürzen Sie es.',
  },
  fr: {
    'The database refuses this: please change it, or tell the organisers':
      'La base de données refuse ceci : modifiez-le, ou prévenez les organisateurs.',
    'The database lacks one of these characters: please leave it out':
      'La base de données ne connaît pas l’un de ces caractères : retirez-le.',
    'The database refuses this as too long: please make it shorter':
      'La base de données trouve ceci trop long : raccourcissez-le.',
  },
  sv: {
    'The database refuses this: please change it, or tell the organisers':
      'Databasen tar inte emot detta: ändra det, eller säg till arrangörerna.',
    'The database lacks one of these characters: please leave it out':
      'Databasen saknar ett av tecknen: ta bort det.',
    'The database refuses this as too long: please make it shorter':
      'Detta är för långt för databasen: gör det kortare.',
  },
} as const satisfies Record<string, Record<string, string>>
