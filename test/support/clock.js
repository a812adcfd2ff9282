// Preloaded into a server: at SIGUSR2 its wall clock goes wrong by the milliseconds that stand in the file
// CLOCK_OFFSET_FILE. Timers and performance.now() go on as they are, as when an administrator sets the clock.
import { readFileSync } from 'node:fs'

const RealDate = Date
let offset = 0

process.on('SIGUSR2', () => {
  offset = Number(readFileSync(process.env.CLOCK_OFFSET_FILE, 'utf8'))
})

const now = () => RealDate.now() + offset

globalThis.Date = new Proxy(RealDate, {
  construct: (target, values, newTarget) =>
    Reflect.construct(target, values.length === 0 ? [now()] : values, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
})
