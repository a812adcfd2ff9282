import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join as joinPath } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { flagsDocument } from '../../release/flags.ts'
import { refusalTexts } from '../../src/db/failure.ts'
import { isRejection } from '../../src/hub/rejection.ts'
import { disconnects } from '../../src/meeting/disconnects.ts'
import { parseRequest } from '../../src/meeting/protocol.ts'
import { createAssociation, createDatabase, createMeeting, createRole } from '../support/database.ts'
import type { Database, Fellow } from '../support/database.ts'
import { connect, join } from '../support/meeting-client.ts'
import { denoPermissions, runPlenum, startPlenum } from '../support/server.ts'

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
const operations = read('docs/operations.md')
const protocol = read('docs/protocol.md')

/** The texts in backticks that the entries of the list below a heading begin with. */
function listed(text: string, heading: string): string[] {
  const [section = ''] = (text.split(`\n${heading}\n`)[1] ?? '').split('\n#')
  const found = Array.from(section.matchAll(/^- `([^`]+)`(?::|$)/gm), ([, entry = '']) => entry)
  assert.ok(found.length > 0, `no list below ${heading}`)
  return found
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const filesIn = (folder: string): string[] =>
  readdirSync(joinPath(root, folder), { recursive: true, encoding: 'utf8' }).map(
    (file) => `${folder}/${file}`,
  )
/** The pages for people, by their paths. */
const pages = [
  ...readdirSync(root).filter((file) => file.endsWith('.md')),
  ...filesIn('docs').filter((file) => file.endsWith('.md')),
]

/** What the prose of a page says, without its blocks of code. */
const prose = (text: string): string => text.replace(/^ *```.*?^ *```$/gms, '').replace(/^ {4}.*$/gm, '')

/** The anchors of a page's headings, as forges make them. */
const anchors = (text: string): string[] =>
  Array.from(prose(text).matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-'),
  )

const blocks = (text: string, language: string): string[] =>
  Array.from(text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms')), ([, block = '']) => block)

test('docs/flags.md is what the tables of flags say (npm run docs writes it)', () => {
  assert.equal(read('docs/flags.md'), flagsDocument())
})

test('the first page is short, and no table is wider than somebody can read as text', () => {
  assert.ok(Buffer.byteLength(read('README.md')) < 8192)
  const wide = pages.flatMap((page) =>
    read(page)
      .split('\n')
      .filter((line) => line.startsWith('|') && line.length > 200)
      .map((line) => `${page}: ${line.slice(0, 60)}`),
  )
  assert.deepEqual(wide, [])
})

test('links between pages lead to files and headings that are there', () => {
  const dead = pages.flatMap((page) =>
    Array.from(
      prose(read(page)).matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g),
      ([, link, picture]) => {
        return link ?? picture ?? ''
      },
    )
      .filter((target) => !/^https?:/.test(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#')
        const path = file === '' ? page : joinPath(dirname(page), file)
        if (!existsSync(joinPath(root, path))) return true
        return anchor !== undefined && !anchors(read(path)).includes(anchor)
      })
      .map((target) => `${page}: ${target}`),
  )
  assert.deepEqual(dead, [])
})

test('files and functions that docs/architecture.md and the decisions name are in the code', () => {
  const sources = filesIn('src').filter((file) => /(?<!\.test)\.tsx?$/.test(file))
  const all = sources.map(read).join('\n')
  const isThere = (path: string): boolean => existsSync(joinPath(root, sourcePath(path)))
  const defines = (source: string, name: string): boolean =>
    new RegExp(`\\b(?:function|class|const) ${name}\\b|^ +(?:async )?#?${name}\\(`, 'm').test(source)
  const unknown = pages
    .filter((page) => page === 'docs/architecture.md' || page.startsWith('docs/decisions/'))
    .flatMap((page) => {
      const text = prose(read(page))
      const files = Array.from(text.matchAll(/`([\w/.-]+\.tsx?)`/g), ([, path = '']) => path)
      const functions = Array.from(text.matchAll(/`(\w+)\(\)`/g), ([, name = '']) => name)
      const places = Array.from(text.matchAll(/`(\w+)(?:\(\))?`,?\s+\((?:in )?`([\w/.-]+\.ts)`\)/g))
      assert.ok(page !== 'docs/architecture.md' || places.length > 5)
      return [
        ...files.filter((path) => !isThere(path) && path !== 'src/echo/door.ts'),
        ...functions.filter((name) => !defines(all, name)),
        ...places
          .filter(([, name = '', path = '']) => isThere(path) && !defines(read(sourcePath(path)), name))
          .map(([whole]) => whole),
      ].map((name) => `${page}: ${name}`)
    })
  assert.deepEqual(unknown, [])
})

