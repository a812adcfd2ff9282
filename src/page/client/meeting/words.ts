import { elsewhereCode, kickedCode, kickedForGoodCode } from './protocol.ts'
import type { Command } from './protocol.ts'
import type { State } from './state.ts'
import type { Texts } from './texts/texts.ts'

/** What a command does, in words. */
export function wordsOf(command: Command, { people }: State, texts: Texts): string {
  switch (command.type) {
    case 'message':
      return texts.commands.message(command.message)
    case 'newpoll':
      return texts.commands.newpoll(command.question)
    case 'kick':
      return texts.commands.kick(people.get(command.user)?.name ?? '')
    case 'vote':
    case 'open':
    case 'finish':
    case 'abortpoll':
      return texts.commands[command.type]
  }
}

/**
 * What is said when the connection has ended for good with this close code (src/meeting/rejection.ts), and what more there is
 * to say; 0: one has left. Null for a code that the page does not know.
 */
export function goneWords(code: number, { gone }: Texts): readonly [words: string, more: string] | null {
  const told: Record<number, [words: string, more: string]> = {
    0: [gone.left, gone.leftMore],
    4500: [gone.refused, gone.refusedMore],
    4501: [gone.over, ''],
    4502: [gone.underWay, ''],
    4503: [gone.early, ''],
    [elsewhereCode]: [gone.elsewhere, gone.elsewhereMore],
    [kickedCode]: [gone.kicked, gone.kickedMore],
    [kickedForGoodCode]: [gone.kicked, gone.kickedForGoodMore],
    4506: [gone.deleted, ''],
    4507: [gone.unreadable, ''],
  }
  return told[code] ?? null
}
