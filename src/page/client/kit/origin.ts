/**
 * Whether the server refuses the websocket at `address` to pages of this page's own origin (`-origin`): of a refused
 * websocket a browser tells its page nothing, so that the page asks by itself. False where nobody answers.
 */
export async function isRefusedHere(address: string): Promise<boolean> {
  try {
    const response = await fetch(address.replace(/^ws/, 'http'), {
      headers: { 'x-page-origin': location.origin },
      cache: 'no-store',
    })
    return response.status === 403 && (await response.text()).includes('origin not allowed')
  } catch {
    return false
  }
}
