import type { Brand } from '../../edge/brand.ts'
import { branding } from '../../edge/branding.ts'
import { inlinePolicy } from '../../edge/document.ts'
import { beginning, ending, saying } from '../../edge/html.ts'
import { Markup, markup } from '../../edge/markup.ts'
import { baseName } from './file-name.ts'
import type { MeetingRecord, Moment, RecordAttendee, RecordHead, RecordLine, RecordPoll } from './record.ts'
import { style } from './style.ts'
import { translate } from './system-lines.ts'
import type { Words } from './words.ts'

/** Without it there is no button: it would do nothing. */
const script = `const print = document.getElementById('print')
print.hidden = false
print.onclick = () => window.print()`

const styleFor = (brand: Brand | null): string => style + branding(brand).style

/** Its own style, the few lines that print, and nothing else: nothing from anywhere. */
export const recordPolicy = (brand: Brand | null): string => inlinePolicy(styleFor(brand), script)

/** A record as an HTML document, in pieces. `brand`: whose meeting it was, where that is known. */
export async function* recordPage(
  record: MeetingRecord,
  words: Words,
  brand: Brand | null,
): AsyncGenerator<string> {
  const { head } = record
  const formats = formatsOf(words)
  // A browser calls the file that it prints to by the title.
  yield beginning(words.language, `${baseName(head)} – ${words.record}`, styleFor(brand))
  yield facts(head, words, formats, brand).text
  yield '<main>\n'
  if (head.opened === null) {
    yield markup`<p class="none">${head.state === 'pending' ? words.notOpened : words.neverOpened}</p>\n`.text
  } else {
    yield* attendeeSection(record, words)
    yield* pollSection(record, words, formats)
    yield* lineSection(record, words, formats)
  }
  yield '</main>\n'
  if (head.opened !== null) yield markup`<footer><p>${words.keepAddress}</p></footer>\n`.text
  yield ending
}

/** A document that says one thing, in place of a record. */
export function notice(
  { language }: Words,
  [title, text]: readonly [string, string],
  brand: Brand | null,
): string {
  const whose = brand && markup`<header>\n${branding(brand).header}</header>\n`
  const body = markup`${whose}<main class="notice">\n${saying(title, text)}</main>\n`
  return beginning(language, title, styleFor(brand)) + body.text + ending
}

function facts(head: RecordHead, words: Words, formats: Formats, brand: Brand | null): Markup {
  const { name, scheduled, opened, finished, final, asOf, timezone, lines, speakers } = head
  const fact = (
    term: string,
    value: Markup | string,
  ): Markup => markup`<div><dt>${term}</dt><dd>${value}</dd></div>
`
  const at = (moment: Moment): Markup => markup`<time datetime="${moment}">${formats.moment(moment)}</time>`
  const contents = markup`${words.lines(formats.number(lines), formats.one(lines))}<br>${words.speakers(formats.number(speakers), formats.one(speakers))}`
  return markup`<header>
<div class="bar"><a href="./">${words.back}</a>${opened === null ? null : markup`<button type="button" id="print" hidden>${words.print}</button>`}</div>
${opened === null ? null : markup`<script>${new Markup(script)}</script>\n`}${branding(brand).header}<p class="kind">${words.record}</p>
<h1 lang="" dir="auto">${name}</h1>
${opened === null || final ? null : markup`<p class="provisional">${words.notFinal(formats.moment(asOf))}</p>\n`}<dl>
${opened === null ? null : fact(words.opened, at(opened))}${finished === null ? null : fact(words.finished, at(finished))}${
    head.present === 0 ? null : fact(words.presentTitle, presence(head, words, formats))
  }${opened === null ? null : fact(words.contents, contents)}${fact(words.scheduled, at(scheduled))}${fact(words.timezone, timezone)}</dl>
${opened === null ? null : downloads(words)}</header>
`
}

function presence({ present, byProxy }: RecordHead, words: Words, formats: Formats): Markup {
  const members = words.members(formats.number(present), formats.one(present))
  return markup`${members}${byProxy === 0 ? null : markup`<br>${words.byProxy(formats.number(byProxy))}`}`
}

