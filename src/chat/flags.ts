import { flag, flagTable, onOff, Reason } from '../config/flag.ts'

/** `schema` has the chat's tables. */
export type ChatConfig = Readonly<{ schema: string }>

/** The chat door's part of the command line; without -chat it is not served. */
export const chatFlags = flagTable(
  {
    chat: flag({
      ...onOff,
      help: 'serve the chat too, at /ws/chat and /chat, and to clients of nodejschat at /',
      meaning:
        'Serve the chat too: rooms with session keys, for the clients of nodejschat at `/`, for others at `/ws/chat`, with a page at `/chat` ([chat.md](chat.md))',
    }),
    'chat-schema': flag({
      value: 'NAME',
      default: 'chat',
      help: 'schema of the tables of the chat, which may be those of a nodejschat',
      meaning:
        "Schema of the chat's tables. They are made where there are none; those of a nodejschat are taken as they are (`public`, mostly)",
      takes: 'the name of a schema: small letters, digits and _',
      parse: parseSchema,
    }),
  },
  (values): ChatConfig | null => (values.chat ? { schema: values['chat-schema'] } : null),
)

function parseSchema(text: string): string {
  if (!/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/.test(text)) throw new Error('no plain name')
  if (text === 'plenum' || text === 'information_schema') throw new Reason('this one is taken')
  return text
}
