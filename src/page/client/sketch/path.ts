import type { Point } from './entries.ts'

/** What a path is drawn to: a canvas, or the text of an SVG path. */
export type PathTarget = {
  moveTo: (x: number, y: number) => void
  lineTo: (x: number, y: number) => void
  quadraticCurveTo: (controlX: number, controlY: number, x: number, y: number) => void
}

/** Draws a stroke's path through the middles between its points, so that the line has no corners. */
export function tracePath(target: PathTarget, points: readonly Point[]): void {
  const [first, ...rest] = points
  if (!first) return
  target.moveTo(first.x, first.y)
  for (const [index, { x, y }] of rest.entries()) {
    const next = rest[index + 1]
    if (next) target.quadraticCurveTo(x, y, (x + next.x) / 2, (y + next.y) / 2)
    else target.lineTo(x, y)
  }
  // A dot is a line to where it began.
  if (rest.length === 0) target.lineTo(first.x, first.y)
}
