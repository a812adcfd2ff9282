import { useEffect, useState } from 'preact/hooks'
import type { Vault } from './vault.ts'

/** A value that the browser keeps, the same in all tabs; what is as at `first` need not be kept. */
export function useKept<Value>(vault: Vault, name: string, first: Value): [Value, (value: Value) => void] {
  const [value, set] = useState(() => vault.read(name, first))
  useEffect(() => vault.watch(name, () => set(vault.read(name, first))), [])
  return [
    value,
    (next) => {
      set(next)
      vault.write(name, next === first ? null : next)
    },
  ]
}
