import type { RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

/** So near to the end one is at the end. */
const nearPx = 48

export type Following = {
  /** What scrolls, and what is in it. */
  box: RefObject<HTMLDivElement | null>
  content: RefObject<HTMLDivElement | null>
  isAtEnd: boolean
  /** Whether somebody is at the end now, where what is new is seen; false where the box is not shown. */
  follows: () => boolean
  /** For the box's `onScroll`. */
  scrolled: () => void
  /** Goes to the end, and stays there. */
  toEnd: () => void
}

/**
 * Keeps whoever is at the end of a log there, whatever makes the log longer or its box smaller; nobody else is moved, but by
 * what they say. `said`: how often the reader has said something on this page. `looked` is called when it may have changed
 * whether the end is seen.
 */
export function useFollowing(said: number, looked: () => void = () => undefined): Following {
  const box = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const isFollowing = useRef(true)
  const height = useRef(0)
  const [isAtEnd, setAtEnd] = useState(true)
  const scroll = (): void => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight
  }
  const isShown = (): boolean => (box.current?.clientHeight ?? 0) > 0
  const toEnd = (): void => {
    isFollowing.current = true
    setAtEnd(true)
    scroll()
  }
  const scrolled = (): void => {
    const { current } = box
    if (!current || !isShown()) return
    const before = height.current
    height.current = current.clientHeight
    // A long text, or a keyboard, has made the box another one: nobody has scrolled.
    if (isFollowing.current && before !== height.current) return scroll()
    isFollowing.current = current.scrollHeight - current.scrollTop - current.clientHeight < nearPx
    setAtEnd(isFollowing.current)
    looked()
  }
  useLayoutEffect(() => {
    if (isFollowing.current) scroll()
  })
  useLayoutEffect(() => {
    if (said > 0) toEnd()
  }, [said])
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      height.current = box.current?.clientHeight ?? 0
      if (isFollowing.current) scroll()
      looked()
    })
    for (const one of [box.current, content.current]) if (one) observer.observe(one)
    return () => observer.disconnect()
  }, [])
  return { box, content, isAtEnd, follows: () => isFollowing.current && isShown(), scrolled, toEnd }
}
