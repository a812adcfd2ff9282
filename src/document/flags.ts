import {
  flag,
  flagTable,
  mebibytes,
  onOff,
  parseDecimal,
  Reason,
  UsageError,
  type Values,
  withReason,
} from '../config/flag.ts'
import { type AllowedOrigins, parseOrigins } from '../edge/origin.ts'

export type DocumentConfig = Readonly<{
  origins: AllowedOrigins
  /** What applications show at the management; null where nobody may. */
  credentials: Readonly<{ user: string; password: string }> | null
  /** What JWTs are signed with; null where none are taken. */
  jwtKey: Buffer | null
  expirationMs: number | null
  webhook: string | null
  maxMessage: number
  maxSize: number
  maxTotal: number
}>

const maxExpirationSeconds = 10 * 366 * 24 * 3600
const maxMebibytes = 1024
const maxTotalMebibytes = 1024 * 1024
/** Of a password that is all there is; more wrong ones than some thousand a day cannot be tried (`AuthThrottle`). */
const minPasswordLength = 12
/** RFC 7518, section 3.2: a key for HS256 is no shorter than its hash. From one JWT a shorter one can be searched at leisure. */
const minKeyBytes = 32

const flags = {
  document: flag({
    ...onOff,
    help: 'serve shared documents too, at /socket, to Zwibbler clients',
    meaning: 'Serve shared documents too, at `/socket`, to Zwibbler clients ([document.md](document.md))',
  }),
  'document-origin': flag({
    value: 'ORIGIN',
    default: '*',
    help: 'origin of the pages that may open documents, as for -origin',
    meaning: 'Origins of the pages that may open documents, as for `-origin`',
    takes: 'an origin like https://www.example.org, several separated by commas, or *',
    parse: (text) => withReason(() => parseOrigins(text)),
  }),
  'document-user': flag({
    // What has a colon may be a name with its password.
    secret: true,
    value: 'NAME',
    default: '',
    help: 'name of the applications that manage documents',
    meaning: 'Name by which applications manage documents. Without name and password nobody does',
    takes: 'a name without a colon',
    filled: true,
    parse: parseUser,
  }),
  'document-password': flag({
    secret: true,
    value: 'PASSWORD',
    default: '',
    help: 'their password; without name and password nobody manages documents',
    meaning: `Their password. Better in the environment: command lines can be read by everyone on the machine. ${minPasswordLength} characters at least`,
    takes: `a password of ${minPasswordLength} characters at least`,
    filled: true,
    parse: parsePassword,
  }),
  'document-jwtkey': flag({
    secret: true,
    value: 'KEY',
    default: '',
    help: 'key that JWTs are signed with (HS256): documents are open to tokens and JWTs only then',
    meaning: `Key that JWTs are signed with (HS256). With it documents are open to tokens and JWTs only, not to who knows their ids. ${minKeyBytes} bytes at least`,
    takes: `a key of ${minKeyBytes} bytes at least`,
    filled: true,
    parse: (text) => text || null,
  }),
  'document-jwtkey-base64': flag({
    ...onOff,
    help: 'that key is given in Base64',
    meaning: 'That key is given in Base64',
  }),
  'document-expiration': flag({
    value: 'SECONDS',
    default: 'never',
    help: 'how long a document is kept that nobody uses',
    meaning: 'How long a document is kept that nobody opens or writes to; `never` is for ever',
    takes: 'never, or seconds, 1 or more',
    parse: (text) =>
      text === 'never' ? null : Math.round(parseDecimal(text, 1, maxExpirationSeconds) * 1000),
  }),
  'document-webhook': flag({
    secret: true,
    value: 'URL',
    default: '',
    help: 'what is called when nobody has had a document open for 10 seconds',
    meaning: 'What is called 10 seconds after the last has left a document',
    takes: 'an http or https URL without a name and a password',
    parse: parseWebhook,
  }),
  'document-maxmessage': flag({
    ...mebibytes(maxMebibytes),
    default: '16',
    help: 'longest message of a client in MiB',
    meaning: 'Longest message of a client, in MiB',
  }),
  'document-maxsize': flag({
    ...mebibytes(maxMebibytes),
    default: '256',
    help: 'longest document in MiB',
    meaning: 'Longest document, in MiB',
  }),
  'document-maxtotal': flag({
    ...mebibytes(maxTotalMebibytes),
    default: '1024',
    help: 'what documents have in all that were made without a token, a JWT or credentials, in MiB',
    meaning:
      'What documents have in all that were made without a token, a JWT or credentials, in MiB. They can be made only without `-document-jwtkey`',
  }),
} as const

/** The document door's part of the command line; without -document it is not served. */
export const documentFlags = flagTable(flags, (values): DocumentConfig | null => {
  if (!values.document) return null
  const user = values['document-user']
  const password = values['document-password']
  for (const [name, given, other] of [
    ['document-password', password, user],
    ['document-user', user, password],
  ] as const)
    if (!given && other)
      throw new UsageError(
        `-${name} takes ${flags[name].takes}: -document-user and -document-password go together`,
      )
  return {
    origins: values['document-origin'],
    credentials: user && password ? { user, password } : null,
    jwtKey: readKey(values),
    expirationMs: values['document-expiration'],
    webhook: values['document-webhook'],
    maxMessage: values['document-maxmessage'],
    maxSize: values['document-maxsize'],
    maxTotal: values['document-maxtotal'],
  }
})

/** In words, that whoever reaches the document door may make documents; null where tokens or JWTs are asked for. */
export function anonymousDocuments(config: Pick<DocumentConfig, 'jwtKey'> | null): string | null {
  return config && !config.jwtKey
    ? 'anybody may create documents, and write to those whose ids they know: -document-jwtkey asks for tokens or JWTs'
    : null
}

function readKey(values: Values<typeof flags>): Buffer | null {
  const text = values['document-jwtkey']
  if (!text) return null
  const isBase64 = values['document-jwtkey-base64']
  const key = Buffer.from(text, isBase64 ? 'base64' : 'utf8')
  if (isBase64 && !/^[\w+/-]+={0,2}$/.test(text))
    throw new UsageError('-document-jwtkey takes Base64, with -document-jwtkey-base64')
  if (key.length < minKeyBytes)
    throw new UsageError(
      `-document-jwtkey takes ${flags['document-jwtkey'].takes}${isBase64 ? ', once it is decoded' : ''}: this one has ${key.length}`,
    )
  return key
}

function parseUser(text: string): string | null {
  if (text.includes(':')) throw new Error('a colon ends the name')
  return text || null
}

function parsePassword(text: string): string | null {
  if (text !== '' && Array.from(text).length < minPasswordLength) throw new Reason('this one is shorter')
  return text || null
}

function parseWebhook(text: string): string | null {
  if (text === '') return null
  const { protocol, username, password } = new URL(text)
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '') throw new Error('no such URL')
  return text
}
