import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { LogSink, print } from './log-sink.ts'

const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants

/** A pipe with a name, whose reader can come and go, and a sink that writes to it. */
function pipe(t: TestContext, maxBytes?: number) {
  const folder = mkdtempSync(join(tmpdir(), 'plenum-sink-'))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  let reader: number | null = openSync(path, O_RDONLY | O_NONBLOCK)
  const writer = openSync(path, O_WRONLY)
  const gaps: { lost: number; reason: string }[] = []
  const sink = new LogSink(
    writer,
    (gap) => {
      gaps.push(gap)
      sink.write(`gap of ${gap.lost}\n`)
    },
    maxBytes,
  )
  const close = (): void => {
    if (reader !== null) closeSync(reader)
    reader = null
  }
  t.after(() => {
    close()
    rmSync(folder, { recursive: true })
  })
  return {
    sink,
    gaps,
    close,
    open: (): void => {
      reader = openSync(path, O_RDONLY | O_NONBLOCK)
    },
    /** All that is there. */
    read: (): string => {
      const buffer = Buffer.alloc(1024 * 1024)
      try {
        return buffer.toString('utf8', 0, readSync(reader ?? -1, buffer))
      } catch {
        return ''
      }
    },
  }
}

suite('log sink', () => {
  test('what its reader is there for is written at once, in its order', (t) => {
    const { sink, read } = pipe(t)
    for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line)
    assert.equal(read(), 'one\ntwo\nthree\n')
    assert.equal(sink.lost, 0)
  })

  test('what a reader that is gone has missed is told to the next one', (t) => {
    const { sink, gaps, read, close, open } = pipe(t)
    close()
    sink.write('one\n')
    sink.write('two\n')
    assert.equal(sink.lost, 2)
    open()
    sink.write('three\n')
    assert.deepEqual(gaps, [{ lost: 2, reason: 'EPIPE' }])
    assert.equal(read(), 'three\ngap of 2\n')
    assert.equal(sink.lost, 2)
  })

  test('a reader that does not read has so much kept for it, and no more', async (t) => {
    const { sink, gaps, read } = pipe(t, 100_000)
    const line = `${'x'.repeat(999)}\n`
    for (let n = 0; n < 300; n++) sink.write(line)
    const { lost } = sink
    // What fits into the kernel's pipe is not ours.
    assert.ok(lost > 100 && lost < 200, `${lost} of 300 were lost`)
    let got = ''
    for (let n = 0; n < 50 && !got.includes('gap'); n++) {
      got += read()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.deepEqual(gaps, [{ lost, reason: 'the reader does not keep up' }])
    await sink.flushed(1000)
    got += read()
    assert.equal(got.replace(`gap of ${lost}\n`, ''), line.repeat(300 - lost))
  })

  test('a line that was cut off is ended before the next one', (t) => {
    const { sink, read, close, open } = pipe(t)
    // More than the pipe holds: its first part is written, the rest is lost with the reader.
    sink.write(`${'x'.repeat(200_000)}\n`)
    close()
    open()
    const first = read()
    close()
    sink.write('lost\n')
    assert.ok(first.length < 200_000)
    return sink.flushed(1000).then(() => {
      open()
      sink.write('whole\n')
      assert.match(read(), /^\nwhole\ngap of [12]\n$/)
    })
  })

  test('a word that cannot be stored is a failure; one that nobody reads is none', (t) => {
    assert.equal(print(openSync('/dev/full', 'w'), 'word\n'), 'ENOSPC')
    const folder = mkdtempSync(join(tmpdir(), 'plenum-print-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', [path])
    const reader = openSync(path, O_RDONLY | O_NONBLOCK)
    const writer = openSync(path, O_WRONLY | O_NONBLOCK)
    closeSync(reader)
    assert.equal(print(writer, 'word\n'), null)
    const file = join(folder, 'file')
    assert.equal(print(openSync(file, 'w'), 'wörd\n'), null)
    assert.equal(readFileSync(file, 'utf8'), 'wörd\n')
  })
})
