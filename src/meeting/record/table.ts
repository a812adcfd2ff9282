import type { MeetingRecord } from './record.ts'

/** So that programs take it for UTF-8. */
const byteOrderMark = '\uFEFF'

/** The lines of a record as CSV (docs/record.md), in pieces. */
export async function* lineTable({ lines }: MeetingRecord): AsyncGenerator<string> {
  yield byteOrderMark + row('id', 'time', 'name', 'kind', 'text')
  for await (const page of lines())
    yield page
      .map(({ id, time, member, text }) =>
        row(id, plainTime(time), member?.name ?? '', member ? 'member' : 'system', text),
      )
      .join('')
}

/** The polls of a record as CSV, a row for each answer. */
export async function* pollTable({ polls }: MeetingRecord): AsyncGenerator<string> {
  yield (
    byteOrderMark +
    row('poll', 'question', 'opened', 'ended', 'ending', 'started_by', 'voters', 'answer', 'votes')
  )
  for await (const page of polls())
    yield page
      .map(({ id, question, answers, tally, voters, by, opened, ended, ending }) =>
        answers
          .map((answer, index) =>
            row(
              id,
              question,
              plainTime(opened),
              ended === null ? '' : plainTime(ended),
              ending ?? '',
              by.name ?? '',
              voters,
              answer,
              tally?.[index] ?? '',
            ),
          )
          .join(''),
      )
      .join('')
}

/** As spreadsheet programs understand it: the offset would make it a text. */
const plainTime = (moment: string): string => moment.slice(0, 19).replace('T', ' ')

const row = (...cells: (string | number)[]): string => `${cells.map(cell).join()}\r\n`

/** A cell by RFC 4180; each text is in quotes. */
function cell(value: string | number): string {
  return typeof value === 'number' ? String(value) : `"${guarded(value).replaceAll('"', '""')}"`
}

/**
 * What a spreadsheet program would take for a formula gets an apostrophe before it: at the beginning, and where a cell or
 * row would begin for a program that takes the file's commas for text and separates by semicolons or tabs, as they do in
 * many countries. A space or a quote before it makes no difference everywhere, more of them do.
 */
function guarded(text: string): string {
  return text.replace(/(^|[;\t\r\n])(?=[\s"']{0,3}[=+\-@＝＋－＠]|(?<=^)[\t\r\n])/g, "$1'")
}
