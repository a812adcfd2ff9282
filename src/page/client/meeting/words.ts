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
