import type { JSX } from 'preact'
import { useTools } from './hooks.ts'

/** What comes next, for those who are in before the meeting is opened. */
export function PendingView({ chair }: { chair: boolean }): JSX.Element {
  const { texts } = useTools()
  return (
    <section class="before-opening" aria-labelledby="pending-title">
      <h2 id="pending-title">{texts.pendingTitle}</h2>
      <p>{chair ? texts.pendingChair : texts.pendingMember}</p>
    </section>
  )
}
