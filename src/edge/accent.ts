/** The colors of a page that follow an accent, as `#rrggbb`. */
export type Accent = Readonly<{ accent: string; soft: string; on: string }>

/** An accent as pages show it on a light and on a dark screen. */
export type Accents = Readonly<{ light: Accent; dark: Accent }>

/** What WCAG 2.2 asks of text of any size (1.4.3). */
export const minContrast = 4.5

/** What an accent stands on (src/page/client/kit/base.css), and what it is mixed with until it can be read there. */
export const schemes = {
  light: { paper: '#f6f4ef', card: '#fffefb', toward: '#000000', on: '#ffffff', softness: 0.12 },
  dark: { paper: '#121614', card: '#1a201d', toward: '#ffffff', on: '#0c1a15', softness: 0.15 },
} as const

const steps = 100

/**
 * An accent color of one's own for light and for dark screens. It is as it was given where text in it, and text on it, has
 * the contrast of 4.5 to 1; else it is made darker, or lighter, until that is so.
 *
 * @param color `#rrggbb`
 */
export function accentsOf(color: string): Accents {
  return { light: fit(color, schemes.light), dark: fit(color, schemes.dark) }
}

function fit(color: string, scheme: (typeof schemes)[keyof typeof schemes]): Accent {
  for (let step = 0; ; step++) {
    const accent = mix(color, scheme.toward, step / steps)
    const soft = mix(scheme.card, accent, scheme.softness)
    const readable = [scheme.paper, scheme.card, soft, scheme.on].every(
      (other) => contrast(accent, other) >= minContrast,
    )
    // Black and white themselves can be read on any of these.
    if (readable || step === steps) return { accent, soft, on: scheme.on }
  }
}

/** The contrast of two colors, from 1 to 21 (WCAG 2.2, "contrast ratio"). */
export function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

/** WCAG 2.2, "relative luminance". */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = channels(color).map((channel) => {
    const part = channel / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function mix(one: string, other: string, part: number): string {
  const others = channels(other)
  const mixed = channels(one).map((channel, index) =>
    Math.round(channel + ((others[index] ?? 0) - channel) * part),
  )
  return `#${mixed.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`
}

const channels = (color: string): number[] =>
  [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16))
