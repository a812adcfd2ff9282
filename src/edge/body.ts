/** What a client takes at a time: whoever does not take as much within -requesttimeout has gone away. */
export const pieceBytes = 16 * 1024

const encoder = new TextEncoder()

/**
 * A response's body of what `pieces` yields, read only as fast as the client takes it, in parts of 16 KiB; `onRead` hears
 * of each. When the client goes away it ends; when it throws, `onError` hears of it, and has to end the connection.
 */
export function streamOf(
  pieces: AsyncGenerator<string | Uint8Array>,
  { onRead, onError }: { onRead: () => void; onError: (error: unknown) => void },
): ReadableStream<Uint8Array> {
  let rest: Uint8Array = new Uint8Array()
  return new ReadableStream(
    {
      async pull(controller) {
        onRead()
        try {
          while (rest.length === 0) {
            const { done, value } = await pieces.next()
            if (done) return controller.close()
            rest = typeof value === 'string' ? encoder.encode(value) : value
          }
        } catch (error) {
          onError(error)
          return controller.close()
        }
        controller.enqueue(rest.subarray(0, pieceBytes))
        rest = rest.subarray(pieceBytes)
      },
      async cancel() {
        await pieces.return(undefined)
      },
    },
    // Nothing is read before somebody asks for it: a HEAD request never does.
    { highWaterMark: 0 },
  )
}
