import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { after, before, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { newKey } from '../../demo/association.ts'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { elsewhere, farewell, gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import type { ServerFixture } from '../support/server-fixture.ts'
import { rawConnection } from '../support/raw-request.ts'
import { startPlenum } from '../support/server.ts'
import type { Answer, Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { patience, slowness } from '../support/patience.ts'

// The permanent record as a page and as files; how the page looks is in record-browser.test.ts.

const forms = ['record', 'record.csv', 'record.polls.csv', 'record.json']
const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/

type Json = {
  meeting: { id: number; name: string; state: string; scheduled: string }
  timezone: string
  opened: string | null
  finished: string | null
  final: boolean
  asOf: string
  attendees: { id: number; name: string | null; proxy: string | null }[]
  polls: {
    id: number
    question: string
    answers: string[]
    tally: number[] | null
    voters: number
    present: number | null
    by: { id: number; name: string | null }
    opened: string
    closes: string
    ended: string | null
    ending: string | null
  }[]
  lines: { id: number; time: string; member: { id: number; name: string } | null; text: string }[]
}

const pathOf = (meeting: MeetingFixture, form: string, member = 0): string =>
  `/meeting/${meeting.id}/${meeting.key(member)}/${form}`

async function json(plenum: Plenum, meeting: MeetingFixture, member = 0): Promise<Json> {
  const { status, body } = await plenum.get(pathOf(meeting, 'record.json', member))
  assert.equal(status, 200, body)
  return JSON.parse(body) as Json
}

const texts = ({ lines }: Json): string[] => lines.map(({ text }) => text)

/** The rows of a CSV file by RFC 4180; fails where it is none. */
function rowsOf(csv: string): string[][] {
  assert.equal(csv[0], '\uFEFF')
  const rows: string[][] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy
  cell.lastIndex = 1
  let row: string[] = []
  while (cell.lastIndex < csv.length) {
    const at = cell.lastIndex
    const found = cell.exec(csv)
    assert.ok(found, `no cell at ${JSON.stringify(csv.slice(at, at + 60))}`)
    row.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '')
    if (found[3] === ',') continue
    rows.push(row)
    row = []
  }
  assert.deepEqual(row, [])
  return rows
}

/** The texts of the lines on a page, as a browser would read them. */
function shownLines(page: string): string[] {
  return Array.from(page.matchAll(/<li id="line-\d+".*?<p[^>]*>(.*?)<\/p><\/li>/gs), ([, inner = '']) =>
    readable(inner.replace(/<b>.*?<\/b> /s, '')),
  )
}

const readable = (markup: string): string =>
  markup.replace(/<[^>]*>/g, '').replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))

/** The names of those who were present on a page, with what stands beside them. */
const shownPeople = (page: string): string[] =>
  Array.from(
    (/<ul class="people">(.*?)<\/ul>/s.exec(page)?.[1] ?? '').matchAll(/<li>(.*?)<\/li>/gs),
    ([, inner = '']) => readable(inner),
  )

/** Puts lines into a record as another server, or the site, could have: `after` are seconds from a fixed time. */
async function write(
  meeting: MeetingFixture,
  db: { sql: Sql },
  lines: { text: string; by?: number | null; after: number }[],
): Promise<void> {
  await db.sql`
    insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
    select '2026-03-14 19:00:00+01'::timestamptz + l.after * interval '1 second', l.text, ${meeting.id}, l.by
    from jsonb_to_recordset(${db.sql.json(lines.map((line) => ({ by: null, ...line })))})
      l (text text, by int, after float8)`
}

