import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Locator, Page, WebSocketRoute } from 'playwright-core'
import { noChromium, openPage, phone, picture, servePages, setClock, visit } from '../support/browser.ts'
import { invite } from '../support/chat-client.ts'
import { gather } from '../support/meeting-fixture.ts'
import type { Member } from '../support/meeting-client.ts'
import { currentRuntime } from '../support/server.ts'
import { until } from '../support/until.ts'

// What people bring with them to the pages: input methods, tablets, clocks that are set, second tabs, printers.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')

suite('people and their devices', { skip }, async () => {
  const { sql, plenum, browser } = await servePages(() => ['-chat'])

  const connected = (page: Page) => page.getByText('Connected', { exact: true }).waitFor()
  const field = (page: Page) => page.getByLabel('Your message')
  /** What has been said, as the page shows it. */
  const said = (page: Page) =>
    page.locator('.line:not(.pending, .waiting *):not(.is-presence, .is-system) .text').allInnerTexts()
  const shows = (page: Page, ...lines: string[]) =>
    until(
      `the page shows ${lines.join(', ')}`,
      async () => (await said(page)).join('\n') === lines.join('\n'),
    )

  async function openChat(
    t: TestContext,
    options: { hasTouch?: boolean; locale?: string } = {},
  ): Promise<Page> {
    const key = await invite(sql, 'Ada', 700 + Math.floor(Math.random() * 1e6))
    return openPage(t, browser, plenum, `/chat?session_key=${key}`, options)
  }

  /** Both pages with a field to write in. */
  async function openBoth(t: TestContext, options: { hasTouch?: boolean } = {}): Promise<Page[]> {
    const meeting = await gather(sql, plenum, 1)
    const pages = [await visit(t, browser, plenum, meeting, 0, options), await openChat(t, options)]
    for (const page of pages) await connected(page)
    return pages
  }

  test('the Enter that confirms a word of an input method does not send it', async (t) => {
    for (const page of await openBoth(t)) {
      await field(page).click()
      // Composed as by an input method, whose Enter comes as Safari tells it: after the end, and with a code of its own.
      const session = await page.context().newCDPSession(page)
      await session.send('Input.imeSetComposition', { text: 'かんじ', selectionStart: 3, selectionEnd: 3 })
      await page.evaluate(`{ const field = document.getElementById('message')
        const enter = (given) => field.dispatchEvent(new KeyboardEvent('keydown',
          { key: 'Enter', bubbles: true, cancelable: true, ...given }))
        enter({ keyCode: 229, which: 229, isComposing: true }) }`)
      await session.send('Input.insertText', { text: '漢字' })
      await page.evaluate(`document.getElementById('message').dispatchEvent(new KeyboardEvent('keydown',
        { key: 'Enter', keyCode: 229, which: 229, isComposing: false, bubbles: true, cancelable: true }))`)
      assert.equal(await field(page).inputValue(), '漢字')
      await field(page).press('Enter')
      await shows(page, '漢字')
      assert.equal(await field(page).inputValue(), '')
    }
  })

  test('on a tablet with a keyboard Ctrl or Cmd and Enter send, and Enter alone begins a new line', async (t) => {
    for (const page of await openBoth(t, { hasTouch: true })) {
      assert.equal(await page.evaluate(`matchMedia('(pointer: coarse)').matches`), true)
      await field(page).fill('one')
      await field(page).press('Enter')
      await page.keyboard.type('two')
      await page.getByText('Ctrl').waitFor()
      await field(page).press('Control+Enter')
      await shows(page, 'one\ntwo')
      await field(page).fill('three')
      await field(page).press('Meta+Enter')
      await shows(page, 'one\ntwo', 'three')
    }
  })

  const minute = 60_000
  const hour = 60 * minute
  const draft = { type: 'newpoll', question: 'Shall we?', answers: ['Yes', 'No'], minutes: 5 }
  const openNow = { state: 1, allowrejoin: true } as const

  test('a clock that is wrong, or is set while the page is open, changes nothing', async (t) => {
    const meeting = await gather(sql, plenum, 2, openNow)
    const chair = await meeting.enter(0)
    t.after(() => chair.ws.terminate())
    const sockets: string[] = []
    const probes: string[] = []
    const page = await visit(t, browser, plenum, meeting, 1, {
      clockError: -10 * minute,
      async beforehand(page) {
        page.on('websocket', (socket) => {
          sockets.push(socket.url())
          socket.on('framesent', ({ payload }) => {
            if (String(payload).includes('"message":""')) probes.push(String(payload))
          })
        })
      },
    })
    await connected(page)
    chair.send(draft)
    const timer = page.getByRole('timer')
    await timer.waitFor()
    const lines: string[] = []
    const errors = [-10 * minute, 10 * minute, -hour, hour, 0]
    for (const [index, error] of errors.entries()) {
      await setClock(page, error)
      const text = `said at ${error}`
      await field(page).fill(text)
      await field(page).press('Enter')
      await page.locator('.chunk').getByText(text).waitFor()
      lines.push(text)
      const answer = ['Yes', 'No'][index % 2]!
      // The ballot folds when one has voted.
      if (index > 0) await page.getByRole('button', { name: 'Show the whole poll' }).click()
      await page.getByRole('radio', { name: answer }).check()
      await page.getByRole('button', { name: `“${answer}”` }).click()
      await page.getByText(`You have voted “${answer}”.`).waitFor()
      // After the looks of each second, too.
      await until('it is asked whether the connection still lives', () => probes.length >= index)
      assert.match(await timer.innerText(), /^(5:00|4:\d\d)$/)
      await page.getByText('Connected', { exact: true }).waitFor()
    }
    assert.equal(sockets.length, 1)

    // While there is no connection: when the next try is, and how old what waits is.
    await page.context().setOffline(true)
    await page.getByText('No network – what you write is kept').waitFor()
    await field(page).fill('said without a network')
    await field(page).press('Enter')
    for (const error of [2 * hour, -2 * hour]) {
      await setClock(page, error)
      await page.getByText(/Trying again in \d{1,2} s/).waitFor()
    }
    await setClock(page, 2 * hour)
    await page.context().setOffline(false)
    await page.locator('.chunk').getByText('said without a network').waitFor()
    assert.deepEqual(
      (await meeting.texts()).filter((text) => text.startsWith('said')),
      [...lines, 'said without a network'],
    )
  })

  /** Has the database refuse what is said with a certain word, as a trigger of the site would, by this SQLSTATE. */
  async function refuseWord(word: string, code: string): Promise<void> {
    await sql.unsafe(`
      create function refuse_${word}() returns trigger language plpgsql as $$
        begin raise exception 'no such words here' using errcode = '${code}'; end $$;
      create trigger refuse_${word} before insert on membership_meetingmessagelog
        for each row when (new.message like '%${word}%') execute function refuse_${word}()`)
  }

  /** A poll that is under way, and a vote for each call. */
  async function voter(page: Page, chair: Member): Promise<(answer: 'Yes' | 'No') => Promise<void>> {
    chair.send(draft)
    await page.getByRole('timer').waitFor()
    return async (answer) => {
      await page.getByRole('radio', { name: answer }).check()
      await page.getByRole('button', { name: `“${answer}”` }).click()
      await page.getByText(`You have voted “${answer}”.`).waitFor()
    }
  }

  test('what the database refuses is given back, also after a reload, and holds up nothing', async (t) => {
    await refuseWord('forbidden', 'P0001')
    const meeting = await gather(sql, plenum, 2, { ...openNow, admins: 2 })
    const chair = await meeting.enter(0)
    t.after(() => chair.ws.terminate())
    const page = await visit(t, browser, plenum, meeting, 1)
    await connected(page)
    const voteFor = await voter(page, chair)
    const say = async (text: string): Promise<void> => {
      await field(page).fill(text)
      await field(page).press('Enter')
    }
    await say('a forbidden word')
    await say('hello')
    await page.locator('.chunk').getByText('hello').waitFor()
    const refusal = page.getByRole('alert').filter({ hasText: 'This was not said' })
    await refusal.getByText('a forbidden word').waitFor()
    await page.keyboard.type('still typing')
    assert.equal(await field(page).inputValue(), 'still typing', 'nothing takes the focus')
    await picture(page, 'refused-by-database-desktop')
    await voteFor('Yes')

    await page.reload()
    await refusal.getByText('a forbidden word').waitFor()
    await refusal.getByRole('button', { name: 'Edit it again' }).click()
    assert.equal(await field(page).inputValue(), 'still typing\na forbidden word')
    assert.equal(await page.getByRole('button', { name: 'Edit it again' }).count(), 0)
    await say('an allowed word')
    await page.locator('.chunk').getByText('an allowed word').waitFor()
    await page.reload()
    await connected(page)
    assert.equal(await page.getByRole('alert').filter({ hasText: 'This was not said' }).count(), 0)

    // The chair's question is given back with its answers, to where it was written.
    await page.getByRole('tab', { name: 'Chair’s desk' }).click()
    chair.send({ type: 'abortpoll' })
    await page.getByText('The poll was aborted').first().waitFor()
    const question = page.getByRole('textbox', { name: 'Question' })
    await question.fill('A forbidden question?')
    await page.getByLabel('Answer 1').fill('Maybe')
    await page.getByRole('button', { name: 'Start', exact: true }).last().click()
    await page.getByText('That was not done').waitFor()
    assert.equal(await question.inputValue(), '')
    await page.getByRole('tab', { name: 'Present' }).click()
    await page.getByRole('button', { name: 'Edit it again' }).click()
    await until('the question is back', async () => {
      return (await question.inputValue()) === 'A forbidden question?'
    })
    assert.equal(await page.getByLabel('Answer 1').inputValue(), 'Maybe')
    await question.fill('An allowed question?')
    await page.getByRole('button', { name: 'Keep the changes' }).click()
    await page.getByRole('button', { name: 'Start the poll “An allowed question?”' }).click()
    await page.getByRole('heading', { name: 'An allowed question?' }).waitFor()
  })

  test('what the database refuses in a chat is given back too', async (t) => {
    await sql.unsafe(`
      create function refuse_chat() returns trigger language plpgsql as $$
        begin raise exception 'no such words here'; end $$;
      create trigger refuse_chat before insert on chat.log
        for each row when (new.message like '%forbidden%') execute function refuse_chat()`)
    const page = await openChat(t)
    await connected(page)
    for (const text of ['a forbidden word', 'hello']) {
      await field(page).fill(text)
      await field(page).press('Enter')
    }
    await shows(page, 'hello')
    await page.keyboard.type('still typing')
    await page.getByText('This was not said.').waitFor()
    await page.getByRole('button', { name: 'Edit it again' }).click()
    assert.equal(await field(page).inputValue(), 'still typing\na forbidden word')
    assert.equal(await page.getByText('This was not said.').count(), 0)
    await field(page).fill('an allowed word')
    await field(page).press('Enter')
    await shows(page, 'hello', 'an allowed word')
    const german = await openChat(t, { locale: 'de-DE' })
    await german.getByText('Verbunden', { exact: true }).waitFor()
    const germanField = german.getByLabel('Ihre Nachricht')
    await germanField.fill('ein forbidden Wort')
    await germanField.press('Enter')
    await german
      .getByRole('alert')
      .filter({ hasText: /^Die Datenbank nimmt das nicht an: / })
      .waitFor()
  })

  test('what cannot be stored for long is shown, can be taken back, and holds up no vote', async (t) => {
    await refuseWord('unstorable', '53100')
    const meeting = await gather(sql, plenum, 2, openNow)
    const chair = await meeting.enter(0)
    t.after(() => chair.ws.terminate())
    const page = await visit(t, browser, plenum, meeting, 1, {
      viewport: phone,
      colorScheme: 'dark',
      beforehand: (page) => page.clock.install(),
    })
    await connected(page)
    const voteFor = await voter(page, chair)
    for (const text of ['an unstorable line', 'and one more']) {
      await field(page).fill(text)
      await field(page).press('Enter')
    }
    const stuck = page.locator('.waiting .line').filter({ hasText: 'an unstorable line' })
    const sees = page.getByText('The server cannot store this at the moment.')
    await until('it is shown that it does not get through', async () => {
      await page.clock.fastForward(1000)
      return await sees.isVisible()
    })
    await page.locator('[aria-live=polite]').getByText('Not sent yet: an unstorable line').waitFor()
    await picture(page, 'stuck-phone-dark')
    await voteFor('Yes')
    await stuck.getByRole('button', { name: 'Edit it again' }).click()
    assert.equal(await field(page).inputValue(), 'an unstorable line')
    await page.locator('.chunk').getByText('and one more').waitFor()
  })

  test('a connection that only seems to be there is found out after a sleep, and nothing is lost', async (t) => {
    const meeting = await gather(sql, plenum, 1)
    const routes: { page: WebSocketRoute; server: WebSocketRoute; isDead: boolean }[] = []
    const page = await visit(t, browser, plenum, meeting, 0, {
      async beforehand(page) {
        await page.clock.install()
        await page.routeWebSocket(/\/ws\//, (socket) => {
          const route = { page: socket, server: socket.connectToServer(), isDead: false }
          routes.push(route)
          socket.onMessage((message) => {
            if (!route.isDead) route.server.send(message)
          })
          route.server.onMessage((message) => {
            if (!route.isDead) socket.send(message)
          })
        })
      },
    })
    await connected(page)
    routes[0]!.isDead = true
    await field(page).fill('said into a dead connection')
    await field(page).press('Enter')
    await page.clock.runFor(20_000)
    await until('it connects anew', () => routes.length === 2)
    await page.locator('.chunk').getByText('said into a dead connection').waitFor()

    // Nothing is said: the page asks whether the connection lives, and gives up when nothing answers.
    routes[1]!.isDead = true
    await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
    await page.clock.runFor(8000)
    await until('it connects anew', () => routes.length === 3)
    await connected(page)
    assert.equal((await meeting.texts()).filter((text) => text.startsWith('said')).length, 1)
  })

  test('a draft is the same in all tabs: what one has sent does not stay in another', async (t) => {
    const meeting = await gather(sql, plenum, 1, openNow)
    const first = await visit(t, browser, plenum, meeting, 0)
    await connected(first)
    await field(first).fill('a draft')
    const second = await first.context().newPage()
    await second.goto(first.url())
    await connected(second)
    assert.equal(await field(second).inputValue(), 'a draft')
    await field(second).press('Enter')
    await shows(second, 'a draft')
    await field(second).fill('another')
    await second.getByRole('tab', { name: 'Chair’s desk' }).click()
    await second.getByRole('textbox', { name: 'Question' }).fill('Shall we?')
    await second.getByRole('button', { name: 'Keep for later' }).click()
    await first.getByRole('button', { name: 'Use this window instead' }).click()
    await connected(first)
    assert.equal(await field(first).inputValue(), 'another')
    await first.getByRole('tab', { name: 'Chair’s desk' }).click()
    await first.getByRole('button', { name: 'Start the poll “Shall we?”' }).waitFor()
  })

  test('a question that is too long is refused in words at its field, and not cut', async (t) => {
    const meeting = await gather(sql, plenum, 1, openNow)
    const page = await visit(t, browser, plenum, meeting, 0)
    await connected(page)
    await page.getByRole('tab', { name: 'Chair’s desk' }).click()
    const question = page.getByRole('textbox', { name: 'Question' })
    const answer = page.getByLabel('Answer 2')
    const keep = page.getByRole('button', { name: 'Keep for later' })
    // Pasted, as a hand would be stopped by a field that takes no more.
    const paste = async (into: Locator, text: string): Promise<void> => {
      await into.fill('')
      await into.focus()
      await page.keyboard.insertText(text)
    }
    for (const [into, limit] of [
      [question, 500],
      [answer, 200],
    ] as const) {
      await paste(into, '😀'.repeat(limit + 2))
      await page.getByText(`2 characters too many: at most ${limit} are possible.`).waitFor()
      await page.getByLabel('Minutes').focus()
      await keep.click()
      assert.equal(await page.locator('.prepared li').count(), 0)
      assert.equal(await into.getAttribute('aria-invalid'), 'true')
      await until('the field has the focus', () =>
        into.evaluate((one) => one === one.ownerDocument.activeElement),
      )
      if (into === question) await picture(page, 'question-too-long-desktop')
      await paste(into, '😀'.repeat(limit))
      assert.equal(await page.getByText('too many').count(), 0)
    }
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.getByRole('heading', { name: '😀'.repeat(500) }).waitFor()
  })

  test('on paper there is the whole talk, black on white, whatever is on the screen', async (t) => {
    const meeting = await gather(sql, plenum, 1, openNow)
    await sql`
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      select now() - (400 - n) * interval '1 minute', 'Line ' || n || repeat(' of what was said', n % 9),
        ${meeting.id}, ${meeting.user(0)} from generate_series(1, 300) n`
    const phoneInDark = { viewport: phone, colorScheme: 'dark' } as const
    const onPhone = await visit(t, browser, plenum, meeting, 0, phoneInDark)
    await onPhone.getByRole('tab', { name: 'Present' }).click()
    const key = await invite(sql, 'Ada', 7)
    await sql`select chat.new_message(7, now(), 'Ada', 'Line ' || n) from generate_series(1, 300) n`
    const chat = await openPage(t, browser, plenum, `/chat?session_key=${key}`, phoneInDark)
    for (const page of [onPhone, chat]) {
      await connected(page)
      await until('all has come', async () => (await page.locator('.line').count()) >= 300)
      await page.emulateMedia({ media: 'print' })
      const found = await page.evaluate<{
        shown: number
        clipped: string[]
        colors: string[]
        fields: number
      }>(`({
        shown: [...document.querySelectorAll('.line')].filter((one) => one.getBoundingClientRect().height > 0).length,
        clipped: [...document.querySelectorAll('.line')].slice(0, 1).flatMap((line) => {
          const around = []
          for (let one = line.parentElement; one; one = one.parentElement) around.push(one)
          return around.filter((one) => one.scrollHeight > one.clientHeight + 2 && getComputedStyle(one).overflowY !== 'visible')
            .map((one) => one.className || one.tagName)
        }),
        colors: [getComputedStyle(document.documentElement).color, getComputedStyle(document.body).backgroundColor],
        fields: [...document.querySelectorAll('textarea, button')].filter((one) => one.offsetParent !== null).length,
      })`)
      assert.ok(found.shown >= 300, String(found.shown))
      assert.deepEqual([found.clipped, found.fields], [[], 0])
      assert.deepEqual(found.colors, ['rgb(0, 0, 0)', 'rgba(0, 0, 0, 0)'])
      const pdf = (await page.pdf()).toString('latin1')
      const pages = pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0
      assert.ok(pages >= 5, `${pages} pages`)
    }
  })
})
