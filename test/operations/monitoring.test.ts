import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { answerTo, gather, settle } from '../support/meeting-fixture.ts'
import { startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'

type Grid = { h: number; w: number; x: number; y: number }
type Target = { refId: string; expr: string; legendFormat: string }
type Panel = {
  id: number
  type: string
  title: string
  gridPos: Grid
  description?: string
  datasource?: { type: string; uid: string }
  targets?: Target[]
}
type Dashboard = {
  title: string
  uid: string
  schemaVersion: number
  panels: Panel[]
  templating: { list: { name: string; type: string; query: unknown; datasource?: { uid: string } }[] }
}

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const dashboard = JSON.parse(readFileSync(path('deploy/grafana-dashboard.json'), 'utf8')) as Dashboard
const alerts = readFileSync(path('deploy/plenum-alerts.yaml'), 'utf8')
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
)
/** The expressions alone: what a text says of metrics is no query. */
const rules = Array.from(
  alerts.matchAll(/- alert: (\w+)\n +expr: (?:>-\n)?(.*?)\n +for: /gs),
  ([, title = '', expr = '']) => ({ title, expr }),
)
const hasPromtool = spawnSync('promtool', ['--version']).status === 0
const withPromtool = { skip: hasPromtool ? false : 'there is no promtool here (Debian: prometheus)' }

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args)
  assert.equal(status, 0, `${String(stdout)}${String(stderr)}`)
}

/** Metrics by their names as they are queried, each with the labels that it has. */
function read(text: string): Map<string, Set<string>> {
  const metrics = new Map<string, Set<string>>()
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = metrics.get(name) ?? new Set(['job', 'instance'])
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label)
    metrics.set(name, known)
  }
  return metrics
}

const named = (expr: string): string[] => expr.match(/\b(?:plenum|process|nodejs)_\w+/g) ?? []

let db: Database
let plenum: Plenum
let metrics: Map<string, Set<string>>

suite('monitoring', () => {
  before(async () => {
    db = await createDatabase()
    plenum = await startPlenum({ database: db.url, grace: 0, poll: 0.5 })
    const meeting = await gather(db.sql, plenum, 3, { state: 1, allowrejoin: true })
    const [chair, member] = await meeting.enterAll(0, 1)
    await settle(chair, member)
    member.send({ type: 'open' })
    await member.next('error')
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
    await chair.next('removeuser')
    assert.equal(await answerTo(await meeting.connect(1)), 'refused')
    await chair.close()
    await until('all is counted', async () => {
      metrics = read((await plenum.get('/metrics')).body)
      return metrics.has('plenum_disconnects_total')
    })
  })
  after(async () => {
    await plenum.kill()
    await db.drop()
  })

  test('every query of the dashboard and of the alerts asks for what there is', () => {
    assert.ok(queries.length > 30 && rules.length === 6, `${queries.length} queries, ${rules.length} rules`)
    for (const { title, expr } of [...queries, ...rules]) {
      const names = named(expr)
      assert.ok(names.length > 0, title)
      for (const name of names) assert.ok(metrics.has(name), `${title}: ${name}`)
      for (const [, name = '', selector = ''] of expr.matchAll(/\b(plenum_\w+)\{([^}]*)\}/g))
        for (const [, label = ''] of selector.matchAll(/(\w+)(?:=~|!~|!=|=)"/g))
          assert.ok(metrics.get(name)?.has(label), `${title}: ${name} has no ${label}`)
      const known = new Set(names.flatMap((name) => [...(metrics.get(name) ?? [])]))
      for (const [, labels = ''] of expr.matchAll(/\bby \(([^)]*)\)/g))
        for (const label of labels.split(', ')) assert.ok(known.has(label), `${title}: by ${label}`)
    }
  })

  test('the dashboard shows every metric of the server', () => {
    const shown = new Set(
      queries.flatMap(({ expr }) => named(expr)).map((name) => name.replace(/_(bucket|sum|count)$/, '')),
    )
    for (const name of metrics.keys())
      assert.ok(shown.has(name.replace(/_(bucket|sum|count)$/, '')), `${name} is not shown`)
  })

  test('the dashboard is one that Grafana takes: all has its id, its place and its data source', () => {
    const { title, uid, schemaVersion, panels, templating } = dashboard
    assert.deepEqual({ title, uid, id: 'id' in dashboard }, { title: 'Plenum', uid: 'plenum', id: false })
    assert.ok(schemaVersion >= 39)
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    const taken = new Map<string, string>()
    for (const { id, title, type, gridPos, description, datasource, targets } of panels) {
      assert.ok(Number.isInteger(id) && id > 0 && title && type)
      const { h, w, x, y } = gridPos
      assert.ok(h > 0 && w > 0 && x >= 0 && y >= 0 && x + w <= 24, title)
      for (let column = x; column < x + w; column++)
        for (let line = y; line < y + h; line++) {
          const other = taken.get(`${column},${line}`)
          assert.equal(other, undefined, `${title} lies on ${other}`)
          taken.set(`${column},${line}`, title)
        }
      if (type === 'row') continue
      assert.ok(description, title)
      assert.deepEqual(datasource, { type: 'prometheus', uid: '${datasource}' })
      assert.ok(targets && targets.length > 0)
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length)
      for (const { expr, legendFormat } of targets) {
        assert.ok(expr.includes('{job=~"$job",instance=~"$instance"'), title)
        assert.notEqual(legendFormat, undefined)
      }
    }
    const variables = templating.list.map(({ name, type }) => `${name} ${type}`)
    assert.deepEqual(variables, ['datasource datasource', 'job query', 'instance query'])
    const used = new Set(JSON.stringify(panels).match(/\$\{?[a-z]\w*\}?/g))
    assert.deepEqual([...used].sort(), ['$instance', '$job', '${datasource}'])
  })

  test('each alert says how grave it is and what to do, after how long', () => {
    const each = alerts.split('- alert: ').slice(1)
    assert.equal(new Set(rules.map(({ title }) => title)).size, each.length)
    for (const alert of each) {
      assert.match(alert, /^ +for: \d+m$/m)
      assert.match(alert, /^ +severity: (critical|warning)$/m)
      assert.match(alert, /^ +summary: \S.{20,}$/m)
      assert.match(alert, /^ +description: >-\n +\S.{60,}$/m)
    }
  })

  test('Prometheus takes the alerts, and they fire when they should and not else', withPromtool, () => {
    promtool('check', 'rules', path('deploy/plenum-alerts.yaml'))
    promtool('test', 'rules', path('test/operations/plenum-alerts.test.yaml'))
  })

  test('Prometheus takes the queries of the dashboard and what the server says', withPromtool, async (t) => {
    const folder = await mkdtemp(joinPath(tmpdir(), 'plenum-queries-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const records = queries.map(({ expr }, index) => ({
      record: `query:${index}`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }))
    const file = joinPath(folder, 'queries.yaml')
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: records }] }))
    promtool('check', 'rules', file)
    const { body } = await plenum.get('/metrics')
    const linted = spawnSync('promtool', ['check', 'metrics'], { input: body })
    assert.deepEqual([linted.status, String(linted.stdout), String(linted.stderr)], [0, '', ''])
  })
})
