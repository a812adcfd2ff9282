/**
 * What a page keeps for as long as its tab lives, also when it is loaded anew. Where a browser stores nothing for the site
 * it stands with the entry in the tab's history, and where that is refused too the page works on without. Null: nothing any more.
 */
export function keepInTab(name: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(name)
    else sessionStorage.setItem(name, value)
    const { [name]: earlier, ...state } = entryState()
    if (earlier !== undefined) replaceAddress(location.href, state)
  } catch {
    replaceAddress(location.href, { ...entryState(), [name]: value })
  }
}

/** What `keepInTab` was given under this name; null where that is nothing, or could not be kept. */
export function keptInTab(name: string): string | null {
  // What stands with the entry is there because it could not be stored: what is stored may be older.
  const value = entryState()[name]
  return typeof value === 'string' ? value : stored(name)
}

/** Null also where nothing is stored because there is no room: then it can be read all the same. */
function stored(name: string): string | null {
  try {
    return sessionStorage.getItem(name)
  } catch {
    return null
  }
}

/** Shows another address of this page, without loading it. False where the browser does not let it. */
export function replaceAddress(address: string, state: unknown = history.state): boolean {
  try {
    history.replaceState(state, '', address)
    return true
  } catch {
    return false
  }
}

const entryState = (): Record<string, unknown> => (history.state ?? {}) as Record<string, unknown>
