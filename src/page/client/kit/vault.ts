import { nameFor } from './hash.ts'

/** What the browser keeps for one address. Where it keeps nothing (private windows, full disks) the page works on without. */
export type Vault = {
  read: <Value>(name: string, fallback: Value) => Value
  write: (name: string, value: unknown) => void
}

/** `secret`: whose it is. It shows in no name. */
export function openVault(secret: string): Vault {
  const prefix = `plenum:${nameFor(secret)}:`
  return {
    read<Value>(name: string, fallback: Value) {
      try {
        const text = localStorage.getItem(prefix + name)
        return text === null ? fallback : (JSON.parse(text) as Value)
      } catch {
        return fallback
      }
    },
    write(name, value) {
      try {
        if (value === null || value === undefined) localStorage.removeItem(prefix + name)
        else localStorage.setItem(prefix + name, JSON.stringify(value))
      } catch {
        // Kept until the page closes, then.
      }
    },
  }
}
