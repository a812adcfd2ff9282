/** A socket with more to write than may go at once. */
export type Pourer = {
  /** Writes a part; returns how many bytes, and whether it is to be asked again. */
  pour: () => { bytes: number; again: boolean }
}

const perTurn = 1024 * 1024
/** A write to a socket costs the kernel some 9 µs, however short it is. */
const writesPerTurn = 1000
const minCost = Math.ceil(perTurn / writesPerTurn)
const waiting: Pourer[] = []
let writesLeft = writesPerTurn
let isRenewed = false

/** Whether one more socket may be written to at once in this turn of the event loop; else it is for `pourLater`. */
export function mayWriteNow(): boolean {
  if (!isRenewed) {
    isRenewed = true
    setImmediate(() => {
      isRenewed = false
      writesLeft = writesPerTurn
    })
  }
  return writesLeft-- > 0
}

/**
 * Has sockets write what is long in parts, each in its turn and all of them only so much in one turn of the event loop: the
 * kernel copies at some GB/s, so that a long message for many people, or a short one for thousands, would take that long for
 * everybody else.
 */
export function pourLater(pourer: Pourer): void {
  if (waiting.push(pourer) === 1) setImmediate(pour)
}

function pour(): void {
  let left = perTurn
  while (left > 0) {
    const [pourer] = waiting
    if (!pourer) return
    const { bytes, again } = pourer.pour()
    left -= Math.max(bytes, minCost)
    // The first one goes last, so that this function is called as long as there is one.
    if (again) waiting.push(pourer)
    waiting.shift()
  }
  if (waiting.length > 0) setImmediate(pour)
}
