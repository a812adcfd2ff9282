import { doors } from '../doors.ts'
import type { Door, DoorCommand } from '../hub/door.ts'

/** What is to be known of a command to document it; `args` stands behind its name, '' for nothing. */
export type Command = Readonly<{ name: string; args: string; help: string; manual: string }>

export const doorCommands: readonly DoorCommand[] = doors.flatMap(({ commands = [] }: Door) => commands)

/** All commands, in the order in which they are shown. */
export const commands: readonly Command[] = [
  {
    name: 'serve',
    args: '',
    help: 'serve meetings',
    manual: 'Serves meetings. This is what is done without a command.',
  },
  {
    name: 'migrate',
    args: '',
    help: "create or update Plenum's tables, then end",
    manual:
      "Creates the schema plenum in the database, or brings it up to date. With -chat it also makes the chat's tables where there are none.",
  },
  {
    name: 'check',
    args: '',
    help: 'check configuration and database, then end',
    manual:
      'Does the same, then checks configuration, folders of sockets, database and rights, and writes to each table in a transaction that is rolled back. What is missing is printed as statements to run.',
  },
  {
    name: 'health',
    args: '',
    help: 'ask the server at -adminlisten or -listen if it is ready',
    manual: 'Asks the server at -adminlisten, or else -listen, whether it is ready.',
  },
  ...doorCommands,
  { name: 'version', args: '', help: 'say which version it is', manual: 'Says which version it is.' },
  { name: 'help', args: '', help: 'say how it is used', manual: 'Says how it is used.' },
]
