import { commands } from '../src/config/commands.ts'
import { flags } from '../src/config/flags.ts'
import { databaseVariables } from '../src/db/conninfo.ts'

const files: readonly (readonly [string, string])[] = [
  ['/etc/default/plenum', 'Settings of the service, one environment variable for each flag.'],
  ['/usr/share/plenum/plenum.js', 'The program of the Debian package; /usr/bin/plenum leads there.'],
  [
    '/run/plenum/socket',
    "Where the service listens, as its settings are delivered. The web server's group may connect.",
  ],
  ['~/.pgpass', 'Passwords for databases, as psql(1) takes them.'],
]

const variables: readonly (readonly [string, string])[] = [
  [
    'PLENUM_*',
    'Each flag has a variable, named beside it above, that counts when the flag is not given and the variable is not empty.',
  ],
  [
    databaseVariables.join(', '),
    'Where and how to connect to the database, as far as -dburl does not say it. They mean what they mean to psql(1).',
  ],
  [
    'LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES',
    'Set by systemd: the sockets that it passes are used in place of -listen. Those with the name (FileDescriptorName=) admin or profile take the place of -adminlisten and -profilelisten.',
  ],
  [
    'JOURNAL_STREAM',
    'Set by systemd: whether the log goes to the journal, and thus its format (-logformat).',
  ],
  [
    'NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID',
    'Set by systemd: it is told of readiness, of the end, and at intervals that the server lives.',
  ],
]

const signals: readonly (readonly [string, string])[] = [
  [
    'SIGTERM, SIGINT',
    'End the server in order, within 10 seconds: what is under way is stored and sent first. A second one ends it at once.',
  ],
  ['SIGHUP', 'Reloads TLS certificates, origins and limits; meetings go on.'],
]

const exits: readonly (readonly [string, string])[] = [
  ['0', 'What was asked for is done, or the answer is yes.'],
  ['1', 'It failed, or the answer is no.'],
  ['2', 'A flag, variable or argument is unknown or cannot be used. One line names it.'],
]

const examples: readonly (readonly [string, string])[] = [
  [
    'Serve a site, behind a web server on the same machine:',
    'plenum -origin https://www.example.org -behindproxy -listen /run/plenum/socket',
  ],
  [
    'See whether the database has all that is needed:',
    'plenum check -origin https://www.example.org -dburl postgres:///postgresqleu',
  ],
  ['Ask a server whether it is ready:', 'plenum health -listen /run/plenum/socket'],
]

const longestLine = 78

/** The manual page plenum(1), in the macros of man(7). Commands and flags are those of src/config/. */
export function manual({ version, date }: { version: string; date: Date }): string {
  return `${[
    `.TH PLENUM 1 ${date.toISOString().slice(0, 10)} "plenum ${version}" "User Commands"`,
    // A variable's name or an address that is broken in two cannot be copied.
    '.nh',
    '.ad l',
    '.SH NAME',
    'plenum \\- web meetings for pgeu\\-system',
    '.SH SYNOPSIS',
    ...synopsis(),
    '.SH DESCRIPTION',
    prose(
      `Plenum is the server behind the web meetings of an association that runs pgeu-system: members talk, vote in polls,
and what is said in an open meeting becomes its record, in the association's own PostgreSQL database.`,
    ),
    '.PP',
    prose(
      `It listens on localhost unless told otherwise, and stands behind a web server. It keeps what it must remember in a
schema of its own, plenum. Of several servers on one database one serves; the others wait to take over.`,
    ),
    '.PP',
    prose(
      'The log goes to standard error, one JSON object a line. It has neither keys nor passwords nor what members say.',
    ),
    '.SH COMMANDS',
    ...commands.flatMap(({ name, args, manual }) => entry(signature(name, args), manual)),
    '.SH OPTIONS',
    prose('Flags take one dash or two, and their value after a space or =.'),
    ...flags.flatMap(({ name, value, default: normal, env, help }) =>
      entry(
        signature(`-${name}`, value ?? ''),
        `${sentence(help)} ${defaultOf(normal)} Environment: ${env}.`,
      ),
    ),
    '.SH ENVIRONMENT',
    ...list(variables),
    '.SH SIGNALS',
    ...list(signals),
    '.SH FILES',
    ...list(files),
    '.SH EXIT STATUS',
    ...list(exits),
    '.SH EXAMPLES',
    ...examples
      .flatMap(([purpose, command]) => [
        prose(purpose),
        '.PP',
        '.RS 4',
        '.nf',
        literal(command),
        '.fi',
        '.RE',
        '.PP',
      ])
      .slice(0, -1),
    '.SH SEE ALSO',
    '.BR psql (1),',
    '.BR nginx (8),',
    '.BR systemctl (1),',
    '.BR systemd.exec (5)',
  ].join('\n')}\n`
}

function synopsis(): string[] {
  const lines = commands.map(({ name, args }) => {
    const flagsToo = name === 'version' || name === 'help' ? '' : ' [\\fIflags\\fR]'
    const word = name === 'serve' ? '[\\fBserve\\fR]' : `\\fB${name}\\fR`
    return `\\fBplenum\\fR ${word}${args ? ` \\fI${literal(args)}\\fR` : ''}${flagsToo}`
  })
  return lines.flatMap((line, index) => (index === 0 ? [line] : ['.br', line]))
}

function signature(name: string, value: string): string {
  return `\\fB${literal(name)}\\fR${value ? ` \\fI${literal(value)}\\fR` : ''}`
}

function entry(term: string, text: string): string[] {
  return ['.TP', term, prose(text)]
}

function list(entries: readonly (readonly [string, string])[]): string[] {
  return entries.flatMap(([term, text]) => entry(`\\fB${literal(term)}\\fR`, text))
}

function sentence(text: string): string {
  return `${text.replace(/^[a-z]+(?=[ ,])/, (word) => word.slice(0, 1).toUpperCase() + word.slice(1))}.`
}

function defaultOf(normal: string | null): string {
  if (normal === null) return 'Required by serve and check.'
  return normal === '' ? 'Not set by default.' : `Default: ${normal}.`
}

/** Text that is to be copied: each sign stays what it is. */
function literal(text: string): string {
  return guard(escape(text).replaceAll('-', '\\-').replaceAll("'", '\\(aq'))
}

/** Text that is to be read, each sentence on lines of its own: a hyphen between letters may be a hyphen. */
function prose(text: string): string {
  const readable = escape(text).replaceAll(/(?<![a-z])-|-(?![a-z])/gi, '\\-')
  return readable
    .split(/(?<=[^.]\.)\s+(?=[A-Z])/)
    .flatMap(fold)
    .map(guard)
    .join('\n')
}

function fold(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    const longer = line ? `${line} ${word}` : word
    if (longer.length > longestLine) lines.push(line)
    line = longer.length > longestLine ? word : longer
  }
  return [...lines, line]
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\(rs').replaceAll('~', '\\(ti').replaceAll('^', '\\(ha')
}

/** A line that begins with one of these would be a request. */
function guard(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line
}
