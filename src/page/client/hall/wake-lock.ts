/** Keeps the screen from being switched off while the page is shown, where the browser can: nobody touches it for hours. */
export function stayAwake(): void {
  const ask = (): void => {
    if (document.visibilityState === 'visible')
      // It refuses where the battery is low.
      void navigator.wakeLock?.request('screen').catch(() => undefined)
  }
  document.addEventListener('visibilitychange', ask)
  ask()
}
