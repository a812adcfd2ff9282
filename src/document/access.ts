import { webcrypto } from 'node:crypto'
import { verify } from 'hono/jwt'
import type { ISql } from 'postgres'
import type { Permissions } from './draft.ts'
import { type Fault, fault, faults } from './protocol.ts'
import { findTokens, findUsers, hashOf } from './store/access.ts'

/** Whom the id in an init message lets in, and where. */
export type Access = Readonly<{
  type: 'access'
  document: string
  /** Null for those who come with a document's own id. */
  user: string | null
  permissions: Permissions
  /** How long it is good for; null is for ever. */
  leftMs: number | null
}>

/** Nobody has made such a token, and no such JWT is signed with the key. */
export type Unknown = Readonly<{ type: 'unknown' }>

type Claims = { document: string; user: string; letters: string; leftMs: number; issuedAt: number | null }

const maxIdLength = 1024
const everyone: Permissions = { read: true, write: true, admin: false }

export const permissionsOf = (letters: string): Permissions => ({
  read: letters.includes('r'),
  write: letters.includes('w'),
  admin: letters.includes('a'),
})

/** A document's id as PostgreSQL can keep it; null for what it cannot. */
export function documentId(bytes: Buffer): string | null {
  if (bytes.length < 1 || bytes.length > maxIdLength || bytes.includes(0)) return null
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : null
}

/** The key that JWTs are signed with (HMAC, SHA-256). */
export async function importKey(key: Buffer): Promise<webcrypto.CryptoKey> {
  return await webcrypto.subtle.importKey(
    'raw',
    Uint8Array.from(key),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['verify'],
  )
}

/**
 * Finds out what these ids stand for: stored tokens, expired ones among them, then JWTs where there is a key for them, then
 * documents where there is none. In their order; rejects as the database does.
 */
export async function resolveAccess(
  sql: ISql,
  ids: readonly Buffer[],
  jwtKey: webcrypto.CryptoKey | null,
): Promise<(Access | Fault | Unknown)[]> {
  const hashes = ids.map(hashOf)
  const claims = await Promise.all(ids.map((id) => readJwt(id.toString(), jwtKey)))
  const users = claims.flatMap((claim) => claim?.user ?? [])
  const [tokens, changed] = await Promise.all([
    findTokens(sql, hashes),
    users.length === 0 ? new Map<string, never>() : findUsers(sql, users),
  ])
  return ids.map((id, index) => {
    const token = tokens.get(hashes[index] ?? '')
    if (token) return accessOf(token.document, token.user, token.permissions, token.leftMs)
    const claim = claims[index]
    if (claim) {
      const change = changed.get(claim.user) as { permissions: string; changedAt: number } | undefined
      // What was changed holds for all that had been issued before; of one that does not say when, nobody knows.
      const isOutdated = change && wasBefore(claim.issuedAt ?? 0, change.changedAt)
      return accessOf(
        claim.document,
        claim.user,
        isOutdated ? change.permissions : claim.letters,
        claim.leftMs,
      )
    }
    if (jwtKey) return { type: 'unknown' }
    const document = documentId(id)
    if (document === null) return fault('an id is UTF-8 without NUL')
    return { type: 'access', document, user: null, permissions: everyone, leftMs: null }
  })
}

/**
 * Whether a JWT was issued before a change (seconds since 1970). Most say the second only: within it, it counts as issued
 * after, for an application changes the rights and then issues anew.
 */
export function wasBefore(issuedAt: number, changedAt: number): boolean {
  return issuedAt < (Number.isInteger(issuedAt) ? Math.floor(changedAt) : changedAt)
}

function accessOf(document: string, user: string, letters: string, leftMs: number): Access | Fault {
  const permissions = permissionsOf(letters)
  if (leftMs <= 0 || !permissions.read) return faults.denied
  return { type: 'access', document, user, permissions, leftMs }
}

/** What a JWT says that is signed with the key and good now; null for any other. */
async function readJwt(text: string, key: webcrypto.CryptoKey | null): Promise<Claims | null> {
  // Base64url without padding (RFC 7515, section 2), which the library does not insist on.
  if (!key || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return null
  try {
    const { sub, u, p, exp, iat } = (await verify(text, key, 'HS256')) as Record<string, unknown>
    if (typeof sub !== 'string' || typeof exp !== 'number') return null
    const document = documentId(Buffer.from(sub))
    const leftMs = exp * 1000 - Date.now()
    if (document === null || !(leftMs > 0)) return null
    const user = typeof u === 'string' ? u : ''
    if (user.includes('\0')) return null
    return {
      document,
      user,
      letters: typeof p === 'string' ? p : '',
      leftMs,
      issuedAt: typeof iat === 'number' ? iat : null,
    }
  } catch {
    return null
  }
}
