import process from 'node:process'

export type Memory = Readonly<{ residentBytes: number; heapBytes: number }>

let last: Memory = { residentBytes: 0, heapBytes: 0 }

/** The memory in use by this process: as it was, while no descriptor is left to ask the kernel by. */
export function memoryInUse(): Memory {
  try {
    const { rss, heapUsed } = process.memoryUsage()
    last = { residentBytes: rss, heapBytes: heapUsed }
  } catch {
    // EMFILE or ENFILE: a figure is not worth the process.
  }
  return last
}
