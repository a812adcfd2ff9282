import { type JSX, render } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { Branded } from '../kit/brand.tsx'
import { keepInTab, keptInTab, replaceAddress } from '../kit/tab.ts'
import { createAnnouncer } from './announcer.ts'
import { Board, type Pen } from './board.tsx'
import { cleanName, pictureOf, type Stroke, widths } from './entries.ts'
import { NamesView } from './names-view.tsx'
import { type Names, paletteOf } from './painter.ts'
import { measureNames, pngOf, saveFile, svgOf } from './picture-file.ts'
import { type Sketch, SketchSession } from './session.ts'
import { textsFor } from './texts.ts'
import { type Format, Tools } from './tools.tsx'

const { texts, language } = textsFor(navigator.languages)
const page = document.getElementById('page')

/** 120 bits: whoever does not know a sketch's name does not find it. */
const randomName = (bytes: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')

/** The sketch that the address names, if any. What follows # is not sent to the server with the address. */
function givenName(): string {
  const given = new URLSearchParams(location.search).get('document')
  if (given !== null) return given
  const written = location.hash.slice(1)
  try {
    return decodeURIComponent(written)
  } catch {
    // A % that encodes nothing stands for itself.
    return written
  }
}

function sketchName(): string {
  const given = givenName()
  if (given !== '') return given
  const fresh = randomName(15)
  if (!replaceAddress(`#${fresh}`)) location.hash = fresh
  return fresh
}

/** Who draws here: the same after the page was loaded anew, so that one's own strokes can still be undone. */
function ownName(): string {
  const kept = keptInTab('sketch: who')
  if (kept !== null) return kept
  const name = randomName(6)
  keepInTab('sketch: who', name)
  return name
}

const name = sketchName()
const by = ownName()
const announcer = createAnnouncer(texts)
const noNames: Names = new Map()
const namesKept = 'sketch: show names'

function App({ sketch, session }: { sketch: Sketch; session: SketchSession }): JSX.Element {
  const [pen, setPen] = useState<Pen>({ color: 0, width: widths[1] })
  const { entries, pending, phase } = sketch
  const picture = useMemo(() => pictureOf([...entries, ...pending]), [entries, pending])
  const summary =
    picture.strokes.length === 0 ? texts.nothing : texts.summary(picture.strokes.length, picture.people)
  const target = picture.undoable.get(by)
  const again = picture.redoable.get(by)
  const [showsNames, setShowsNames] = useState(keptInTab(namesKept) !== null)
  const names = showsNames ? picture.names : noNames
  const [saveFailed, setSaveFailed] = useState(false)
  const mayDraw = sketch.closed === null && phase !== 'gone' && phase !== 'denied' && phase !== 'refused'
  const undo = (): void => {
    if (target === undefined || !mayDraw) return
    session.add({ type: 'undo', id: randomName(6), by, target })
    announcer.say(texts.undone)
  }
  const redo = (): void => {
    if (again === undefined || !mayDraw) return
    session.add({ type: 'redo', id: randomName(6), by, target: again })
    announcer.say(texts.redone)
  }
  const clear = (): void => {
    if (picture.strokes.length === 0 || !mayDraw) return
    session.add({ type: 'clear', id: randomName(6), by })
    announcer.say(texts.cleared)
  }
  const draw = (stroke: Pick<Stroke, 'color' | 'width' | 'points'>): void =>
    session.add({ ...stroke, type: 'stroke', id: randomName(6), by })
  const rename = (given: string): void => {
    const name = cleanName(given)
    if (name !== (picture.names.get(by) ?? '')) session.add({ type: 'name', id: randomName(6), by, name })
    announcer.say(name === '' ? texts.named.none : texts.named.as(name))
  }
  const save = async (format: Format): Promise<void> => {
    const file = `${texts.title} ${isoDate(new Date())}.${format}`
    const title = `${texts.title}, ${isoDate(new Date())}: ${summary}`
    const shown = { title, names, strokes: picture.strokes, palette: paletteOf(document.body, 'ink') }
    const blob =
      format === 'png'
        ? await pngOf(shown)
        : new Blob([svgOf(shown, measureNames(shown.palette))], { type: 'image/svg+xml' })
    setSaveFailed(blob === null)
    if (!blob) return
    saveFile(blob, file)
    announcer.say(texts.saved(file))
  }
  useEffect(() => announcer.useNames(names), [names])
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const key = event.key.toLowerCase()
      if ((key !== 'z' && key !== 'y') || event.altKey || !(event.ctrlKey || event.metaKey)) return
      // A field has its own steps.
      if (event.target instanceof HTMLInputElement && event.target.type === 'text' && !event.target.readOnly)
        return
      event.preventDefault()
      if (key === 'y' || event.shiftKey) redo()
      else undo()
    }
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  })
  return (
    <div class="page">
      <header>
        <Branded>
          <h1>{texts.title}</h1>
        </Branded>
        <State sketch={sketch} session={session} />
      </header>
      <main>
        <div class="room">
          <Board
            texts={texts}
            pen={pen}
            strokes={picture.strokes}
            names={names}
            others={sketch.others}
            mayDraw={mayDraw}
            summary={summary}
            onPoint={(at) => session.point(at)}
            onStroke={draw}
            say={announcer.say}
          />
        </div>
        <div class="side">
          <Tools
            texts={texts}
            pen={pen}
            onPen={setPen}
            undo={target !== undefined && mayDraw ? undo : null}
            redo={again !== undefined && mayDraw ? redo : null}
            clear={picture.strokes.length > 0 && mayDraw ? clear : null}
            save={picture.strokes.length > 0 ? (format) => void save(format) : null}
          />
          {saveFailed && (
            <p role="alert" class="fault">
              {texts.notSaved}
            </p>
          )}
          <p id="summary">{summary}</p>
          <NamesView
            texts={texts}
            picture={picture}
            own={mayDraw ? (picture.names.get(by) ?? '') : null}
            isShown={showsNames}
            onShow={(show) => {
              keepInTab(namesKept, show ? 'yes' : null)
              setShowsNames(show)
            }}
            onName={rename}
          />
          <p id="keys" class="hint">
            {texts.keys}
          </p>
          <Share />
        </div>
      </main>
    </div>
  )
}

