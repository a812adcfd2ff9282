import { ago } from './format.ts'
import type { StatusReport } from './report.ts'

const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

/** The last warnings and errors of the log. */
export function Recent({ entries, now }: { entries: StatusReport['recent']; now: number }) {
  return (
    <section aria-labelledby="recent">
      <h2 id="recent">Warnings and errors</h2>
      {entries.length === 0 ? (
        <p class="none">None since the start.</p>
      ) : (
        <table class="recent">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Level</th>
              <th scope="col">What</th>
              <th scope="col" class="count">
                Times
              </th>
            </tr>
          </thead>
          <tbody>
            {entries.map(({ first, last, count, entry: { level, event, ...values } }) => (
              <tr key={`${event} ${first}`}>
                <td data-name="When">
                  <time dateTime={last} title={exact.format(new Date(last))}>
                    {ago(now - Date.parse(last))} ago
                  </time>
                </td>
                <td data-name="Level">
                  <span class={`level ${level}`}>{level === 'warn' ? 'warning' : level}</span>
                </td>
                <td class="what">
                  <strong>{inWords(event)}</strong> <code>{event}</code>
                  {Object.entries(values).map(([name, value]) => (
                    <span key={name} class="value">
                      <span class="name">{name}</span> {String(value)}
                    </span>
                  ))}
                </td>
                <td data-name="Times" class="count">
                  {count}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

/** slowReader: slow reader. */
const inWords = (event: string): string => event.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
