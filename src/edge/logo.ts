import { Buffer } from 'node:buffer'

/** A logo that is at most so long, in bytes: it is in each page. */
export const maxLogoBytes = 32 * 1024
const maxSide = 2048

export type LogoType = 'image/svg+xml' | 'image/png'

/** A logo cannot be shown; the message says what to do, and ends a sentence that names the file. */
export class LogoError extends Error {}

/**
 * What kind of picture a logo is. What a browser would show as a broken or an empty picture is refused. (That an SVG runs no
 * script is not for this to see to: pages show it by `<img>`, where none runs and nothing is loaded.)
 *
 * @throws LogoError
 */
export function logoType(bytes: Uint8Array): LogoType {
  if (bytes.length > maxLogoBytes)
    throw new LogoError(
      `has more than ${maxLogoBytes / 1024} KiB, which each page would have to carry: save a smaller or simpler one`,
    )
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (data.subarray(0, 8).equals(pngBeginning)) {
    checkPng(data)
    return 'image/png'
  }
  checkSvg(data)
  return 'image/svg+xml'
}

const pngBeginning = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/** PNG, third edition, 5.2 and 11.2.1: its header comes first, its end last. */
function checkPng(data: Buffer): void {
  const complete = data.length > 45 && data.toString('latin1', 12, 16) === 'IHDR'
  if (!complete || data.toString('latin1', data.length - 8, data.length - 4) !== 'IEND')
    throw new LogoError('is a PNG that is not complete: copy it anew')
  const [width, height] = [data.readUInt32BE(16), data.readUInt32BE(20)]
  if (width === 0 || height === 0 || width > maxSide || height > maxSide)
    throw new LogoError(`has ${width} by ${height} pixels: ${maxSide} a side at most; 96 in height is enough`)
}

function checkSvg(data: Buffer): void {
  const [root] =
    /^(?:\s|<\?[^>]*>|<!--(?:(?!-->).)*-->|<!DOCTYPE[^>[]*>)*<svg\b[^>]*>/s.exec(textOf(data)) ?? []
  if (root === undefined)
    throw new LogoError('is neither an SVG (in UTF-8, without entities of its own) nor a PNG: save it as one')
  const text = textOf(data)
  if (!/<\/svg>\s*(?:<!--(?:(?!-->)[^])*-->\s*)*$/.test(text))
    throw new LogoError('is an SVG that is not complete: copy it anew')
  if (!/\sxmlns\s*=\s*["']http:\/\/www\.w3\.org\/2000\/svg["']/.test(root))
    throw new LogoError('is an SVG without xmlns="http://www.w3.org/2000/svg" in <svg>: add it')
  if (!/\sviewBox\s*=/.test(root))
    throw new LogoError(
      'is an SVG without a viewBox, so that it has no shape: add it, viewBox="0 0 WIDTH HEIGHT"',
    )
  if (/<script\b|\son[a-z]+\s*=|javascript:/i.test(text))
    throw new LogoError('is an SVG with a script, which runs on no page: save it without')
  if (
    /[\s:](?:href|src)\s*=\s*["'](?!#|data:)|url\(\s*["']?(?!#|data:)|@import/i.test(
      text.replace(/<a\b[^>]*>/g, ''),
    )
  )
    throw new LogoError('is an SVG that refers to other files, which are not loaded: embed them')
}

/** '' where it is not UTF-8. */
function textOf(data: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data)
  } catch {
    return ''
  }
}
