import type { MeetingRecord } from './record.ts'

/** A record as one JSON object (docs/record.md), in pieces. */
export async function* recordData({ head, attendees, polls, lines }: MeetingRecord): AsyncGenerator<string> {
  const { meeting, name, state, scheduled, timezone, opened, finished, final, asOf } = head
  const begun = JSON.stringify({
    meeting: { id: meeting, name, state, scheduled },
    timezone,
    opened,
    finished,
    final,
    asOf,
  })
  yield `${begun.slice(0, -1)},"attendees":[`
  yield* list(attendees())
  yield '],"polls":['
  yield* list(polls())
  yield '],"lines":['
  yield* list(lines())
  yield ']}\n'
}

async function* list(pages: AsyncGenerator<object[]>): AsyncGenerator<string> {
  let first = true
  for await (const page of pages) {
    yield `${first ? '' : ','}${page.map((item) => JSON.stringify(item)).join()}`
    first = false
  }
}
