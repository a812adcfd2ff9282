const steps = [1, 2, 5, 10]

/**
 * The end of an axis that begins at 0: the least of 1, 2, 5, 10, 20 … times `unit` that is not below `most`, and half of which can
 * be said. `least` is the shortest axis, so that what is next to nothing does not look like much.
 */
export function axisEnd(most: number, least: number, unit = 1): number {
  const wanted = Math.max(most, least) / unit
  const power = 10 ** Math.floor(Math.log10(wanted))
  const step = steps.find((step) => step * power >= wanted * (1 - 1e-9)) ?? 10
  return step * power * unit
}

/** The same for bytes: a power of two. */
export const bytesAxisEnd = (most: number, least: number): number =>
  2 ** Math.ceil(Math.log2(Math.max(most, least)))
