/** Two soft tones. A browser lets a page make sounds only after its reader has touched it. */
export class Chime {
  #context: AudioContext | null = null

  constructor() {
    const unlock = (): void => {
      this.#context ??= new AudioContext()
      void this.#context.resume()
    }
    for (const event of ['pointerdown', 'keydown']) window.addEventListener(event, unlock, { once: true })
  }

  play(): void {
    const context = this.#context
    if (!context) return
    for (const [index, frequency] of [587.33, 880].entries()) {
      const start = context.currentTime + index * 0.18
      const tone = context.createOscillator()
      const volume = context.createGain()
      tone.frequency.value = frequency
      volume.gain.setValueAtTime(0, start)
      volume.gain.linearRampToValueAtTime(0.25, start + 0.02)
      volume.gain.exponentialRampToValueAtTime(0.001, start + 0.7)
      tone.connect(volume).connect(context.destination)
      tone.start(start)
      tone.stop(start + 0.75)
    }
  }
}