/** The day where the reader is, as 2026-11-29: files are sorted by it. */
const isoDate = (date: Date): string =>
  [
    date.getFullYear(),
    String(date.getMonth() + 1).padStart(2, '0'),
    String(date.getDate()).padStart(2, '0'),
  ].join('-')

function State({ sketch, session }: { sketch: Sketch; session: SketchSession }): JSX.Element {
  const { phase, others, pending, closed, fault, stepRefused } = sketch
  const here = new Set([by, ...Array.from(others.values(), (other) => other.by)]).size
  const mayRetry = phase === 'waiting' || phase === 'refused'
  const isOver = phase === 'gone' || phase === 'denied' || closed === 'full'
  const words = {
    connecting: texts.connecting,
    in: closed === null ? texts.connected(here) : texts[closed],
    waiting: sketch.isOriginRefused ? texts.originRefused(location.origin) : texts.lost,
    gone: texts.gone,
    denied: texts.denied,
    refused: texts.notOpened,
  }[phase]
  return (
    <div class={`state ${phase}`}>
      <p role="status">
        {words}
        {mayRetry && pending.length > 0 && ` ${texts.unsent(pending.length)}.`}
      </p>
      {mayRetry && (
        <button type="button" onClick={() => session.retryNow()}>
          {texts.tryNow}
        </button>
      )}
      {isOver && <a href={location.pathname}>{texts.another}</a>}
      <p role="alert" class="fault">
        {stepRefused ? texts.stepRefused : fault !== null && texts.fault(fault)}
      </p>
    </div>
  )
}

function Share(): JSX.Element {
  const [address, setAddress] = useState<HTMLInputElement | null>(null)
  const copy = async (): Promise<void> => {
    address?.select()
    // Without TLS there is no clipboard to write to; what is selected can be copied by hand.
    await navigator.clipboard?.writeText(location.href)
    if (navigator.clipboard) announcer.say(texts.copied)
  }
  return (
    <div class="share">
      <label for="address">{texts.share}</label>
      <div class="row">
        <input id="address" readOnly value={location.href} ref={setAddress} />
        <button type="button" onClick={() => void copy().catch(() => undefined)}>
          {texts.copy}
        </button>
      </div>
      <p class="hint">
        {texts.intro} <a href={location.pathname}>{texts.another}</a>
      </p>
    </div>
  )
}

document.documentElement.lang = language
document.title = texts.title
window.addEventListener('hashchange', () => {
  if (givenName() !== name) location.reload()
})
if (page) {
  const keptName = `sketch: unsent of ${name}`
  const keeping = {
    read: () => keptInTab(keptName),
    write: (lines: string | null) => keepInTab(keptName, lines),
  }
  const given = { page: new URL(location.href), id: name, by, keeping }
  const session = new SketchSession(given, (sketch, news) => {
    render(<App sketch={sketch} session={session} />, page)
    announcer.tell(news)
  })
  session.start()
}
