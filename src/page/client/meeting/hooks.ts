import { createContext } from 'preact'
import type { RefObject } from 'preact'
import { useContext, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { steadyNow } from '../kit/clock.ts'
import { useKept as useKeptIn } from '../kit/kept.ts'
import type { Vault } from '../kit/vault.ts'
import type { MeetingSession } from './session.ts'
import type { Texts } from './texts/texts.ts'

/** What every part of the page needs. */
export type Tools = { texts: Texts; language: string; session: MeetingSession; vault: Vault }

export const ToolsContext = createContext<Tools>(null as never)
export const useTools = (): Tools => useContext(ToolsContext)

/** The page's steady clock, drawn anew so often. */
export function useNow(everyMs: number): number {
  const [now, set] = useState(steadyNow)
  useEffect(() => {
    const timer = setInterval(() => set(steadyNow()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  const [matches, set] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const change = (): void => set(list.matches)
    list.addEventListener('change', change)
    return () => list.removeEventListener('change', change)
  }, [query])
  return matches
}

/**
 * When a part of the page goes in which the focus is, that goes to what `next` finds: browsers would give it to nothing, and
 * whoever has no mouse would begin at the top again. `next` is asked when the part is gone, but what it needs of the part is
 * to be taken by `before`.
 */
export function useFocusAfter<Known = null>(
  part: RefObject<HTMLElement | null>,
  next: (known: Known | null) => HTMLElement | null | undefined,
  before: () => Known | null = () => null,
): void {
  useLayoutEffect(
    () => () => {
      if (!part.current?.contains(document.activeElement)) return
      const known = before()
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) next(known)?.focus()
      })
    },
    [],
  )
}

/** Calls `pressed` for a key without others, wherever the focus is. */
export function useKey(key: string, pressed: () => void): void {
  const latest = useRef(pressed)
  latest.current = pressed
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.key !== key || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return
      event.preventDefault()
      latest.current()
    }
    document.addEventListener('keydown', listen)
    return () => document.removeEventListener('keydown', listen)
  }, [key])
}

/** A value that the browser keeps for the meeting. */
export const useKept = <Value>(name: string, first: Value): [Value, (value: Value) => void] =>
  useKeptIn(useTools().vault, name, first)

const colors = new Set(Array.from({ length: 10 }, (_, digit) => String(digit)))

/** The class for a member's color: only a digit ever becomes part of one. */
export const colorClass = (color: string): string => (colors.has(color) ? `c${color}` : 'c0')
