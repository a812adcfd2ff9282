// Of the record's page and of the meeting page: it imports nothing of the server.

/** What the system says in a record, in English; `{}` stands for what others have put into it. */
const known = [
  'This meeting is now open',
  'Anything sent from now on will be part of the permanent record',
  'This meeting is being re-opened by {}',
  'This meeting is now finished',
  'Member {} joined the meeting (through proxy {})',
  'Member {} joined the meeting',
  'Member {} re-joined the meeting (through proxy {})',
  'Member {} re-joined the meeting',
  'Member {} left the meeting',
  'User {} has been disconnected by the operator',
  'User {} has been disconnected by {}',
  'A new poll has been posted for {}',
  'All attendees have voted, poll has completed.',
  'Poll has completed',
  'The current poll has been aborted',
  'Answer "{}": {} votes',
  'Answer "{}": {} vote',
  '{} changed their vote to {}',
  '{} voted {}',
] as const

export type KnownLine = (typeof known)[number]

/** Those lines in another language, with as many `{}` in the same order. */
type SystemLines = Readonly<Record<KnownLine, string>>

type Found = { line: KnownLine; values: string[] }

/**
 * Which of the known lines the text is, and what was put into it. Null where it is none of them, and where it could be
 * divided in several ways (a member may be called `Ada voted No`): such a line is better left as it is.
 */
export function findLine(text: string): Found | null {
  for (const line of known) {
    const values = valuesIn(line, text)
    if (values) return values.includes('') ? null : { line, values }
  }
  return null
}

/** Null where it has not the form of `line`; with '' where it is not clear what the values are. */
function valuesIn(line: string, text: string): string[] | null {
  const [begin = '', ...rest] = line.split('{}')
  const end = rest.pop()
  if (end === undefined) return text === line ? [] : null
  const inner = text.slice(begin.length, text.length - end.length)
  if (!text.startsWith(begin) || !text.endsWith(end) || text.length < begin.length + end.length) return null
  const [between] = rest
  if (between === undefined) return [inner]
  const values = inner.split(between)
  if (values.length === 1) return null
  return values.length === 2 ? values : ['']
}

const german: SystemLines = {
  'This meeting is now open': 'Die Versammlung ist eröffnet',
  'Anything sent from now on will be part of the permanent record':
    'Alles, was ab jetzt gesagt wird, kommt in das Protokoll',
  'This meeting is being re-opened by {}': 'Die Versammlung wird wieder eröffnet von {}',
  'This meeting is now finished': 'Die Versammlung ist beendet',
  'Member {} joined the meeting (through proxy {})': '{} ist eingetreten (vertreten durch {})',
  'Member {} joined the meeting': '{} ist eingetreten',
  'Member {} re-joined the meeting (through proxy {})': '{} ist wieder eingetreten (vertreten durch {})',
  'Member {} re-joined the meeting': '{} ist wieder eingetreten',
  'Member {} left the meeting': '{} ist gegangen',
  'User {} has been disconnected by the operator': '{} wurde von der technischen Leitung entfernt',
  'User {} has been disconnected by {}': '{} wurde entfernt von {}',
  'A new poll has been posted for {}': 'Neue Abstimmung: {}',
  'All attendees have voted, poll has completed.':
    'Alle Anwesenden haben abgestimmt, die Abstimmung ist beendet.',
  'Poll has completed': 'Die Abstimmung ist beendet',
  'The current poll has been aborted': 'Die Abstimmung wurde abgebrochen',
  'Answer "{}": {} votes': 'Antwort „{}“: {} Stimmen',
  'Answer "{}": {} vote': 'Antwort „{}“: {} Stimme',
  '{} changed their vote to {}': '{} hat die Stimme geändert: {}',
  '{} voted {}': '{} hat abgestimmt: {}',
}

const french: SystemLines = {
  'This meeting is now open': 'La réunion est ouverte',
  'Anything sent from now on will be part of the permanent record':
    'Tout ce qui est dit à partir de maintenant figure au procès-verbal',
  'This meeting is being re-opened by {}': 'La réunion est rouverte par {}',
  'This meeting is now finished': 'La réunion est terminée',
  'Member {} joined the meeting (through proxy {})': '{} a rejoint la réunion (par procuration : {})',
  'Member {} joined the meeting': '{} a rejoint la réunion',
  'Member {} re-joined the meeting (through proxy {})':
    '{} a de nouveau rejoint la réunion (par procuration : {})',
  'Member {} re-joined the meeting': '{} a de nouveau rejoint la réunion',
  'Member {} left the meeting': '{} a quitté la réunion',
  'User {} has been disconnected by the operator': 'L’équipe technique a exclu {}',
  'User {} has been disconnected by {}': 'Exclusion de {} par {}',
  'A new poll has been posted for {}': 'Nouveau vote : {}',
  'All attendees have voted, poll has completed.':
    'Toutes les personnes présentes ont voté, le vote est terminé.',
  'Poll has completed': 'Le vote est terminé',
  'The current poll has been aborted': 'Le vote a été annulé',
  'Answer "{}": {} votes': 'Réponse « {} » : {} voix',
  'Answer "{}": {} vote': 'Réponse « {} » : {} voix',
  '{} changed their vote to {}': '{} a modifié son vote : {}',
  '{} voted {}': '{} a voté : {}',
}

const swedish: SystemLines = {
  'This meeting is now open': 'Mötet är öppnat',
  'Anything sent from now on will be part of the permanent record':
    'Allt som sägs från och med nu protokollförs',
  'This meeting is being re-opened by {}': 'Mötet öppnas på nytt av {}',
  'This meeting is now finished': 'Mötet är avslutat',
  'Member {} joined the meeting (through proxy {})': '{} kom till mötet (genom ombudet {})',
  'Member {} joined the meeting': '{} kom till mötet',
  'Member {} re-joined the meeting (through proxy {})': '{} kom tillbaka till mötet (genom ombudet {})',
  'Member {} re-joined the meeting': '{} kom tillbaka till mötet',
  'Member {} left the meeting': '{} lämnade mötet',
  'User {} has been disconnected by the operator': '{} avlägsnades av den tekniska ledningen',
  'User {} has been disconnected by {}': '{} avlägsnades av {}',
  'A new poll has been posted for {}': 'Ny omröstning: {}',
  'All attendees have voted, poll has completed.': 'Alla närvarande har röstat, omröstningen är avslutad.',
  'Poll has completed': 'Omröstningen är avslutad',
  'The current poll has been aborted': 'Omröstningen har avbrutits',
  'Answer "{}": {} votes': 'Svar ”{}”: {} röster',
  'Answer "{}": {} vote': 'Svar ”{}”: {} röst',
  '{} changed their vote to {}': '{} ändrade sin röst: {}',
  '{} voted {}': '{} röstade: {}',
}

/** By the language's tag. */
export const translations: Readonly<Partial<Record<string, SystemLines>>> = {
  de: german,
  fr: french,
  sv: swedish,
}

/**
 * What the system said, for a reader of another language: in pieces, every second of which is what others have put into it.
 * Null where it is to be shown as it is, which is in English: for those who read that, and where the line is not known.
 */
export function translate(text: string, language: string): string[] | null {
  const lines = translations[language]
  const found = lines ? findLine(text) : null
  if (!lines || !found) return null
  return lines[found.line].split('{}').flatMap((piece, index) => {
    const value = found.values[index]
    return value === undefined ? [piece] : [piece, value]
  })
}
