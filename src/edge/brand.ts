import { Buffer } from 'node:buffer'
import { dirname, resolve } from 'node:path'
import type { Context } from 'hono'
import * as v from 'valibot'
import { type Accents, accentsOf } from './accent.ts'
import { LogoError, type LogoType, logoType, maxLogoBytes } from './logo.ts'
import { nearest } from './nearest.ts'
import { printable } from './printable.ts'

/** Whose pages these are. `logo`: the picture as a `data:` URL. */
export type Brand = Readonly<{
  name: string
  logo: Readonly<{ url: string; type: LogoType; bytes: number }> | null
  accents: Accents | null
}>

/** A brand cannot be used; the message is one line, names the flag and the file, and says what to do. */
export class BrandError extends Error {}

export type BrandFiles = {
  /** At most so many bytes of a file from its beginning; null where it cannot be read. */
  read: (path: string, most: number) => Uint8Array | null
  /** Says so in words. */
  cannotRead: (path: string) => string
}

const maxName = 80
const maxFileBytes = 16 * 1024
const names = ['name', 'logo', 'accent']
const example = '{ "name": "Your association", "logo": "logo.svg", "accent": "#175c4c" }'

const fields = v.strictObject({
  name: v.string(),
  logo: v.optional(v.string()),
  accent: v.optional(v.string()),
})

/**
 * Reads the file that -brand names, and the logo that it names, and makes sure that pages can show them.
 *
 * @throws BrandError
 */
export function readBrand(path: string, files: BrandFiles): Brand {
  const read = (file: string, most: number): Uint8Array => {
    const bytes = files.read(file, most + 1)
    if (bytes === null) throw new BrandError(`-brand: ${files.cannotRead(file)}`)
    return bytes
  }
  const refuse = (reason: string): never => {
    throw new BrandError(`-brand: ${path} ${reason}`)
  }
  const given = parseFile(read(path, maxFileBytes), refuse)
  return {
    name: given.name,
    logo: given.logo === null ? null : readLogo(resolve(dirname(path), given.logo), read),
    accents: given.accent === null ? null : accentsOf(given.accent),
  }
}

type Given = { name: string; logo: string | null; accent: string | null }

function parseFile(bytes: Uint8Array, refuse: (reason: string) => never): Given {
  if (bytes.length > maxFileBytes)
    return refuse(`has more than ${maxFileBytes / 1024} KiB: it is to be like ${example}`)
  let json: unknown
  try {
    // Some editors begin a file with a mark of its encoding.
    json = JSON.parse(
      Buffer.from(bytes)
        .toString('utf8')
        .replace(/^\ufeff/, ''),
    )
  } catch {
    return refuse(`is not JSON: it is to be like ${example}`)
  }
  const parsed = v.safeParse(fields, json)
  if (!parsed.success) {
    const [{ path }] = parsed.issues
    const key = path?.[0]?.key
    if (typeof key !== 'string') return refuse(`has to hold one object: like ${example}`)
    if (names.includes(key)) return refuse(`needs text for "${key}": like ${example}`)
    const meant = nearest(key, names)
    return refuse(
      `has ${printable(key.slice(0, 40))}, which it may not: ${meant ? `did you mean "${meant}"?` : `"name", "logo" and "accent" may stand there`}`,
    )
  }
  const { name, logo, accent } = parsed.output
  const [shown, color] = [name.trim(), accent?.trim()]
  if (shown === '' || Array.from(shown).length > maxName || unshowable.test(shown))
    return refuse(`needs a "name" of 1 to ${maxName} characters, on one line`)
  if (logo !== undefined && (logo.trim() === '' || logo.includes('\0')))
    return refuse('has an empty "logo": name a file, relative to this one, or leave it out')
  if (color !== undefined && !/^#(?:[\da-f]{3}|[\da-f]{6})$/i.test(color))
    return refuse(`has the "accent" ${printable(color.slice(0, 40))}: write it as #rrggbb, like "#175c4c"`)
  return { name: shown, logo: logo ?? null, accent: color === undefined ? null : longColor(color) }
}

/** What breaks a line or turns a text around. */
const unshowable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u

const longColor = (color: string): string =>
  (color.length === 4 ? color.replaceAll(/[\da-f]/gi, '$&$&') : color).toLowerCase()

function readLogo(path: string, read: (file: string, most: number) => Uint8Array): Brand['logo'] {
  const bytes = read(path, maxLogoBytes)
  try {
    const type = logoType(bytes)
    return { type, bytes: bytes.length, url: `data:${type};base64,${Buffer.from(bytes).toString('base64')}` }
  } catch (error) {
    if (!(error instanceof LogoError)) throw error
    throw new BrandError(`-brand: the logo ${path} ${error.message}`, { cause: error })
  }
}

/** In words, for who checks it: what pages show. */
export function describeBrand({ name, logo, accents }: Brand): string {
  const picture = logo
    ? `a logo (${logo.type === 'image/png' ? 'PNG' : 'SVG'}, ${(logo.bytes / 1024).toFixed(1)} KiB)`
    : 'no logo'
  const color = accents
    ? `the accent ${accents.light.accent} on light screens and ${accents.dark.accent} on dark ones`
    : "Plenum's own accent"
  return `pages show the name ${printable(name)}, ${picture} and ${color}`
}

const variable = 'brand'

/** Says to whatever answers a request whose pages these are. */
export function setBrand(c: Context, brand: Brand | null): void {
  c.set(variable, brand)
}

/** Whose pages these are, while a request is answered; null where nobody has said it. */
export const brandOf = (c: Context): Brand | null => (c.get(variable) as Brand | null | undefined) ?? null

/** The style element's text that gives a page its accent; '' where it keeps its own. On paper it has none. */
export function brandStyle({ accents }: Brand): string {
  if (!accents) return ''
  const { light, dark } = accents
  const colors = ({ accent, soft, on }: typeof light): string =>
    `:root{--accent:${accent};--accent-soft:${soft};--on-accent:${on}}`
  return `@media screen{${colors(light)}}@media screen and (prefers-color-scheme:dark){${colors(dark)}}`
}
