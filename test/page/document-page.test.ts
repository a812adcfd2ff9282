import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Page } from 'playwright-core'
import { freePort } from '../../demo/port.ts'
import {
  assertAccessible,
  desktop,
  launchChromium,
  noChromium,
  openPage,
  phone,
  type Visit,
} from '../support/browser.ts'
import { createDatabase } from '../support/database.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { manage } from '../support/manage.ts'
import { refuseWrites } from '../support/refused-writes.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

// The page for sketches in Chromium: what one draws all see, whoever else draws and whatever becomes of the connection.

/** Pixels are compared: the fewer, the faster. */
const small = { width: 720, height: 400 }

type Place = readonly [x: number, y: number]

const skip = noChromium || (currentRuntime() !== 'node' && 'the page is the same on both runtimes')

suite('the page for sketches', { skip }, async () => {
  const db = await createDatabase()
  const listen = `127.0.0.1:${await freePort()}`
  const secrets = { user: 'app', password: 'secret of the app' }
  const management = ['-document-user', secrets.user, '-document-password', secrets.password]
  const options = { database: db.url, listen, flags: ['-document', '-document-maxsize', '1', ...management] }
  let plenum = await startPlenum(options)
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })
  let lastSketch = 0
  const newSketch = (): string => `#sketch-${++lastSketch}`

  async function visit(t: TestContext, address = newSketch(), options: Visit = {}): Promise<Page> {
    const page = await openPage(t, browser, plenum, `/document/demo${address}`, {
      viewport: small,
      ...options,
    })
    await page.locator('.state.in').waitFor()
    return page
  }

  /** Draws with the mouse; places are parts of the sheet's width and height. */
  async function draw(page: Page, from: Place, to: Place): Promise<void> {
    const box = await page.locator('.board').boundingBox()
    assert.ok(box)
    const at = ([x, y]: Place): [number, number] => [box.x + x * box.width, box.y + y * box.height]
    await page.mouse.move(...at(from))
    await page.mouse.down()
    await page.mouse.move(...at(to), { steps: 2 })
    await page.mouse.up()
  }

  const says = (page: Page, summary: string): Promise<void> =>
    page.locator('#summary', { hasText: new RegExp(`^${summary}$`) }).waitFor()

  /** What is painted, as the browser writes it: the same strokes in the same order are the same pixels. */
  const pixels = (page: Page): Promise<string> =>
    page.evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
      done(document.querySelector('canvas').toDataURL()))))`)

  async function looksTheSame(...pages: [Page, ...Page[]]): Promise<void> {
    await until(
      'all pages show the same',
      async () => new Set(await Promise.all(pages.map(pixels))).size === 1,
    )
  }

  /** Whether the place is painted, and in what color. */
  const colorAt = (page: Page, [x, y]: Place): Promise<number[]> =>
    page.evaluate(`{
      const canvas = document.querySelector('canvas')
      const { data } = canvas.getContext('2d').getImageData(${x} * canvas.width, ${y} * canvas.height, 1, 1)
      Array.from(data)
    }`)

  /** Writes to the end of an empty sketch as any other client of the protocol may. */
  const write = (page: Page, sketch: string, text: string): Promise<void> =>
    page.evaluate(`new Promise((done) => {
      const socket = new WebSocket('ws://${listen}/socket')
      const bytes = (text) => Array.from(text, (letter) => letter.charCodeAt(0))
      const send = (...parts) => socket.send(new Uint8Array(parts.flat()))
      socket.onopen = () => send([1, 0, 0, 3], Array(20).fill(0), ${sketch.length - 1}, bytes('${sketch.slice(1)}'))
      let isOpen = false
      socket.onmessage = ({ data }) => {
        if (!isOpen) send([5, 0], Array(12).fill(0), bytes(${text}))
        else if (data.size === 12) done(socket.close())
        isOpen = true
      }
    })`)

  suite('while the server is there', { concurrency: 3 }, () => {
    test('two draw, both see the same, and it is there when the page is loaded anew', async (t) => {
      const sketch = newSketch()
      const [alice, bob] = await Promise.all([visit(t, sketch), visit(t, sketch)])
      await alice.getByText('Connected, 2 people are here').waitFor()
      await alice.getByLabel('Red').check()
      await draw(alice, [0.2, 0.5], [0.6, 0.5])
      await says(bob, '1 stroke by 1 person')
      await draw(bob, [0.4, 0.2], [0.4, 0.8])
      for (const page of [alice, bob]) await says(page, '2 strokes by 2 people')
      await looksTheSame(alice, bob)
      assert.deepEqual(await colorAt(bob, [0.3, 0.5]), [192, 57, 43, 255])
      // Bob's, which is above.
      assert.deepEqual(await colorAt(alice, [0.4, 0.5]), [28, 35, 32, 255])
      const before = await pixels(alice)
      await alice.reload()
      await says(alice, '2 strokes by 2 people')
      await until('it looks as before', async () => (await pixels(alice)) === before, 15_000)
    })

    test('of strokes that are drawn at the same moment none is lost', async (t) => {
      const sketch = newSketch()
      const pages = await Promise.all([visit(t, sketch), visit(t, sketch)])
      await pages[1].getByLabel('Green').check()
      for (let round = 0; round < 3; round++)
        await Promise.all(
          pages.map((page, index) =>
            draw(page, [0.1 + 0.4 * index, 0.1 + 0.2 * round], [0.3 + 0.4 * index, 0.15 + 0.2 * round]),
          ),
        )
      for (const page of pages) await says(page, '6 strokes by 2 people')
      await looksTheSame(...pages)
    })

    test('who appends where another was first appends anew, and neither loses anything', async (t) => {
      const sketch = newSketch()
      const held: (() => void)[] = []
      let isHeld = false
      // What the server says to Alice can be kept from her.
      const alice = await visit(t, sketch, {
        beforehand: (page) =>
          page.routeWebSocket('**/socket', (socket) => {
            const server = socket.connectToServer()
            socket.onMessage((message) => server.send(message))
            server.onMessage((message) => {
              if (isHeld) held.push(() => socket.send(message))
              else socket.send(message)
            })
          }),
      })
      const bob = await visit(t, sketch)
      isHeld = true
      await draw(bob, [0.2, 0.2], [0.3, 0.3])
      await says(bob, '1 stroke by 1 person')
      await until('it has been passed on', () => held.length > 0)
      await draw(alice, [0.4, 0.4], [0.5, 0.5])
      await draw(alice, [0.4, 0.6], [0.5, 0.7])
      await says(alice, '2 strokes by 1 person')
      isHeld = false
      for (const hear of held) hear()
      for (const page of [alice, bob]) await says(page, '3 strokes by 2 people')
      await looksTheSame(alice, bob)
    })

    test('without a network one draws on, and both sides get what they lack', async (t) => {
      const sketch = newSketch()
      const [alice, bob] = await Promise.all([visit(t, sketch), visit(t, sketch)])
      await alice.context().setOffline(true)
      await alice.getByText('Connection lost').waitFor()
      await draw(alice, [0.2, 0.2], [0.3, 0.3])
      await draw(alice, [0.2, 0.4], [0.3, 0.5])
      await alice.getByText('2 steps are not sent yet').waitFor()
      await bob.getByText('nobody else is here').waitFor()
      await draw(bob, [0.6, 0.6], [0.7, 0.7])
      await alice.context().setOffline(false)
      for (const page of [alice, bob]) await says(page, '3 strokes by 2 people')
      await looksTheSame(alice, bob)
    })

    test("one takes back one's own steps only, also after the page was loaded anew, and clearing too", async (t) => {
      const sketch = newSketch()
      const [alice, bob] = await Promise.all([visit(t, sketch), visit(t, sketch)])
      await draw(alice, [0.2, 0.2], [0.3, 0.3])
      await draw(bob, [0.6, 0.6], [0.7, 0.7])
      for (const page of [alice, bob]) await says(page, '2 strokes by 2 people')
      await alice.reload()
      await says(alice, '2 strokes by 2 people')
      await bob.getByRole('button', { name: 'Clear all' }).click()
      await says(alice, 'Nothing has been drawn yet')
      const undo = alice.getByRole('button', { name: 'Undo' })
      assert.equal(await undo.getAttribute('aria-disabled'), 'true')
      await bob.keyboard.press('Control+z')
      await says(alice, '2 strokes by 2 people')
      await undo.click()
      await says(bob, '1 stroke by 1 person')
      assert.equal(await undo.getAttribute('aria-disabled'), 'true')
      await looksTheSame(alice, bob)
    })

    test('what one took back is done again, with the keyboard too, until one draws something else', async (t) => {
      const sketch = newSketch()
      const [alice, bob] = await Promise.all([visit(t, sketch), visit(t, sketch)])
      await draw(alice, [0.2, 0.2], [0.3, 0.3])
      await draw(alice, [0.4, 0.4], [0.5, 0.5])
      await draw(bob, [0.6, 0.6], [0.7, 0.7])
      for (const page of [alice, bob]) await says(page, '3 strokes by 2 people')
      const redo = alice.getByRole('button', { name: 'Redo' })
      assert.equal(await redo.getAttribute('aria-disabled'), 'true')
      const before = await pixels(bob)
      await alice.keyboard.press('Control+z')
      await alice.keyboard.press('Control+z')
      await says(bob, '1 stroke by 1 person')
      assert.equal(await bob.getByRole('button', { name: 'Redo' }).getAttribute('aria-disabled'), 'true')
      await alice.reload()
      await says(alice, '1 stroke by 1 person')
      await redo.focus()
      await alice.keyboard.press('Enter')
      const spoken = alice.locator('body > [role=status]')
      assert.equal(await spoken.textContent(), 'Your last undone step is done again')
      await alice.keyboard.press('Control+Shift+z')
      for (const page of [alice, bob]) await says(page, '3 strokes by 2 people')
      await looksTheSame(alice, bob)
      await until('each stroke is where it was', async () => (await pixels(bob)) === before)
      await bob.getByText('Others have brought something back').waitFor({ state: 'attached' })
      await alice.keyboard.press('Control+z')
      await draw(alice, [0.8, 0.2], [0.9, 0.3])
      await until(
        'nothing can be done again',
        async () => (await redo.getAttribute('aria-disabled')) === 'true',
      )
      await alice.keyboard.press('Control+y')
      await says(bob, '3 strokes by 2 people')
    })

    test('it is saved as PNG and as SVG, as on paper also where the screen is dark', async (t) => {
      const page = await visit(t, newSketch(), { colorScheme: 'dark' })
      const png = page.getByRole('button', { name: 'Save as PNG' })
      assert.equal(await png.getAttribute('aria-disabled'), 'true')
      await page.getByLabel('Red').check()
      await draw(page, [0.2, 0.5], [0.6, 0.5])
      await says(page, '1 stroke by 1 person')
      const saved = async (name: string): Promise<{ file: string; bytes: Buffer }> => {
        const button = page.getByRole('button', { name })
        await button.focus()
        const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')])
        return { file: download.suggestedFilename(), bytes: await readFile(await download.path()) }
      }
      /** The size of a picture, and its colors beside the stroke and on it. */
      const look = (type: string, bytes: Buffer): Promise<unknown> =>
        page.evaluate(`new Promise((done, failed) => {
          const image = new Image()
          image.onerror = () => failed(new Error('no picture'))
          image.onload = () => {
            const canvas = document.createElement('canvas')
            canvas.width = image.naturalWidth
            canvas.height = image.naturalHeight
            const context = canvas.getContext('2d')
            context.drawImage(image, 0, 0)
            const at = (x, y) => Array.from(context.getImageData(x, y, 1, 1).data)
            done([canvas.width, canvas.height, at(100, 100), at(800, 800)])
          }
          image.src = 'data:${type};base64,${bytes.toString('base64')}'
        })`)
      for (const [format, type] of [
        ['PNG', 'image/png'],
        ['SVG', 'image/svg+xml'],
      ] as const) {
        const { file, bytes } = await saved(`Save as ${format}`)
        assert.match(file, new RegExp(`^Sketch \\d{4}-\\d\\d-\\d\\d\\.${format.toLowerCase()}$`))
        assert.deepEqual(
          await look(type, bytes),
          [2000, 1600, [255, 255, 255, 255], [192, 57, 43, 255]],
          format,
        )
      }
      await page.getByText('Your browser saves it as Sketch').waitFor({ state: 'attached' })
    })

    test('those who want to see names at strokes, of those who want to have one', async (t) => {
      const sketch = newSketch()
      const [alice, bob] = await Promise.all([visit(t, sketch), visit(t, sketch)])
      const written = (page: Page): Promise<boolean> =>
        page.evaluate(`{
          const canvas = document.querySelectorAll('canvas')[2]
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
          data.some((value) => value > 0)
        }`)
      await draw(bob, [0.2, 0.2], [0.3, 0.3])
      await draw(alice, [0.6, 0.6], [0.7, 0.7])
      await says(bob, '2 strokes by 2 people')
      // What is told together with it would be two.
      await alice.getByText('1 new stroke by others').waitFor({ state: 'attached' })
      assert.equal(await bob.getByLabel('Your name').count(), 0)
      for (const page of [alice, bob]) await page.getByLabel('Show names at strokes').check()
      await alice.getByText('Without a name: 2 strokes').waitFor()
      assert.equal(await written(alice), false)
      const field = bob.getByLabel('Your name')
      await field.fill('Zoe')
      // The field's own step is taken back, and not the stroke.
      await bob.keyboard.press('Control+z')
      await says(bob, '2 strokes by 2 people')
      await field.fill(' Zoë <b> ')
      await bob.keyboard.press('Enter')
      await alice.getByText('Zoë <b>: 1 stroke').waitFor()
      await until('it stands at the stroke', () => written(alice))
      await draw(bob, [0.4, 0.2], [0.5, 0.3])
      await alice.getByText('1 new stroke by Zoë <b>').waitFor({ state: 'attached' })
      await alice.reload()
      await alice.getByText('Zoë <b>: 2 strokes').waitFor()
      await alice.getByLabel('Show names at strokes').uncheck()
      await until('nobody is named', async () => !(await written(alice)))
      assert.equal(await alice.getByText('Zoë').count(), 0)
      await field.fill('')
      await bob.getByRole('button', { name: 'Use' }).click()
      await until('the name is gone', async () => !(await written(bob)))
      await says(bob, '3 strokes by 2 people')
    })

    test('it is drawn on by keyboard and by finger, and others see where', async (t) => {
      const sketch = newSketch()
      const [keys, touch] = await Promise.all([
        visit(t, sketch),
        visit(t, sketch, { viewport: phone, hasTouch: true, isMobile: true }),
      ])
      await keys.keyboard.press('Tab')
      assert.equal(
        await keys.evaluate('document.activeElement.getAttribute("aria-label")'),
        'Sheet to draw on',
      )
      for (const key of ['Shift+ArrowLeft', 'Space', 'Shift+ArrowLeft', 'Shift+ArrowLeft'])
        await keys.keyboard.press(key)
      const spoken = keys.locator('body > [role=status]')
      assert.equal(await spoken.textContent(), 'Pen down')
      await until('the other sees the pen', () =>
        touch.evaluate(`{
        const canvas = document.querySelectorAll('canvas')[1]
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
        data.some((value) => value > 0)
      }`),
      )
      await keys.keyboard.press('Space')
      assert.equal(await spoken.textContent(), 'Pen up')
      await says(touch, '1 stroke by 1 person')
      assert.deepEqual(await colorAt(keys, [0.4, 0.5]), [28, 35, 32, 255])
      await touch.locator('.board').tap()
      await says(keys, '2 strokes by 2 people')
      await touch.getByText('1 new stroke by others').waitFor({ state: 'attached' })
    })

    test('a long stroke and a long document come whole, in several frames', async (t) => {
      const sketch = newSketch()
      const page = await visit(t, sketch)
      // Each of 2,000 points at 8 to 10 bytes: seven of them are longer than a frame.
      await page.context().setOffline(true)
      await page.getByText('Connection lost').waitFor()
      await page.evaluate(`{
      const board = document.querySelector('.board')
      const { left, top, width, height } = board.getBoundingClientRect()
      const fire = (type, x, y) => board.dispatchEvent(new PointerEvent(type,
        { bubbles: true, pointerId: 1, clientX: left + x * width, clientY: top + y * height }))
      board.setPointerCapture = () => undefined
      fire('pointerdown', 0.5, 0.5)
      for (let i = 0; i < 12500; i++) fire('pointermove', 0.5 + 0.45 * Math.sin(i), 0.5 + 0.45 * Math.cos(i * 1.1))
      fire('pointerup', 0.5, 0.5)
    }`)
      await page.getByText('7 steps are not sent yet').waitFor()
      await page.context().setOffline(false)
      await page.locator('.state.in').waitFor()
      const other = await visit(t, sketch)
      await says(other, '7 strokes by 1 person')
      await looksTheSame(page, other)
    })

    test('bytes of others that are no strokes do no harm', async (t) => {
      const sketch = newSketch()
      const page = await visit(t, sketch)
      const stroke = '{"type":"stroke","id":"a","by":"b","color":1,"width":9,"points":[1e999,0]}'
      await write(page, sketch, `'\\xff\\n{}\\nnull\\n${stroke}\\n'`)
      await draw(page, [0.2, 0.2], [0.3, 0.3])
      await says(page, '1 stroke by 1 person')
      await page.reload()
      await says(page, '1 stroke by 1 person')
    })

    test('where a document is as long as the server lets it be, it says so in the language of the page', async (t) => {
      const sketch = newSketch()
      const page = await visit(t, sketch, { locale: 'de-DE' })
      await write(page, sketch, `'x'.repeat(${2 ** 20 - 10})`)
      await draw(page, [0.2, 0.2], [0.3, 0.3])
      await page.getByText('Diese Skizze ist voll').waitFor()
      await page
        .getByText('Eine Skizze hat höchstens 1.048.576 Bytes: Bitte beginnen Sie eine andere.')
        .waitFor()
      await says(page, 'Noch ist nichts gezeichnet')
    })

    test('what is for a moment is tried again, and what is not known is told as the server says it', async (t) => {
      const fault = (text: string): Buffer => Buffer.concat([Buffer.from([0x80, 0, 0, 0]), Buffer.from(text)])
      let opened = 0
      let sayMore = (): void => undefined
      const page = await openPage(t, browser, plenum, `/document/demo${newSketch()}`, {
        viewport: small,
        locale: 'sv-SE',
        beforehand: (page) =>
          page.routeWebSocket(/\/socket$/, (socket) => {
            opened++
            if (opened > 1) socket.connectToServer()
            else setTimeout(() => socket.send(fault('the server is too busy')), 100)
            if (opened === 2) sayMore = () => socket.send(fault('word 7 is new'))
          }),
      })
      await page.getByText('Servern har för mycket att göra: ett nytt försök görs strax.').waitFor()
      await page.getByText('Ansluten, ingen annan är här').waitFor()
      sayMore()
      await page.getByText('Servern säger: word 7 is new').waitFor()
      await draw(page, [0.2, 0.2], [0.3, 0.3])
      await says(page, '1 streck av 1 person')
    })

    test('a step that the database refuses is taken back with a word, and all else goes on', async (t) => {
      const sketch = newSketch()
      const [page, other] = await Promise.all([visit(t, sketch), visit(t, sketch)])
      const allow = await refuseWrites(
        db.sql,
        'insert on plenum.document_part',
        `position('"color":1'::bytea in new.data) > 0`,
      )
      await draw(page, [0.2, 0.2], [0.3, 0.3])
      await says(page, '1 stroke by 1 person')
      await page.getByLabel('Red').check()
      await draw(page, [0.4, 0.4], [0.5, 0.5])
      await page.getByText('The server refuses your last step').waitFor()
      await says(page, '1 stroke by 1 person')
      await page.getByLabel('Green').check()
      await draw(page, [0.6, 0.6], [0.7, 0.7])
      for (const each of [page, other]) await says(each, '2 strokes by 1 person')
      await page.getByText('Connected, 2 people are here').waitFor()
      await allow()
    })

    test('a sketch that the database refuses to open is not tried again for ever', async (t) => {
      const sketch = newSketch()
      const allow = await refuseWrites(db.sql, 'insert on plenum.document', `new.id = '${sketch.slice(1)}'`)
      const page = await openPage(t, browser, plenum, `/document/demo${sketch}`, { viewport: small })
      await page.locator('.state.refused').waitFor()
      await page.getByText('The server refuses to open this sketch').waitFor()
      await allow()
      await page.getByRole('button', { name: 'Try now' }).click()
      await page.locator('.state.in').waitFor()
    })

    test('who may only read sees that, and who has a sketch open that is deleted', async (t) => {
      const sketch = newSketch()
      const documentID = sketch.slice(1)
      const writer = await visit(t, sketch)
      await draw(writer, [0.2, 0.2], [0.3, 0.3])
      const token = { token: `${documentID}-reader`, documentID, userID: 'r', permissions: 'r' }
      const expiration = 'Fri, 01 Jan 2100 00:00:00 GMT'
      const { status } = await manage(plenum, { method: 'addToken', ...token, expiration }, secrets)
      assert.equal(status, 200)
      const reader = await visit(t, `#${token.token}`)
      await says(reader, '1 stroke by 1 person')
      await draw(reader, [0.5, 0.5], [0.6, 0.6])
      await reader.getByText('You may look at this sketch, but not draw on it').waitFor()
      await says(reader, '1 stroke by 1 person')
      await draw(writer, [0.5, 0.5], [0.6, 0.6])
      await says(reader, '2 strokes by 1 person')
      await manage(plenum, { method: 'deleteDocument', documentID }, secrets)
      for (const page of [writer, reader]) await page.getByText('has been deleted or replaced').waitFor()
      await writer.reload()
      await says(writer, 'Nothing has been drawn yet')
    })

    test('without a name in its address it makes one that can be passed on', async (t) => {
      const page = await visit(t, '')
      const address = page.url()
      assert.match(new URL(address).hash, /^#[0-9a-f]{30}$/)
      assert.equal(await page.getByLabel('Address of this sketch').inputValue(), address)
      await page.getByRole('link', { name: 'Begin another sketch' }).click()
      await until('there is another', () => new URL(page.url()).hash !== '' && page.url() !== address)
    })

    for (const [locale, words] of [
      ['de-DE', 'Verbunden, sonst ist niemand hier'],
      ['fr-CA', 'Connecté, personne d’autre n’est là'],
      ['sv-SE', 'Ansluten, ingen annan är här'],
    ] as const)
      test(`it speaks ${locale}`, async (t) => {
        const page = await visit(t, newSketch(), { locale })
        await page.getByText(words).waitFor()
        assert.equal(await page.getAttribute('html', 'lang'), locale.slice(0, 2))
      })

    for (const [name, viewport] of Object.entries({ phone, desktop }))
      test(`axe-core finds nothing, and nothing is wider than the screen: ${name}`, async (t) => {
        const page = await visit(t, newSketch(), { viewport })
        await draw(page, [0.2, 0.2], [0.3, 0.3])
        await page.getByLabel('Show names at strokes').check()
        await page.getByLabel('Your name').waitFor()
        if (name === 'phone') {
          await page.context().setOffline(true)
          await page.getByText('Connection lost').waitFor()
        }
        await assertAccessible(page, name)
        assert.ok(await page.evaluate<boolean>('document.documentElement.scrollWidth <= innerWidth'))
      })

    test('it is there where documents are, and nowhere else', async (t) => {
      // It waits for the lock that the other has, and answers what needs none.
      const without = await startPlenum({ database: db.url, ready: false })
      t.after(() => without.kill())
      await until('it listens', () =>
        without.get('/').then(
          () => true,
          () => false,
        ),
      )
      assert.equal((await without.get('/document/demo')).status, 404)
      const { status, headers } = await plenum.get('/document/demo')
      assert.equal(status, 200)
      assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'sha256-/)
    })
  })

  test('what is not stored yet outlives the page, and is there once', async (t) => {
    const sketch = newSketch()
    const page = await visit(t, sketch)
    const held = await holdTransaction(db.url, (tx) => tx`lock table plenum.document_part in share mode`)
    await draw(page, [0.2, 0.2], [0.3, 0.3])
    await draw(page, [0.4, 0.2], [0.5, 0.3])
    await says(page, '2 strokes by 1 person')
    await page.reload()
    await says(page, '2 strokes by 1 person')
    await held.commit()
    const other = await visit(t, sketch)
    await says(other, '2 strokes by 1 person')
    await draw(page, [0.6, 0.2], [0.7, 0.3])
    for (const each of [page, other]) await says(each, '3 strokes by 1 person')
  })

  test('it comes back by itself when the server was away, with every stroke once', async (t) => {
    const page = await visit(t)
    await draw(page, [0.2, 0.2], [0.3, 0.3])
    await plenum.kill()
    await draw(page, [0.4, 0.4], [0.5, 0.5])
    await page.getByText('Connection lost').waitFor()
    plenum = await startPlenum(options)
    await page.locator('.state.in').waitFor()
    await says(page, '2 strokes by 1 person')
    const before = await pixels(page)
    await page.reload()
    await says(page, '2 strokes by 1 person')
    await until('it looks as before', async () => (await pixels(page)) === before, 15_000)
  })
})