test('the tests that docs/promises.md names are there', () => {
  const promises = read('docs/promises.md')
  const tests = filesIn('test').flatMap(
    (file) => /^test\/(?:\w+\/)?([\w-]+)\.test\.ts$/.exec(file)?.[1] ?? [],
  )
  // Those of a promise, and those that a threat has in brackets.
  const lists = [
    ...promises.matchAll(/_Shown\s+by:_(.*?)(?=\n- |\n\n)/gs),
    ...promises.matchAll(/\((`[a-z][^)]*)\)/g),
  ]
  const named = lists.flatMap(([, list = '']) =>
    Array.from(list.matchAll(/`(?:faults\/)?([a-z][a-z0-9-]*)`/g), ([, name = '']) => name),
  )
  assert.ok(named.length > 40)
  assert.deepEqual(
    named.filter((name) => !tests.includes(name)),
    [],
  )
})

test('CHANGELOG.md knows the version', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  assert.ok(read('CHANGELOG.md').includes(`\n## [${version}] - `))
})

/** Pages name a file of the server by its path below src/. */
const sourcePath = (path: string): string => (existsSync(joinPath(root, path)) ? path : `src/${path}`)

test('docs/operations.md names the permissions that the server is tested with under Deno', () => {
  const command = /^ *deno run (.*)$/m.exec(operations)?.[1] ?? ''
  assert.deepEqual(command.replaceAll("'", '').match(/--allow-\S+/g), denoPermissions)
})

test('docs/protocol.md explains every error text of the server, and no other', () => {
  const documented = listed(protocol, '### Errors')
  const patterns = [...errorTexts(), ...Object.values(refusalTexts).map((text) => new RegExp(`^${text}$`))]
  assert.deepEqual(
    patterns.filter((pattern) => !documented.some((text) => pattern.test(text))),
    [],
  )
  assert.deepEqual(
    documented.filter((text) => !patterns.some((pattern) => pattern.test(text))),
    [],
  )
})

test('docs/protocol.md explains every disconnect text of the server, and no other', () => {
  assert.deepEqual(listed(protocol, '### disconnect'), Object.values(disconnects))
})

/**
 * The texts of the source that a command can be answered with: arguments of `reject`, and in protocol.ts every sentence.
 * What is put into a text counts as its value where that is a number of the same file, as any word elsewhere.
 */
function errorTexts(): RegExp[] {
  const folder = 'src/meeting'
  const files = readdirSync(fileURLToPath(new URL(`../../${folder}`, import.meta.url)), {
    recursive: true,
    encoding: 'utf8',
  })
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .flatMap((file) => {
      const source = read(`${folder}/${file}`).replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, '')
      const numbers = new Map(
        Array.from(source.matchAll(/const (\w+) = ([\d_]+)$/gm), ([, name, digits = '']) => [
          name,
          digits.replaceAll('_', ''),
        ]),
      )
      const literal = /(['`])([A-Z][^'`\n]* [^'`\n]*)\1/
      const found =
        file === 'protocol.ts'
          ? source.matchAll(new RegExp(literal, 'g'))
          : source.matchAll(new RegExp(`\\breject\\(\\s*${literal.source}`, 'g'))
      return Array.from(found, ([, , text = '']) => {
        const parts = text.split(/\$\{(\w+)\}/).map((part, index) => {
          if (index % 2 === 1) return numbers.get(part) ?? '\\w+'
          return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
        })
        return new RegExp(`^${parts.join('')}$`)
      })
    })
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Names and kinds of everything in a JSON value; a list is known by its first entry. */
function shape(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length > 0 ? `[${shape(value[0] ?? null)}]` : '[]'
  if (typeof value !== 'object') return typeof value
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${key}: ${shape(value[key] ?? null)}`)
    .join(', ')}}`
}

const examples = blocks(protocol, 'json').map((text) => JSON.parse(text) as { [key: string]: Json })
/** The server says `message` too, but with its text in `data`. */
const isCommand = ({ type, message }: { [key: string]: Json }): boolean =>
  type === 'vote' || type === 'newpoll' || type === 'kick' || typeof message === 'string'

test('the server understands the commands that docs/protocol.md gives as examples', () => {
  const understood = examples.filter(isCommand).map((example) => {
    const { command } = parseRequest(JSON.stringify(example), true)
    const parts = [command, ...Object.values(command ?? {})]
    assert.ok(command && !parts.some((part) => typeof part === 'object' && isRejection(part)))
    return example['type']
  })
  assert.deepEqual(understood, ['message', 'vote', 'newpoll', 'kick', 'message'])
})

let database: Database
before(async () => {
  database = await createDatabase()
})
after(() => database.drop())

test('with the rights that docs/operations.md grants and no other a meeting can be held, with frames like the documented ones', async () => {
  const { sql, name } = database
  const { role, url } = await createRole(database)
  const check = ['check', '-origin', '*', '-dburl', url]
  assert.equal((await runPlenum(check)).code, 1)

  // As an older Django has made it: then who writes a line needs a right on the sequence too.
  const log = 'membership_meetingmessagelog'
  await sql.unsafe(`
    alter table ${log} alter column id drop identity;
    create sequence ${log}_id_seq owned by ${log}.id;
    alter table ${log} alter column id set default nextval('${log}_id_seq')`)
  const [grants = ''] = blocks(operations, 'sql')
  await sql.unsafe(
    grants.replace(/\b(TO|AUTHORIZATION) plenum\b/g, `$1 ${role}`).replace(/\bpostgresqleu\b/g, name),
  )
  const checked = await runPlenum(check)
  assert.equal(checked.code, 0, checked.stderr)

  const [chair, guest, other] = (await createAssociation(sql, 3)) as [Fellow, Fellow, Fellow]
  const meeting = await createMeeting(sql, { members: [chair, guest, other], admins: [chair] })
  const plenum = await startPlenum({ database: url, flags: ['-rate', '5'] })
  const first = await join(plenum, meeting.id, meeting.keys.get(chair.id))
  await first.next('messages')
  const second = await join(plenum, meeting.id, meeting.keys.get(guest.id))
  await second.next('messages')
  const newer = { protocols: ['plenum.v1'] }
  const third = await join(plenum, meeting.id, meeting.keys.get(other.id), newer)
  await third.next('messages')
  const screen = await connect(
    plenum,
    `/ws/meeting/${meeting.id}/${meeting.keys.get(other.id)}/hall/0`,
    newer,
  )
  await screen.next('here')
  screen.ws.close()
  second.send({ type: 'open' })
  await second.next('error')
  first.send({ type: 'open' })
  await first.next('status', ({ data }) => data.isopen)
  first.send({ type: 'newpoll', question: 'Well?', answers: ['Yes', 'No'], minutes: 5 })
  await second.next('poll', ({ data }) => data !== null)
  first.send({ type: 'vote', question: 'Well?', vote: 0 })
  await first.next('poll', ({ data }) => data?.tally[0] === 1)
  second.send({ type: 'vote', question: 'Well?', vote: 0 })
  third.send({ type: 'vote', question: 'Well?', vote: 0, id: 'v' })
  await third.next('pollend')
  const again = await join(plenum, meeting.id, meeting.keys.get(other.id), newer)
  await again.next('messages')
  for (let n = 0; n < 25; n++) again.send({ type: 'message', message: 'Well!', id: `m${n}` })
  await again.next('error')
  first.send({ type: 'kick', user: guest.id, canrejoin: false })
  await second.next('disconnect')
  await first.next('removeuser')
  const status = JSON.parse((await plenum.get('/__meetingstatus')).body) as Json
  first.send({ type: 'finish' })
  await first.line('This meeting is now finished')
  first.ws.close()
  await plenum.stop()

  const seen = new Set(
    [...[first, second, third, again, screen].flatMap(({ frames }) => frames), status].map((frame) =>
      shape(frame as Json),
    ),
  )
  for (const example of examples)
    if (!isCommand(example))
      assert.ok(seen.has(shape(example)), `nothing was like ${JSON.stringify(example)}`)
})

test('a role that does not own the schema is told what it lacks, and what docs/operations.md grants will do', async (t) => {
  const own = await createDatabase()
  t.after(() => own.drop())
  const { role, url } = await createRole(own)
  const check = (): ReturnType<typeof runPlenum> => runPlenum(['check', '-origin', '*', '-dburl', url])
  const [grants = '', further = ''] = blocks(operations, 'sql').map((text) =>
    text
      .replace(/\bTO plenum\b/g, `TO ${role}`)
      .replace(/^CREATE SCHEMA .*$|^GRANT USAGE ON SEQUENCE .*$/gm, ''),
  )
  assert.equal((await runPlenum(['migrate', '-dburl', own.url])).code, 0)
  await own.sql.unsafe(grants)
  assert.match((await check()).stderr, /as its owner run: GRANT USAGE ON SCHEMA plenum TO/)
  await own.sql.unsafe(further)
  const checked = await check()
  assert.equal(checked.code, 0, checked.stderr)

  await own.sql.unsafe(`revoke insert on plenum.command from ${role}`)
  const { stderr } = await check()
  assert.match(stderr, /rights on Plenum's own tables are missing/)
  await own.sql.unsafe(/run: (.*)/.exec(stderr)?.[1] ?? '')
  assert.equal((await check()).code, 0)
  await own.sql.unsafe(`revoke usage on schema plenum from ${role}`)
  // A table of a later version.
  await own.sql.unsafe(`grant usage on schema plenum to ${role}; create table plenum.later (id integer)`)
  assert.equal((await check()).code, 0)
})
