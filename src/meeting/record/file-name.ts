import type { RecordHead } from './record.ts'

/** In code points: with what stands behind it far from the 255 bytes that a file system takes, in any script. */
const maxName = 50

/**
 * What files and printouts of a record begin with: the name of the meeting and its day, as `General assembly 2026-03-14`.
 * No file system objects to it: it has no characters that any of them reserves, and no dot at its ends.
 */
export function baseName({ meeting, name, opened, scheduled }: RecordHead): string {
  const allowed = name.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}<>:"/\\|?*]+/gu, ' ').replaceAll(/\s+/gu, ' ')
  const short = Array.from(allowed).slice(0, maxName).join('')
  const tidy = short.replaceAll(/^[\s.]+|[\s.]+$/gu, '')
  return `${tidy === '' ? `Meeting ${meeting}` : tidy} ${(opened ?? scheduled).slice(0, 10)}`
}
