import { readFileSync } from 'node:fs'

/** Linux counts in hundredths of a second whatever the machine is. */
const ticksPerSecond = 100

/** The processor time in seconds of this process and of all its children that have ended; where there is no /proc, its own. */
export function cpuSeconds(): number {
  try {
    // The name in the second field may have spaces.
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? []
    // utime, stime, cutime and cstime (proc(5)); the first of these fields is the third of the file.
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) / ticksPerSecond, 0)
  } catch {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
}
