import type { Context } from 'hono'
import { readFile, stat } from 'node:fs/promises'
import { answerInWords, notices } from './notice.ts'
import { type Markup, markup } from './markup.ts'

const maxBytes = 64 * 1024

/**
 * Answers `/`: a page says what this server is, and lists what the operator's file says (docs/flags.md, -home). It is read
 * each time, so that it may change; where it cannot be, `unreadable` is told why and the page is shown without it.
 */
export function homePage(
  file: string | null,
  unreadable: (reason: string) => void,
): (c: Context) => Promise<Response> {
  return async function home(c) {
    let list: Markup | null = null
    try {
      if (file !== null) list = listOf(await readBounded(file))
    } catch (error) {
      unreadable(error instanceof Error ? error.message : String(error))
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
