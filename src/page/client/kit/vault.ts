import { nameFor } from './hash.ts'

/** What the browser keeps for one address. Where it keeps nothing (private windows, full disks) this page does, while it is open. */
export type Vault = {
  read: <Value>(name: string, fallback: Value) => Value
  write: (name: string, value: unknown) => void
  /** Calls back when another tab has written it. What is returned ends that. */
  watch: (name: string, changed: () => void) => () => void
}

/** `secret`: whose it is. It shows in no name. */
export function openVault(secret: string): Vault {
  const prefix = `plenum:${nameFor(secret)}:`
  /** What could not be stored, as it would have been. */
  const unstored = new Map<string, string | null>()
  return {
    read<Value>(name: string, fallback: Value) {
      try {
        const here = unstored.get(name)
        const text = here === undefined ? localStorage.getItem(prefix + name) : here
        return text === null ? fallback : (JSON.parse(text) as Value)
      } catch {
        return fallback
      }
    },
    write(name, value) {
      const text = value === null || value === undefined ? null : JSON.stringify(value)
      try {
        if (text === null) localStorage.removeItem(prefix + name)
        else localStorage.setItem(prefix + name, text)
        unstored.delete(name)
      } catch {
        unstored.set(name, text)
      }
    },
    watch(name, changed) {
      const heard = ({ key }: StorageEvent): void => {
        // No key: everything was cleared.
        if (key === prefix + name || key === null) changed()
      }
      window.addEventListener('storage', heard)
      return () => window.removeEventListener('storage', heard)
    },
  }
}
