import { colors, sheet, type Point, type Stroke } from './entries.ts'
import { beginOnSheet, placeLabels } from './labels.ts'
import { tracePath } from './path.ts'
import type { Pointer } from './session.ts'

const pointerRadius = 16
const trailWidth = 6

type Overlay = { own: Stroke | null; pen: Point | null; others: ReadonlyMap<string, Pointer> }

/** Names at strokes and pointers by whose they are; none where nobody wants to see them. */
export type Names = ReadonlyMap<string, string>

/** The colors to paint with: pens, the sheet, and what is written on it. */
export type Palette = { pens: readonly string[]; card: string; ink: string; font: string }

/** Height of a name's letters on the screen, in CSS pixels. */
const nameSize = 13

/** Paints on three canvases, one above the other: strokes that stay, what moves, and the names at strokes. */
export class Painter {
  readonly #still: HTMLCanvasElement
  readonly #moving: HTMLCanvasElement
  readonly #labels: HTMLCanvasElement
  #palette: Palette = { pens: [], card: '', ink: '', font: '' }
  /** Of a name's letters, in the sheet's units. */
  #nameSize = nameSize
  #strokes: readonly Stroke[] = []
  /** Those that are on the canvas, in this order. */
  #painted: readonly Stroke[] = []
  #names: Names = new Map()
  #labelsAreDue = false
  #overlay: Overlay = { own: null, pen: null, others: new Map() }
  /** Where others draw now, until the whole stroke has come. */
  readonly #trails = new Map<string, { drawing: number; points: Point[] }>()
  #frame: number | null = null

  constructor(still: HTMLCanvasElement, moving: HTMLCanvasElement, labels: HTMLCanvasElement) {
    this.#still = still
    this.#moving = moving
    this.#labels = labels
  }

