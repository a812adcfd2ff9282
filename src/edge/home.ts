import type { Context } from 'hono'
import { readFile, stat } from 'node:fs/promises'
import { answerInWords, notices } from './notice.ts'
import { type Markup, markup } from './markup.ts'
import { Seldom } from './seldom.ts'

const maxBytes = 64 * 1024
const unreadableEveryMs = 60_000

/**
 * Answers `/`: a page says what this server is, and lists what the operator's file says (docs/flags.md, -home). It is read
 * each time, so that it may change; where it cannot be, the page is shown without it, and `unreadable` is told why, and of how
 * many requests since it was told last: anybody may ask.
 */
export function homePage(
  file: string | null,
  clock: () => number,
  unreadable: (reason: string, count: number) => void,
): (c: Context) => Promise<Response> {
  const failures = new Seldom(unreadableEveryMs, clock)
  return async function home(c) {
    let list: Markup | null = null
    try {
      if (file !== null) list = listOf(await readBounded(file))
    } catch (error) {
      const count = failures.happened()
      if (count !== null) unreadable(error instanceof Error ? error.message : String(error), count)
    }
    return answerInWords(c, 200, notices.home, 'Plenum', {}, list)
  }
}

async function readBounded(file: string): Promise<string> {
  const { size } = await stat(file)
  if (size > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
  return await readFile(file, 'utf8')
}

/** An address and what it is called; all other lines stand between the lists as they are. */
const link = /^(\/(?!\/)\S*|https?:\/\/\S+)[ \t]+(\S.*)$/

function listOf(text: string): Markup {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const parts: Markup[] = []
  let links: Markup[] = []
  const endList = (): void => {
    if (links.length > 0) parts.push(markup`<ul>\n${links}</ul>\n`)
    links = []
  }
  for (const line of lines) {
    const [, address, words] = link.exec(line) ?? []
    if (address !== undefined && words !== undefined)
      links.push(markup`<li><a href="${address}">${words}</a></li>\n`)
    else {
      endList()
      parts.push(markup`<p>${line}</p>\n`)
    }
  }
  endList()
  return markup`${parts}`
}
