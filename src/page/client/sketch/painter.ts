import { colors, type Point, sheet, type Stroke } from './entries.ts'
import type { Pointer } from './session.ts'

const pointerRadius = 16
const trailWidth = 6

type Overlay = { own: Stroke | null; pen: Point | null; others: ReadonlyMap<string, Pointer> }

/** Paints on two canvases, one above the other: strokes that stay, and what moves. */
export class Painter {
  readonly #still: HTMLCanvasElement
  readonly #moving: HTMLCanvasElement
  #palette: string[] = []
  #strokes: readonly Stroke[] = []
  /** Those that are on the canvas, in this order. */
  #painted: readonly Stroke[] = []
  #overlay: Overlay = { own: null, pen: null, others: new Map() }
  /** Where others draw now, until the whole stroke has come. */
  readonly #trails = new Map<string, { drawing: number; points: Point[] }>()
  #frame: number | null = null

  constructor(still: HTMLCanvasElement, moving: HTMLCanvasElement) {
    this.#still = still
    this.#moving = moving
  }

  /** After a change of size or of colors. */
  fit(): void {
    const styles = getComputedStyle(this.#still)
    this.#palette = Array.from({ length: colors }, (_, index) => styles.getPropertyValue(`--pen-${index}`))
    for (const canvas of [this.#still, this.#moving]) {
      const { width, height } = canvas.getBoundingClientRect()
      canvas.width = Math.round(width * devicePixelRatio)
      canvas.height = Math.round(height * devicePixelRatio)
    }
    this.#painted = []
    this.#paint()
  }

  showStrokes(strokes: readonly Stroke[]): void {
    if (strokes === this.#strokes) return
    this.#strokes = strokes
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
    this.#paintMoving()
  }

  /** What is new at the end is painted over the rest; anything else paints all anew. */
  #paintStill(): void {
    const isMore = this.#painted.every((stroke, index) => stroke === this.#strokes[index])
    const context = contextOf(this.#still, !isMore || this.#painted.length === 0)
    if (!context) return
    for (const stroke of isMore ? this.#strokes.slice(this.#painted.length) : this.#strokes)
      this.#paintPath(context, stroke.points, stroke.color, stroke.width)
    this.#painted = this.#strokes
  }

  #paintMoving(): void {
    const context = contextOf(this.#moving, true)
    if (!context) return
    const { own, pen, others } = this.#overlay
    for (const [name, { color, x, y }] of others) {
      const trail = this.#trails.get(name)
      context.globalAlpha = 0.6
      if (trail) this.#paintPath(context, trail.points, color, trailWidth)
      context.globalAlpha = 1
      if (x !== null && y !== null) this.#paintPointer(context, { x, y }, color, true)
    }
    if (own) this.#paintPath(context, own.points, own.color, own.width)
    if (pen) this.#paintPointer(context, pen, own?.color ?? 0, own !== null)
  }

  #paintPointer(context: CanvasRenderingContext2D, { x, y }: Point, color: number, filled: boolean): void {
    context.beginPath()
    context.arc(x, y, pointerRadius, 0, 2 * Math.PI)
    context.lineWidth = 5
    context.strokeStyle = context.fillStyle = this.#palette[color] ?? ''
    context.globalAlpha = 0.35
    if (filled) context.fill()
    context.globalAlpha = 1
    context.stroke()
  }

  /** Through the middles between the points, so that the line has no corners. */
  #paintPath(
    context: CanvasRenderingContext2D,
    points: readonly Point[],
    color: number,
    width: number,
  ): void {
    const [first, ...rest] = points
    if (!first) return
    context.strokeStyle = this.#palette[color] ?? ''
    context.lineWidth = width
    context.lineCap = context.lineJoin = 'round'
    context.beginPath()
    context.moveTo(first.x, first.y)
    for (const [index, { x, y }] of rest.entries()) {
      const next = rest[index + 1]
      if (next) context.quadraticCurveTo(x, y, (x + next.x) / 2, (y + next.y) / 2)
      else context.lineTo(x, y)
    }
    // A dot is a line to where it began.
    if (rest.length === 0) context.lineTo(first.x, first.y)
    context.stroke()
  }
}

/** In the sheet's units. */
function contextOf(canvas: HTMLCanvasElement, clear: boolean): CanvasRenderingContext2D | null {
  const context = canvas.getContext('2d')
  context?.setTransform(canvas.width / sheet.width, 0, 0, canvas.height / sheet.height, 0, 0)
  if (clear) context?.clearRect(0, 0, sheet.width, sheet.height)
  return context
}
