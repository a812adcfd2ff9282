import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks'

export type Question = {
  title: string
  children: ComponentChildren
  yes: string
  no: string
  /** Whether it takes nothing away: then the answer is not red. */
  isHarmless?: boolean
  onYes: () => void
  onClose: () => void
}

/** The second click of a double click that opened the dialog must not be its answer. */
const armMs = 500

/**
 * Asks before what cannot be undone. The way back has the focus, and the other one is not there yet for a hand that has
 * clicked twice.
 */
export function AskDialog({ title, children, yes, no, isHarmless, onYes, onClose }: Question): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const back = useRef<HTMLButtonElement>(null)
  const [isArmed, arm] = useState(false)
  const id = useId()
  useLayoutEffect(() => {
    dialog.current?.showModal()
    back.current?.focus()
  }, [])
  useEffect(() => {
    const timer = setTimeout(() => arm(true), armMs)
    return () => clearTimeout(timer)
  }, [])
  return (
    <dialog ref={dialog} aria-labelledby={`${id}t`} aria-describedby={`${id}d`} onClose={onClose}>
      <h2 id={`${id}t`}>{title}</h2>
      <div id={`${id}d`} class="ask">
        {children}
      </div>
      <div class="row end">
        <button type="button" ref={back} onClick={() => dialog.current?.close()}>
          {no}
        </button>
        <button
          type="button"
          class={isHarmless ? 'main' : 'danger'}
          aria-disabled={!isArmed}
          onClick={() => {
            if (!isArmed) return
            onYes()
            dialog.current?.close()
          }}
        >
          {yes}
        </button>
      </div>
    </dialog>
  )
}