const downloads = (words: Words): Markup => markup`<nav aria-label="${words.downloads}"><ul>
<li><a href="record.csv" download>${words.linesTable}</a></li>
<li><a href="record.polls.csv" download>${words.pollsTable}</a></li>
<li><a href="record.json" download>${words.data}</a></li>
</ul></nav>
`

/** So many names are more than a screen: then the list scrolls by itself. */
const longList = 60

async function* attendeeSection(record: MeetingRecord, words: Words): AsyncGenerator<string> {
  const { present } = record.head
  if (present === 0) return
  const scrolls = new Markup(
    present > longList ? ' class="long" role="group" tabindex="0" aria-labelledby="present"' : '',
  )
  yield markup`<section aria-labelledby="present">\n<h2 id="present">${words.presentTitle}</h2>\n<div${scrolls}><ul class="people">\n`
    .text
  for await (const attendees of record.attendees())
    yield attendees.map((attendee) => attendeeItem(attendee, words).text).join('')
  yield '</ul></div>\n</section>\n'
}

const attendeeItem = ({ name, proxy }: RecordAttendee, words: Words): Markup =>
  markup`<li>${name === null ? words.someone : markup`<bdi lang="">${name}</bdi>`}${
    proxy === null ? null : markup` <span class="proxy">${words.proxy}<bdi lang="">${proxy}</bdi></span>`
  }</li>\n`

async function* pollSection(record: MeetingRecord, words: Words, formats: Formats): AsyncGenerator<string> {
  let number = 0
  for await (const polls of record.polls()) {
    if (number === 0)
      yield markup`<section aria-labelledby="polls">\n<h2 id="polls">${words.pollsTitle}</h2>\n`.text
    for (const poll of polls) yield pollFigure(poll, ++number, words, formats).text
  }
  if (number > 0) yield '</section>\n'
}

function pollFigure(poll: RecordPoll, number: number, words: Words, formats: Formats): Markup {
  const { question, tally, voters, present, by, opened, ended, ending } = poll
  const [before, after] = words.startedBy
  // Seconds where the two would read alike without.
  const [clock, moment] =
    ended !== null && minuteOf(ended) === minuteOf(opened)
      ? [clockOf, formats.exactMoment]
      : [timeOf, formats.moment]
  const from = moment(opened)
  const until = ended !== null && dayOf(ended) === dayOf(opened) ? clock(ended) : ended && moment(ended)
  return markup`<figure>
<figcaption><p class="number">${words.poll(formats.number(number))}</p><h3 lang="" dir="auto">${question}</h3></figcaption>
${tally === null ? answerList(poll) : resultTable(poll, tally, words, formats)}<p class="${ending === 'aborted' ? 'aborted' : 'how'}">${words.endings[ending ?? 'underWay']}${
    tally === null
      ? null
      : ` ${words.voters(formats.number(voters), formats.one(voters), present === null ? null : formats.number(present))}`
  }</p>
<p class="when">${until === null ? words.from(from) : words.fromTo(from, until)} ${before}<bdi>${by.name ?? words.someone}</bdi>${after}</p>
</figure>
`
}

const answerList = ({ answers }: RecordPoll): Markup => markup`<ul class="answers" lang="">
${answers.map((answer) => markup`<li dir="auto">${answer}</li>\n`)}</ul>
`

/** The bars are for the eye alone: all that they say is in the cells. */
function resultTable(
  { answers, ended }: RecordPoll,
  tally: readonly number[],
  words: Words,
  formats: Formats,
): Markup {
  const all = tally.reduce((sum, votes) => sum + votes, 0)
  const most = Math.max(...tally)
  const leads = (votes: number): boolean => votes > 0 && votes === most
  const leading = ended === null ? null : tally.filter(leads).length > 1 ? words.tied : words.most
  const rows = answers.map((answer, index) => {
    const votes = tally[index] ?? 0
    const share = all === 0 ? 0 : votes / all
    const mark = leads(votes) ? new Markup(' class="most"') : null
    const said = leads(votes) && leading !== null ? markup` <span class="leading">${leading}</span>` : null
    return markup`<tr${mark}><th scope="row"><span lang="" dir="auto">${answer}</span>${said}${bar(share)}</th><td>${formats.number(votes)}</td><td>${formats.percent(share)}</td></tr>
`
  })
  return markup`<table>
<thead><tr><th scope="col">${words.answer}</th><th scope="col">${words.votes}</th><th scope="col">${words.share}</th></tr></thead>
<tbody>
${rows}</tbody>
</table>
`
}