  /** After a change of size or of colors. */
  fit(): void {
    this.#palette = paletteOf(this.#still, 'pen')
    for (const canvas of [this.#still, this.#moving, this.#labels]) {
      const { width, height } = canvas.getBoundingClientRect()
      this.#nameSize = (nameSize * sheet.width) / Math.max(1, width)
      canvas.width = Math.round(width * devicePixelRatio)
      canvas.height = Math.round(height * devicePixelRatio)
    }
    this.#painted = []
    this.#labelsAreDue = true
    this.#paint()
  }

  showStrokes(strokes: readonly Stroke[]): void {
    if (strokes === this.#strokes) return
    this.#strokes = strokes
    this.#labelsAreDue = true
    this.#ask()
  }

  showNames(names: Names): void {
    this.#names = names
    this.#labelsAreDue = true
    this.#ask()
  }

  showOverlay(change: Partial<Overlay>): void {
    this.#overlay = { ...this.#overlay, ...change }
    if (change.others) this.#followTrails(change.others)
    this.#ask()
  }

  #followTrails(others: ReadonlyMap<string, Pointer>): void {
    for (const [name, { drawing }] of this.#trails)
      if (others.get(name)?.drawing !== drawing) this.#trails.delete(name)
    for (const [name, { x, y, drawing }] of others) {
      if (drawing === 0 || x === null || y === null) continue
      const trail = this.#trails.get(name) ?? { drawing, points: [] }
      const last = trail.points.at(-1)
      if (last?.x !== x || last.y !== y) trail.points.push({ x, y })
      this.#trails.set(name, trail)
    }
  }

  #ask(): void {
    this.#frame ??= requestAnimationFrame(() => this.#paint())
  }

  #paint(): void {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame)
    this.#frame = null
    this.#paintStill()
    if (this.#labelsAreDue) this.#paintLabels()
    this.#labelsAreDue = false
    this.#paintMoving()
  }

  /** What is new at the end is painted over the rest; anything else paints all anew. */
  #paintStill(): void {
    const isMore = this.#painted.every((stroke, index) => stroke === this.#strokes[index])
    const context = contextOf(this.#still, !isMore || this.#painted.length === 0)
    if (!context) return
    for (const stroke of isMore ? this.#strokes.slice(this.#painted.length) : this.#strokes)
      paintStroke(context, this.#palette, stroke)
    this.#painted = this.#strokes
  }

  #paintLabels(): void {
    const context = contextOf(this.#labels, true)
    if (context) paintNames(context, this.#palette, this.#strokes, this.#names, this.#nameSize)
  }

  #paintMoving(): void {
    const context = contextOf(this.#moving, true)
    if (!context) return
    const { own, pen, others } = this.#overlay
    for (const [name, { by, color, x, y }] of others) {
      const trail = this.#trails.get(name)
      context.globalAlpha = 0.6
      if (trail) paintStroke(context, this.#palette, { points: trail.points, color, width: trailWidth })
      context.globalAlpha = 1
      if (x === null || y === null) continue
      this.#paintPointer(context, { x, y }, color, true)
      const text = this.#names.get(by)
      if (text !== undefined) this.#paintPointerName(context, text, { x, y })
    }
    if (own) paintStroke(context, this.#palette, own)
    if (pen) this.#paintPointer(context, pen, own?.color ?? 0, own !== null)
  }

  #paintPointerName(context: CanvasRenderingContext2D, text: string, { x, y }: Point): void {
    const size = this.#nameSize
    context.font = fontOf(this.#palette, size)
    const begin = beginOnSheet(x + 1.5 * pointerRadius, context.measureText(text).width, size)
    paintText(context, this.#palette, text, { x: begin, y: Math.max(size, y - 1.5 * pointerRadius) }, size)
  }

  #paintPointer(context: CanvasRenderingContext2D, { x, y }: Point, color: number, filled: boolean): void {
    context.beginPath()
    context.arc(x, y, pointerRadius, 0, 2 * Math.PI)
    context.lineWidth = 5
    context.strokeStyle = context.fillStyle = this.#palette.pens[color] ?? ''
    context.globalAlpha = 0.35
    if (filled) context.fill()
    context.globalAlpha = 1
    context.stroke()
  }
}

/** The colors that the page has for its screen (`pen`), or for paper (`ink`). */
export function paletteOf(element: Element, kind: 'pen' | 'ink'): Palette {
  const styles = getComputedStyle(element)
  const value = (name: string): string => styles.getPropertyValue(name)
  const pens = Array.from({ length: colors }, (_, index) => value(`--${kind}-${index}`))
  const font = value('--sans')
  return kind === 'pen'
    ? { pens, font, card: value('--card'), ink: value('--ink') }
    : { pens, font, card: '#fff', ink: pens[0] ?? '' }
}

export function paintStroke(
  context: CanvasRenderingContext2D,
  { pens }: Palette,
  { points, color, width }: Pick<Stroke, 'points' | 'color' | 'width'>,
): void {
  context.strokeStyle = pens[color] ?? ''
  context.lineWidth = width
  context.lineCap = context.lineJoin = 'round'
  context.beginPath()
  tracePath(context, points)
  context.stroke()
}

/** Writes the names at the strokes; `size` in the sheet's units. */
export function paintNames(
  context: CanvasRenderingContext2D,
  palette: Palette,
  strokes: readonly Stroke[],
  names: Names,
  size: number,
): void {
  if (names.size === 0) return
  context.font = fontOf(palette, size)
  const measure = (text: string): number => context.measureText(text).width
  for (const { text, at } of placeLabels(strokes, names, { size, measure }))
    paintText(context, palette, text, at, size)
}

export const fontOf = ({ font }: Palette, size: number): string => `600 ${size}px ${font}`

/** With an edge of the sheet's color, so that it can be read on any stroke. */
function paintText(
  context: CanvasRenderingContext2D,
  palette: Palette,
  text: string,
  { x, y }: Point,
  size: number,
): void {
  context.font = fontOf(palette, size)
  context.lineJoin = 'round'
  context.lineWidth = size / 3
  context.strokeStyle = palette.card
  context.strokeText(text, x, y)
  context.fillStyle = palette.ink
  context.fillText(text, x, y)
}

/** In the sheet's units. */
function contextOf(canvas: HTMLCanvasElement, clear: boolean): CanvasRenderingContext2D | null {
  const context = canvas.getContext('2d')
  context?.setTransform(canvas.width / sheet.width, 0, 0, canvas.height / sheet.height, 0, 0)
  if (clear) context?.clearRect(0, 0, sheet.width, sheet.height)
  return context
}