suite('the record of a meeting', { concurrency: 3 }, () => {
  test('from opening to end, with its polls, the same in all forms', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 3, { name: 'General assembly', state: 0 })
    const [chair, ann, bob] = await meeting.enterAll(0, 1, 2)
    ann.say('before the opening')
    await settle(chair, ann, bob)
    chair.send({ type: 'open' })
    await ann.line('This meeting is now open')
    ann.say('Good evening')
    await settle(ann, chair)
    const poll = async (question: string, votes: [typeof chair, number][]): Promise<void> => {
      chair.send({ type: 'newpoll', question, answers: ['Yes', 'No', 'Abstain'], minutes: 5 })
      await bob.next('poll', ({ data }) => data?.question === question)
      for (const [member, vote] of votes) member.send({ type: 'vote', question, vote })
    }
    await poll('Accept the report?', [
      [chair, 0],
      [ann, 0],
      [bob, 1],
    ])
    await bob.line('All attendees have voted, poll has completed.')
    await poll('Adjourn?', [[ann, 1]])
    await bob.line(`${meeting.name(1)} voted No`)
    chair.send({ type: 'abortpoll' })
    await bob.line('The current poll has been aborted')
    await poll('Elect Ada?', [[bob, 2]])
    await bob.line(`${meeting.name(2)} voted Abstain`)
    const during = await json(plenum, meeting, 1)
    assert.deepEqual([during.final, during.finished, during.meeting.state], [false, null, 'open'])
    assert.deepEqual([during.polls[2]?.ending, during.polls[2]?.tally], [null, [0, 0, 1]])
    assert.match((await plenum.get(pathOf(meeting, 'record'))).body, /<p class="provisional">Not final\./)
    chair.send({ type: 'finish' })
    await chair.line('This meeting is now finished')
    ann.say('after the end')
    await settle(chair, ann)

    const record = await json(plenum, meeting)
    const stored = await meeting.record()
    const begins = stored.findIndex(({ text }) => text === 'This meeting is now open')
    const ends = stored.findIndex(({ text }) => text === 'This meeting is now finished')
    assert.deepEqual(
      record.lines.map(({ id, text, member }) => ({ id, text, sender: member?.id ?? null })),
      stored.slice(begins, ends + 1).map(({ id, text, sender }) => ({ id, text, sender })),
    )
    const { meeting: held, timezone, final, opened, finished, asOf } = record
    assert.deepEqual(
      { id: held.id, name: held.name, state: held.state, timezone, final },
      {
        id: meeting.id,
        name: 'General assembly',
        state: 'finished',
        timezone: 'Europe/Stockholm',
        final: true,
      },
    )
    for (const time of [held.scheduled, opened, finished, asOf, ...record.lines.map(({ time }) => time)])
      assert.match(time ?? '', iso)
    assert.deepEqual(
      record.polls.map(({ question, answers, tally, voters, present, by, ending }) => [
        question,
        answers,
        tally,
        voters,
        present,
        by,
        ending,
      ]),
      [
        ['Accept the report?', [2, 1, 0], 3, 'voted'] as const,
        ['Adjourn?', null, 1, 'aborted'] as const,
        ['Elect Ada?', [0, 0, 1], 1, 'finished'] as const,
      ].map(([question, tally, voters, ending]) => [
        question,
        ['Yes', 'No', 'Abstain'],
        tally,
        voters,
        3,
        { id: meeting.user(0), name: meeting.name(0) },
        ending,
      ]),
    )

    const page = await plenum.get(pathOf(meeting, 'record', 2))
    assert.deepEqual(shownLines(page.body), texts(record))
    assert.ok(!page.body.includes('class="provisional"'))
    const figures = page.body.split('<figure>').slice(1).map(readable)
    assert.equal(figures.length, 3)
    assert.match(
      figures[0] ?? '',
      /Accept the report\?[^]*Yes Most votes\s*2\s*66\.7%[^]*No\s*1\s*33\.3%[^]*3 of the 3 present voted/,
    )
    assert.match(figures[1] ?? '', /Aborted: there is no result/)
    assert.ok(!/ voted|%/.test(figures[1] ?? ''))

    const lines = rowsOf((await plenum.get(pathOf(meeting, 'record.csv'))).body)
    assert.deepEqual(lines, [
      ['id', 'time', 'name', 'kind', 'text'],
      ...record.lines.map(({ id, time, member, text }) => [
        String(id),
        time.slice(0, 19).replace('T', ' '),
        member?.name ?? '',
        member ? 'member' : 'system',
        text,
      ]),
    ])
    const polls = rowsOf((await plenum.get(pathOf(meeting, 'record.polls.csv'))).body)
    assert.deepEqual(
      polls.map((row) => [row[1], row[4], row[6], row[7], row[8]]),
      [
        ['question', 'ending', 'voters', 'answer', 'votes'],
        ['Accept the report?', 'voted', '3', 'Yes', '2'],
        ['Accept the report?', 'voted', '3', 'No', '1'],
        ['Accept the report?', 'voted', '3', 'Abstain', '0'],
        ['Adjourn?', 'aborted', '1', 'Yes', ''],
        ['Adjourn?', 'aborted', '1', 'No', ''],
        ['Adjourn?', 'aborted', '1', 'Abstain', ''],
        ['Elect Ada?', 'finished', '1', 'Yes', '0'],
        ['Elect Ada?', 'finished', '1', 'No', '0'],
        ['Elect Ada?', 'finished', '1', 'Abstain', '1'],
      ],
    )
  })

  test('who was present, by whom, and how many of them voted', async (t) => {
    const fixture = await openServerFixture(t, { grace: 0 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    // 0 and 1 are admins. 5 has the name of 4, and 6 leaves before the opening.
    const meeting = await gather(sql, plenum, 7, { state: 0, admins: 2 })
    const called = ['Chair', 'Cleo', 'Ann', 'Bob', 'Eve', 'Eve', 'Zoe']
    for (const [index, name] of called.entries())
      await sql`update membership_member set fullname = ${name} where user_id = ${meeting.user(index)}`
    await sql`
      update membership_membermeetingkey set proxyname = 'Ivan <i>' where member_id = ${meeting.user(2)}`
    const [chair, ann, bob, , , zoe] = await meeting.enterAll(0, 2, 3, 4, 5, 6)
    await zoe.close()
    await chair.line('Member Zoe left the meeting')
    assert.deepEqual((await json(plenum, meeting)).attendees, [])
    chair.send({ type: 'open' })
    await ann.line('This meeting is now open')
    const cleo = await meeting.enter(1)
    // Who votes and goes counts; who goes without voting does not.
    chair.send({ type: 'newpoll', question: 'Well?', answers: ['Yes', 'No'], minutes: 5 })
    await ann.next('poll', ({ data }) => data !== null)
    ann.send({ type: 'vote', question: 'Well?', vote: 0 })
    await chair.line('Ann voted Yes')
    const during = await json(plenum, meeting)
    assert.deepEqual([during.polls[0]?.present, during.attendees.length], [6, 6])
    await ann.close()
    await chair.line('Member Ann left the meeting')
    await bob.close()
    await chair.line('Member Bob left the meeting')
    await cleo.close()
    await chair.line('Member Cleo left the meeting')
    chair.send({ type: 'finish' })
    await chair.line('This meeting is now finished')
    // Admins who come back after the end were there all the same, at the opening or later.
    await chair.close()
    await (await meeting.enter(1)).line('Member Cleo re-joined the meeting')
    await (await meeting.enter(0)).line('Member Chair re-joined the meeting')
    const record = await json(plenum, meeting)
    assert.deepEqual(
      record.attendees.map(({ id, name, proxy }) => [id, name, proxy]),
      [
        [meeting.user(2), 'Ann', 'Ivan <i>'],
        [meeting.user(3), 'Bob', null],
        [meeting.user(0), 'Chair', null],
        [meeting.user(1), 'Cleo', null],
        [meeting.user(4), 'Eve', null],
        [meeting.user(5), 'Eve', null],
      ],
    )
    assert.deepEqual([record.polls[0]?.voters, record.polls[0]?.present], [1, 4])
    const page = (await plenum.get(pathOf(meeting, 'record'))).body
    assert.deepEqual(shownPeople(page), ['Ann represented by Ivan <i>', 'Bob', 'Chair', 'Cleo', 'Eve', 'Eve'])
    assert.match(readable(page), /6 members1 of them by proxy/)
    assert.match(readable(page), /1 of the 4 present voted\./)
    // The Go server, and versions before this one, wrote down neither.
    await sql`update plenum.attendance set attended_at = null`
    await sql`update plenum.poll set present = null`
    const earlier = await json(plenum, meeting)
    assert.deepEqual(
      earlier.attendees.map(({ name }) => name),
      ['Ann', 'Bob', 'Eve', 'Eve'],
    )
    assert.match(readable((await plenum.get(pathOf(meeting, 'record'))).body), /1 member voted\./)
    await sql`delete from plenum.attendance`
    const none = (await plenum.get(pathOf(meeting, 'record'))).body
    assert.ok(!none.includes('id="present"') && !none.includes('>Present<'))
  })

  test('a meeting that was opened again: from the first opening to the last end, in order of time', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2, { state: 2 })
    // As the Go server could leave it: ids against the times, the end before the opening, a mark said by a member.
    await write(meeting, fixture.db, [
      { text: 'the last word', after: 90 },
      { text: 'This meeting is now finished', after: -5 },
      { text: 'too early', after: -1 },
      { text: 'This meeting is now open', by: meeting.user(1), after: 0 },
      { text: 'first', by: meeting.user(1), after: 10 },
      { text: 'This meeting is now finished', after: 20 },
      { text: 'in between', after: 30 },
      { text: 'This meeting is now open', after: 40 },
      { text: 'This meeting is now finished', after: 100 },
      { text: 'too late', after: 101 },
      { text: 'second', after: 50 },
    ])
    const expected = [
      'This meeting is now open',
      'first',
      'This meeting is now finished',
      'in between',
      'This meeting is now open',
      'second',
      'the last word',
      'This meeting is now finished',
    ]
    const ended = await json(plenum, meeting)
    assert.deepEqual(texts(ended), expected)
    assert.deepEqual(
      [ended.opened, ended.finished, ended.final],
      ['2026-03-14T19:00:00+01:00', '2026-03-14T19:01:40+01:00', true],
    )
    assert.deepEqual(shownLines((await plenum.get(pathOf(meeting, 'record'))).body), expected)
    await fixture.db.sql`update membership_meeting set state = 1 where id = ${meeting.id}`
    const again = await json(plenum, meeting)
    assert.deepEqual(texts(again), [...expected, 'too late'])
    assert.deepEqual([again.finished, again.final], [null, false])
    // Never opened, never finished; and one without an end.
    await fixture.db
      .sql`delete from membership_meetingmessagelog where message = 'This meeting is now finished'`
    await fixture.db.sql`update membership_meeting set state = 3 where id = ${meeting.id}`
    const endless = await json(plenum, meeting)
    assert.deepEqual([endless.finished, endless.final, texts(endless).at(-1)], [null, true, 'too late'])
  })

  test('a meeting that was not opened has none, and the page says so in words', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 1)
    await write(meeting, fixture.db, [{ text: 'nobody is to read this', after: 0 }])
    const none = await json(plenum, meeting)
    assert.deepEqual([none.opened, none.final, none.lines, none.polls], [null, false, [], []])
    assert.equal(rowsOf((await plenum.get(pathOf(meeting, 'record.csv'))).body).length, 1)
    assert.equal(rowsOf((await plenum.get(pathOf(meeting, 'record.polls.csv'))).body).length, 1)
    const page = (language: string): Promise<Answer> =>
      plenum.get(pathOf(meeting, 'record'), { 'accept-language': language })
    for (const [language, spoken, text] of [
      ['de-CH, en;q=0.5', 'de', 'noch nicht eröffnet'],
      ['fr', 'fr', 'pas encore ouverte'],
      ['fi, sv;q=0.9, en;q=0.8', 'sv', 'har inte öppnats än'],
      ['fi, fr;q=0', 'en', 'has not been opened yet'],
      ['', 'en', 'has not been opened yet'],
    ] as const) {
      const { headers, body } = await page(language)
      assert.equal(headers['content-language'], spoken)
      assert.ok(body.includes(`<html lang="${spoken}">`) && body.includes(text), body)
      assert.ok(!body.includes('nobody is to read this'))
    }
    await fixture.db.sql`update membership_meeting set state = 3 where id = ${meeting.id}`
    assert.match((await page('en')).body, /it was never opened/)
  })

  test('whatever members say and are called stays text', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const hostile = [
      '<script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      "' onmouseover='alert(1)",
      '</style></title></li><h1>owned</h1>',
      '<!-- ]]> &lt;b&gt; &amp; &#60;i&#62;',
      '=HYPERLINK("http://evil.example","click")',
      '+1+1',
      '-1+1',
      '@SUM(A1)',
      '\tleading tab',
      'one, "two"\nthree\r\n=four()',
      'hello;=cmd|calc;;+1',
      '＝1',
      '\u202Eevil\u202C \u0000'.replace('\u0000', ''),
      '👩‍👩‍👧 Ünïcödé',
      `${'\n'.repeat(9000)}=1`,
    ]
    const meeting = await gather(fixture.db.sql, plenum, hostile.length, { state: 2, name: '<i>&"' })
    for (const [index, name] of hostile.entries())
      await fixture.db.sql`
        update membership_member set fullname = ${name.slice(0, 500)} where user_id = ${meeting.user(index)}`
    await write(meeting, fixture.db, [
      { text: 'This meeting is now open', after: 0 },
      ...hostile.map((text, index) => ({ text, by: meeting.user(index), after: index + 1 })),
      { text: 'This meeting is now finished', after: 99 },
    ])
    await fixture.db.sql`
      insert into plenum.poll (meeting_id, question, answers, opened_by, closes_at, ended_at, ending)
      select ${meeting.id}, q, ${hostile.slice(0, 9)}::text[], ${meeting.user(0)}, now(), now(), 'time'
      from unnest(${hostile.map((text) => text.slice(0, 500))}::text[]) q`
    const begun = performance.now()
    const record = await json(plenum, meeting)
    assert.deepEqual(texts(record).slice(1, -1), hostile)
    assert.deepEqual(
      record.lines.slice(1, -1).map(({ member }) => member?.name),
      hostile.map((name) => name.slice(0, 500).replace(/[\u202E\u202C]/g, '')),
    )
    const page = (await plenum.get(pathOf(meeting, 'record'))).body
    assert.deepEqual(shownLines(page).slice(1, -1), hostile)
    assert.ok(page.includes('<title>i &#38; 2026-03-14 – Record of the meeting</title>'))
    // No element or attribute but our own.
    const markup = Array.from(
      page.replace(/<(style|script)>.*?<\/\1>/gs, '').matchAll(/<[^>]*>/g),
      ([tag]) => tag,
    )
    for (const tag of markup)
      assert.match(
        tag,
        /^<(!doctype html|\/?(html|head|meta|title|link|body|header|main|section|nav|footer|button|h[123]|p|dl|div|dt|dd|br|ul|ol|li|a|b|bdi|span|time|figure|figcaption|table|thead|tbody|tr|th|td|svg|rect)( (lang|charset|name|content|rel|href|class|id|aria-(label|labelledby|hidden)|dir|datetime|scope|viewBox|preserveAspectRatio|width|height|type)="[\w .,;:=/+-]*"| download| hidden)*\/?)>$/,
      )

    const cells = rowsOf((await plenum.get(pathOf(meeting, 'record.csv'))).body).slice(2, -1)
    assert.deepEqual(
      cells.map((row) => row[4]?.replace(/(^|[;\t\r\n])'/g, '$1')),
      hostile.map((text) => text.replace(/(^|[;\t\r\n])'/g, '$1')),
    )
    const polls = rowsOf((await plenum.get(pathOf(meeting, 'record.polls.csv'))).body).slice(1)
    assert.equal(polls.length, 9 * hostile.length)
    for (const row of [...cells, ...polls])
      for (const cell of row)
        for (const part of [cell, ...cell.split(/[;\t\r\n]/)])
          assert.ok(!/^ ?["']?[=+\-@＝\t\r]/.test(part) || part.startsWith("'"), JSON.stringify(part))
    assert.ok(performance.now() - begun < patience(10_000), 'a long run of line breaks costs much')
  })

  test('headers: private, unscripted, not kept, and no key in them or in what is shown', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start({ flags: ['-loglevel', 'debug'] })
    const meeting = await gather(fixture.db.sql, plenum, 1, { state: 1, name: 'Årsmöte' })
    await write(meeting, fixture.db, [{ text: 'This meeting is now open', after: 0 }])
    for (const form of forms) {
      const { status, headers, body } = await plenum.get(pathOf(meeting, form))
      assert.equal(status, 200)
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['x-robots-tag'], 'noindex')
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.ok(![JSON.stringify(headers), body].join('').includes(meeting.key(0)))
    }
    const { headers, body } = await plenum.get(pathOf(meeting, 'record'))
    const hashOf = (element: string): string => {
      const text = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(body)?.[1] ?? ''
      return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    }
    assert.equal(
      headers['content-security-policy'],
      `default-src 'none'; script-src ${hashOf('script')}; style-src ${hashOf('style')}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'`,
    )
    assert.ok(!body.includes(' style='))
    const named = async (form: string): Promise<unknown> =>
      (await plenum.get(pathOf(meeting, form))).headers['content-disposition']
    assert.equal(await named('record'), undefined)
    for (const [form, ending] of [
      ['record.csv', 'record.csv'],
      ['record.polls.csv', 'polls.csv'],
      ['record.json', 'record.json'],
    ] as const)
      assert.equal(
        await named(form),
        `attachment; filename="?rsm?te 2026-03-14 ${ending}"; filename*=UTF-8''%C3%85rsm%C3%B6te%202026-03-14%20${ending}`,
      )
    for (const path of ['record/', 'record.txt', 'record.json/x'])
      assert.equal((await plenum.get(pathOf(meeting, path))).status, 404)
    assert.ok(!plenum.stderr.join('').includes(meeting.key(0)))
    assert.ok(plenum.stderr.every((line) => line.startsWith('{')))
  })

  test('asked for its head alone it has no body; by HTTP/1.0 the body has no chunks', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 1, { state: 1 })
    await write(meeting, fixture.db, [{ text: 'This meeting is now open', after: 0 }])
    for (const form of forms) {
      const path = pathOf(meeting, form)
      const { body } = await plenum.get(path)
      const answer = async (request: string): Promise<string> => {
        const received = await rawConnection(plenum.port, [
          `${request}\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
        ]).ended
        return Buffer.from(received, 'latin1').toString()
      }
      assert.match(await answer(`HEAD ${path} HTTP/1.1`), /^HTTP\/1\.1 200 [^]*\r\n\r\n$/)
      const old = await answer(`GET ${path} HTTP/1.0`)
      const plain = (text: string): string =>
        text.replaceAll(/"asOf":"[^"]*"|<p class="provisional">.*?<\/p>/g, '')
      assert.equal(plain(old.slice(old.indexOf('\r\n\r\n') + 4)), plain(body))
    }
  })
})

suite('what is shown of a record', () => {
  let db: Database
  let plenum: Plenum

  before(async () => {
    db = await createDatabase()
    plenum = await startPlenum({ database: db.url })
  })
  after(async () => {
    await plenum.kill()
    await db.drop()
  })

  test('a thousand who were present: all their names, in the order of names', async () => {
    const { sql } = db
    const meeting = await gather(sql, plenum, 1, { state: 1 })
    await write(meeting, db, [{ text: 'This meeting is now open', after: 0 }])
    await sql`
      insert into auth_user (id, username) select 100000 + n, 'many ' || n from generate_series(1, 1201) n`
    await sql`
      insert into membership_member (user_id, fullname, country_id)
      select 100000 + n, 'Name ' || n % 600, (select iso from country limit 1) from generate_series(1, 1201) n`
    await sql`
      insert into plenum.attendance (meeting_id, member_id) select ${meeting.id}, 100000 + n from generate_series(1, 1201) n`
    // One of them is deleted on the site.
    await sql`delete from membership_member where user_id = 100600`
    const { attendees } = await json(plenum, meeting)
    assert.equal(new Set(attendees.map(({ id }) => id)).size, 1201)
    const [sorted] = await sql<{ names: (string | null)[] }[]>`
      select json_agg(p.fullname order by coalesce(p.fullname, ''), n) names
      from generate_series(100001, 101201) n left join membership_member p on p.user_id = n`
    assert.deepEqual(
      attendees.map(({ name }) => name),
      sorted?.names,
    )
    const people = shownPeople((await plenum.get(pathOf(meeting, 'record'))).body)
    assert.deepEqual([people.length, people[0]], [1201, 'somebody who is no longer a member'])
  })

  test('what the system said is shown in the language of the reader, and stays English in the files', async () => {
    const meeting = await gather(db.sql, plenum, 1, { state: 2 })
    const said = [
      'This meeting is now open',
      'Member Ada <b> joined the meeting (through proxy Ivan)',
      'A new poll has been posted for Tea?',
      'Ada <b> voted Yes',
      'Answer "Yes": 1 vote',
      'The server will move tonight',
      'Eve voted No voted Yes',
      'This meeting is now finished',
    ]
    await write(meeting, db, [
      ...said.map((text, after) => ({ text, after })),
      { text: 'Member Ada left the meeting', by: meeting.user(0), after: 3.5 },
    ])
    const page = async (language: string): Promise<string> =>
      (await plenum.get(pathOf(meeting, 'record'), { 'accept-language': language })).body
    const german = await page('de')
    assert.deepEqual(shownLines(german), [
      'Die Versammlung ist eröffnet',
      'Ada <b> ist eingetreten (vertreten durch Ivan)',
      'Neue Abstimmung: Tea?',
      'Ada <b> hat abgestimmt: Yes',
      'Member Ada left the meeting',
      'Antwort „Yes“: 1 Stimme',
      'The server will move tonight',
      'Eve voted No voted Yes',
      'Die Versammlung ist beendet',
    ])
    const spoken = (page: string): string[] =>
      Array.from(page.matchAll(/<p dir="ltr" lang="(\w*)">/g), ([, language = '']) => language)
    assert.deepEqual(spoken(german), ['de', 'de', 'de', 'de', 'de', 'en', 'en', 'de'])
    assert.ok(spoken(await page('en')).every((language) => language === 'en'))
    for (const form of ['record.csv', 'record.json']) {
      const { body } = await plenum.get(pathOf(meeting, form), { 'accept-language': 'de' })
      assert.ok(body.includes('This meeting is now finished') && !body.includes('eröffnet'))
    }
  })

  test('minutes are shown, and seconds where a poll took less', async () => {
    const meeting = await gather(db.sql, plenum, 1, { state: 2 })
    await write(meeting, db, [
      { text: 'This meeting is now open', after: 11 },
      { text: 'This meeting is now finished', after: 75 },
    ])
    for (const [from, to] of [
      ['19:00:11', '19:00:40'],
      ['19:00:50', '19:01:10'],
    ])
      await db.sql`
        insert into plenum.poll (meeting_id, question, answers, opened_by, opened_at, closes_at, ended_at, ending)
        select ${meeting.id}, 'Well?', array['Yes'], ${meeting.user(0)}, f, f, u, 'voted'
        from (select ${`2026-03-14 ${from}+01`}::text::timestamptz f, ${`2026-03-14 ${to}+01`}::text::timestamptz u) at`
    const page = (await plenum.get(pathOf(meeting, 'record'))).body
    const text = readable(page)
    assert.match(text, /Opened\s*14 March 2026, 19:00\s/)
    assert.match(text, /From 14 March 2026, 19:00:11 to 19:00:40\./)
    assert.match(text, /From 14 March 2026, 19:00 to 19:01\./)
    assert.match(page, /<time datetime="2026-03-14T19:01:15\+01:00">19:01<\/time>/)
  })
})

suite('who may read the record', { concurrency: 3 }, () => {
  test('any member with a key, in any state; all others get one and the same answer', async (t) => {
    const fixture = await openServerFixture(t, { flags: ['-behindproxy', '-rate', '0'] })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    for (const state of [0, 1, 2, 3] as const) {
      const meeting = await gather(sql, plenum, 2, { state })
      assert.equal((await plenum.get(pathOf(meeting, 'record', 1))).status, 200)
    }
    const meeting = await gather(sql, plenum, 3, { state: 1, allowrejoin: true })
    const other = await gather(sql, plenum, 1)
    const irc = await gather(sql, plenum, 1, { meetingtype: 0 })
    const [chair, eve] = await meeting.enterAll(0, 1)
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
    await farewell(eve)
    const at = (id: number | string, key: string): string => `/meeting/${id}/${key}/`
    for (const form of forms) {
      const answers = await Promise.all(
        [
          at(meeting.id, newKey()),
          at(meeting.id, meeting.key(1)),
          at(meeting.id, other.key(0)),
          at(irc.id, irc.key(0)),
          at(4_000_000, meeting.key(0)),
          at('99999999999999999999', meeting.key(0)),
        ].map(async (path) => {
          const { status, headers, body } = await plenum.get(path + form, elsewhere().headers)
          const { date: _, 'x-request-id': __, ...rest } = headers
          return { status, rest, body }
        }),
      )
      assert.equal(answers[0]?.status, 404)
      for (const answer of answers) assert.deepEqual(answer, answers[0])
    }
    assert.equal((await plenum.get(pathOf(meeting, 'record', 2))).status, 200)
  })

  test('an address that guesses is answered late, whether it asks here or by websocket', async (t) => {
    const fixture = await openServerFixture(t, { flags: ['-behindproxy', '-rate', '0'] })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 1)
    const { headers } = elsewhere()
    const guess = async (): Promise<number> => {
      const begun = performance.now()
      const { status } = await plenum.get(`/meeting/${meeting.id}/${newKey()}/record`, headers)
      assert.equal(status, 404)
      return performance.now() - begun
    }
    const early: number[] = []
    for (let n = 0; n < 10; n++) early.push(await guess())
    assert.ok(Math.max(...early) < 900 * slowness(), early.join())
    assert.ok((await guess()) >= 990)
    const begun = performance.now()
    await fixture.db.sql`update membership_meeting set state = 3 where id = ${meeting.id}`
    await farewell(await meeting.connect(0, headers ? { headers } : {}))
    assert.ok(performance.now() - begun >= 990)
    // Who has a key is not kept waiting, nor are other addresses.
    const now = performance.now()
    assert.equal((await plenum.get(pathOf(meeting, 'record'), headers)).status, 200)
    assert.equal((await plenum.get(`/meeting/1/${newKey()}/record`, elsewhere().headers)).status, 404)
    assert.ok(performance.now() - now < 900 * slowness())
  })
})

suite('a record of 20,000 lines', () => {
  const count = 20_000

  async function longRecord(t: TestContext, url?: (own: string) => Promise<string>) {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start(url ? { database: await url(fixture.db.url) } : {})
    const meeting = await gather(fixture.db.sql, plenum, 2, { state: 1, allowrejoin: true })
    await fixture.db.sql`
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      select '2026-03-14 19:00:00+01'::timestamptz + n / 7 * interval '100 ms',
        case n when 0 then 'This meeting is now open' else 'line ' || n || ' ' || repeat('Zeile ', 40) end,
        ${meeting.id}, case n when 0 then null else ${meeting.user(1)}::int end
      from generate_series(0, ${count}) n`
    return { fixture, plenum, meeting }
  }

  /** Asks, and leaves the answer unread. */
  const ask = (plenum: Plenum, path: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      get(plenum.url(path), { agent: false }, resolve).on('error', reject)
    })

  /** Whether a page of a record has been read within the last second. */
  async function isRead({ db }: ServerFixture): Promise<boolean> {
    const rows = await db.sql`
      select from pg_stat_activity
      where application_name = 'plenum' and datname = current_database()
        and query like '%bytes_before%' and query_start > now() - interval '1 second'`
    return rows.length > 0
  }

  const memoryOf = ({ pid }: Plenum): number =>
    (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) || 0) / 1024

  test('comes whole in each form, and those who do not read hold next to nothing', async (t) => {
    const { fixture, plenum, meeting } = await longRecord(t)
    const record = await json(plenum, meeting)
    assert.equal(record.lines.length, count + 1)
    assert.ok(record.lines.every(({ text }, n) => n === 0 || text.startsWith(`line ${n} `)))
    assert.equal(rowsOf((await plenum.get(pathOf(meeting, 'record.csv'))).body).length, count + 2)
    assert.equal(shownLines((await plenum.get(pathOf(meeting, 'record'))).body).length, count + 1)

    const before = memoryOf(plenum)
    const stalled = await Promise.all(
      Array.from({ length: 30 }, (_, n) => ask(plenum, pathOf(meeting, forms[n % 4] ?? ''))),
    )
    for (const response of stalled) response.pause()
    let grown = 0
    await until(
      'nothing is read for them any more',
      async () => {
        grown = Math.max(grown, memoryOf(plenum) - before)
        return !(await isRead(fixture))
      },
      60_000,
    )
    // Whole they would be 210 MB and more. A reader holds a page, and what the kernel takes is not the process's.
    assert.ok(grown < 140, `${grown} MB`)
    // They hold nobody up.
    assert.equal((await json(plenum, meeting)).lines.length, count + 1)
    for (const response of stalled) response.destroy()
  })

  test('a client that goes away ends it, and the meeting goes on meanwhile', async (t) => {
    const { fixture, plenum, meeting } = await longRecord(t)
    const [chair, member] = await meeting.enterAll(0, 1)
    // They ask again as soon as they have all of it.
    let leaving = false
    const responses: IncomingMessage[] = []
    const readers = Array.from({ length: 20 }, async (_, n) => {
      while (!leaving) {
        const response = await ask(plenum, pathOf(meeting, forms[n % 4] ?? ''))
        responses[n] = response.resume()
        await new Promise((resolve) => response.once('close', resolve))
      }
    })
    let slowest = 0
    for (let n = 0; n < 20; n++) {
      const begun = performance.now()
      chair.say(`during ${n}`)
      await member.line(`during ${n}`)
      slowest = Math.max(slowest, performance.now() - begun)
    }
    assert.ok(slowest < patience(2000), `${slowest} ms`)
    await until('it is read', () => isRead(fixture))
    leaving = true
    for (const response of responses) response?.destroy()
    await Promise.all(readers)
    await until('nothing is read any more', async () => !(await isRead(fixture)))
    await settle(chair, member)
    assert.ok(plenum.stderr.every((line) => line.startsWith('{')))
  })

  test('a reader who takes longer than a request may is not cut off', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start({ flags: ['-requesttimeout', '1', '-rate', '0'] })
    const meeting = await gather(fixture.db.sql, plenum, 1, { state: 1 })
    await fixture.db.sql`
      insert into membership_meetingmessagelog (t, message, meeting_id)
      select now() + n * interval '1 microsecond',
        case n when 0 then 'This meeting is now open' else repeat('x', 10000) end, ${meeting.id}
      from generate_series(0, 2000) n`
    const response = await ask(plenum, pathOf(meeting, 'record.json'))
    let length = 0
    const begun = performance.now()
    for await (const part of response) {
      length += (part as Buffer).length
      if (performance.now() - begun < 4000) await wait(10)
    }
    assert.ok(response.complete && length > 20_000_000, `${length}`)
    assert.ok(performance.now() - begun > 2500)
  })

  test('a database that goes away in the middle leaves a part that nobody takes for the whole', async (t) => {
    let forwarder: Awaited<ReturnType<typeof openTcpProxy>> | undefined
    const { plenum, meeting } = await longRecord(t, async (own) => {
      const { port } = new URL(own)
      forwarder = await openTcpProxy(Number(port))
      return own.replace(`:${port}/`, `:${forwarder.port}/`)
    })
    const response = await ask(plenum, pathOf(meeting, 'record.csv'))
    response.pause()
    await wait(500)
    await forwarder?.close()
    await plenum.logged(({ event }) => event === 'databaseLost', 15_000)
    const failed = await response
      .resume()
      .toArray()
      .then(
        () => null,
        (error: unknown) => error,
      )
    assert.ok(failed && !response.complete)
    for (const form of forms) {
      const { status, headers, body } = await plenum.get(pathOf(meeting, form), { 'accept-language': 'de' })
      assert.deepEqual([status, headers['retry-after']], [503, '5'])
      assert.match(body, /Die Datenbank der Versammlungen antwortet nicht/)
    }
    await until('it is logged', () => plenum.logs.some(({ event }) => event === 'recordFailed'))
    assert.ok(plenum.stderr.every((line) => line.startsWith('{')))
  })
})

test('a process that stands by gives the record out as well', async (t) => {
  const fixture = await openServerFixture(t)
  const plenum = await fixture.start()
  const meeting = await gather(fixture.db.sql, plenum, 1, { state: 1 })
  await write(meeting, fixture.db, [{ text: 'This meeting is now open', after: 0 }])
  const standby = await fixture.start({ ready: false })
  await standby.logged(({ event }) => event === 'waiting', 15_000)
  assert.equal((await standby.get('/readyz')).status, 503)
  assert.deepEqual(texts(await json(standby, meeting)), ['This meeting is now open'])
})