/** Its length is an attribute: the policy allows no style of an element's own. */
const bar = (share: number): Markup =>
  markup`<svg viewBox="0 0 1000 1" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="1000" height="1"/><rect class="bar-of" width="${Math.round(share * 1000)}" height="1"/></svg>`

async function* lineSection(record: MeetingRecord, words: Words, formats: Formats): AsyncGenerator<string> {
  let day = ''
  yield markup`<section aria-labelledby="proceedings">\n<h2 id="proceedings">${words.proceedings}</h2>\n`.text
  for await (const lines of record.lines()) {
    const pieces: string[] = []
    for (const line of lines) {
      if (dayOf(line.time) !== day) {
        if (day !== '') pieces.push('</ol>\n')
        day = dayOf(line.time)
        pieces.push(
          markup`<h3><time datetime="${day}">${formats.day(line.time)}</time></h3>\n<ol lang="">\n`.text,
        )
      }
      pieces.push(lineItem(line, words).text)
    }
    yield pieces.join('')
  }
  if (day !== '') yield '</ol>\n'
  yield '</section>\n'
}

function lineItem({ id, time, member, text }: RecordLine, words: Words): Markup {
  const at = markup`<time datetime="${time}">${timeOf(time)}</time>`
  return member
    ? markup`<li id="line-${id}">${at}<p><b><bdi>${member.name}</bdi></b> <span dir="auto">${text}</span></p></li>\n`
    : markup`<li id="line-${id}" class="system">${at}${systemLine(text, words)}</li>\n`
}

/** What the system said, for a reader of another language; in the record itself it is English. */
function systemLine(text: string, { language }: Words): Markup {
  const pieces = translate(text, language)
  if (!pieces) return markup`<p dir="ltr" lang="en">${text}</p>`
  const shown = pieces.map((piece, index) => (index % 2 === 0 ? piece : markup`<bdi lang="">${piece}</bdi>`))
  return markup`<p dir="ltr" lang="${language}">${shown}</p>`
}

const dayOf = (moment: Moment): string => moment.slice(0, 10)
const minuteOf = (moment: Moment): string => moment.slice(0, 16)
const timeOf = (moment: Moment): string => moment.slice(11, 16)
const clockOf = (moment: Moment): string => moment.slice(11, 19)

type Formats = {
  number: (count: number) => string
  percent: (share: number) => string
  /** Whether the language uses the singular. */
  one: (count: number) => boolean
  day: (moment: Moment) => string
  moment: (moment: Moment) => string
  /** To the second. */
  exactMoment: (moment: Moment) => string
}

function formatsOf({ language }: Words): Formats {
  // The day before the month, as in the other languages.
  const locale = language === 'en' ? 'en-GB' : language
  const numbers = new Intl.NumberFormat(locale)
  const percents = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 })
  const plurals = new Intl.PluralRules(locale)
  const longDays = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeZone: 'UTC' })
  const days = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' })
  // The moment is in the record's zone already.
  const dateOf = (moment: Moment): Date => new Date(`${dayOf(moment)}T00:00:00Z`)
  return {
    number: (count) => numbers.format(count),
    percent: (share) => percents.format(share),
    one: (count) => plurals.select(count) === 'one',
    day: (moment) => longDays.format(dateOf(moment)),
    moment: (moment) => `${days.format(dateOf(moment))}, ${timeOf(moment)}`,
    exactMoment: (moment) => `${days.format(dateOf(moment))}, ${clockOf(moment)}`,
  }
}
