import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { maxPoints, type Point, sheet, type Stroke } from './entries.ts'
import { type Names, Painter } from './painter.ts'
import type { Pointer } from './session.ts'
import type { Texts } from './texts.ts'

const step = 20
const longStep = 100
/** Nearer points than this are one. */
const nearest = 3

export type Pen = { color: number; width: number }

type BoardProps = {
  texts: Texts
  pen: Pen
  strokes: readonly Stroke[]
  /** Those that are shown. */
  names: Names
  others: ReadonlyMap<string, Pointer>
  mayDraw: boolean
  summary: string
  onPoint: (at: Partial<Omit<Pointer, 'by'>>) => void
  onStroke: (stroke: Pick<Stroke, 'color' | 'width' | 'points'>) => void
  say: (words: string) => void
}

/** The sheet: drawn on with a mouse, a pen, a finger, or the keyboard. */
export function Board({
  texts,
  pen,
  strokes,
  names,
  others,
  mayDraw,
  summary,
  onPoint,
  onStroke,
  say,
}: BoardProps): JSX.Element {
  const still = useRef<HTMLCanvasElement>(null)
  const moving = useRef<HTMLCanvasElement>(null)
  const labels = useRef<HTMLCanvasElement>(null)
  const painter = useRef<Painter | null>(null)
  const own = useRef<Point[] | null>(null)
  const begun = useRef(0)
  /** The pointer that draws: a second finger draws nothing. */
  const drawing = useRef<number | null>(null)
  const [keyboard, setKeyboard] = useState<Point | null>(null)

  useEffect(() => {
    if (!still.current || !moving.current || !labels.current) return
    const created = new Painter(still.current, moving.current, labels.current)
    painter.current = created
    const fit = (): void => created.fit()
    const resized = new ResizeObserver(fit)
    resized.observe(still.current)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', fit)
    return () => {
      resized.disconnect()
      scheme.removeEventListener('change', fit)
    }
  }, [])
  useEffect(() => painter.current?.showStrokes(strokes), [strokes])
  useEffect(() => painter.current?.showNames(names), [names])
  useEffect(() => painter.current?.showOverlay({ others }), [others])
  useEffect(() => painter.current?.showOverlay({ pen: keyboard }), [keyboard])

  const show = (): void => {
    const stroke = own.current && { ...pen, points: own.current, type: 'stroke' as const, id: '', by: '' }
    painter.current?.showOverlay({ own: stroke })
  }
  const begin = (at: Point): void => {
    own.current = [at]
    onPoint({ ...at, drawing: ++begun.current, color: pen.color })
    show()
  }
  const end = (): void => {
    if (own.current) onStroke({ ...pen, points: own.current })
    own.current = null
    onPoint({ drawing: 0 })
    show()
  }
  const move = (at: Point): void => {
    onPoint({ ...at, color: pen.color })
    const last = own.current?.at(-1)
    if (!own.current || !last || Math.hypot(at.x - last.x, at.y - last.y) < nearest) return
    own.current.push(at)
    if (own.current.length >= maxPoints) {
      end()
      begin(at)
    }
    show()
  }

  const pressed = (event: KeyboardEvent): void => {
    const [x, y] = directions[event.key] ?? [0, 0]
    const isMove = x !== 0 || y !== 0
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (!isMove && event.key !== ' ' && event.key !== 'Enter' && event.key !== 'Escape') return
    event.preventDefault()
    const from = keyboard ?? { x: sheet.width / 2, y: sheet.height / 2 }
    const length = event.shiftKey ? longStep : step
    const at = clamp({ x: from.x + x * length, y: from.y + y * length })
    if (event.key !== 'Escape') setKeyboard(at)
    if (isMove) return move(at)
    if (own.current) {
      end()
      say(texts.penUp)
    } else if (mayDraw && event.key !== 'Escape') {
      begin(at)
      say(texts.penDown)
    }
  }

  const onSheet = (board: HTMLElement, { clientX, clientY }: PointerEvent): Point => {
    const { left, top, width, height } = board.getBoundingClientRect()
    return clamp({
      x: Math.round(((clientX - left) / width) * sheet.width),
      y: Math.round(((clientY - top) / height) * sheet.height),
    })
  }
  const finish = (event: PointerEvent): void => {
    if (event.pointerId !== drawing.current) return
    drawing.current = null
    end()
  }

  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- an application is what one acts on
    <div
      class={mayDraw ? 'board' : 'board closed'}
      role="application"
      aria-label={texts.sheet}
      aria-describedby="summary keys"
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- as above: by keyboard too
      tabIndex={0}
      onKeyDown={pressed}
      onBlur={() => {
        if (drawing.current !== null) return
        if (own.current) end()
        setKeyboard(null)
        onPoint({ x: null, y: null, drawing: 0 })
      }}
      onPointerDown={(event) => {
        if (!mayDraw || drawing.current !== null || event.button !== 0) return
        if (own.current) end()
        setKeyboard(null)
        drawing.current = event.pointerId
        event.currentTarget.setPointerCapture(event.pointerId)
        begin(onSheet(event.currentTarget, event))
      }}
      onPointerMove={(event) => {
        if (drawing.current !== null && drawing.current !== event.pointerId) return
        if (drawing.current === null && (own.current !== null || event.pointerType === 'touch')) return
        // A fast hand is between two frames at several places.
        const passed = drawing.current === null ? [] : event.getCoalescedEvents()
        for (const each of passed) move(onSheet(event.currentTarget, each))
        move(onSheet(event.currentTarget, event))
      }}
      onPointerUp={finish}
      onPointerCancel={finish}
      onPointerLeave={(event) => {
        if (drawing.current === null && own.current === null && event.pointerType !== 'touch')
          onPoint({ x: null, y: null })
      }}
    >
      <canvas ref={still} aria-hidden="true" />
      <canvas ref={moving} aria-hidden="true" />
      <canvas ref={labels} aria-hidden="true" />
      {strokes.length === 0 && <p class="empty">{mayDraw ? texts.empty : summary}</p>}
    </div>
  )
}

const directions: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
}

const clamp = ({ x, y }: Point): Point => ({
  x: Math.min(sheet.width, Math.max(0, x)),
  y: Math.min(sheet.height, Math.max(0, y)),
})
