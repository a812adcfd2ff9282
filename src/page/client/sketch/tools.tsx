import type { JSX } from 'preact'
import type { Pen } from './board.tsx'
import { widths } from './entries.ts'
import type { Texts } from './texts.ts'

/** Formats in which a picture is saved, by the ends of the files' names. */
export type Format = 'png' | 'svg'

const formats: readonly Format[] = ['png', 'svg']

type ToolsProps = {
  texts: Texts
  pen: Pen
  onPen: (pen: Pen) => void
  /** Null where there is nothing to do. */
  undo: (() => void) | null
  redo: (() => void) | null
  clear: (() => void) | null
  save: ((format: Format) => void) | null
}

export function Tools({ texts, pen, onPen, undo, redo, clear, save }: ToolsProps): JSX.Element {
  return (
    <div class="tools" role="group" aria-label={texts.tools}>
      <fieldset>
        <legend>{texts.color}</legend>
        <div class="choices">
          {texts.colors.map((name, color) => (
            <input
              key={name}
              type="radio"
              name="color"
              class={`swatch pen-${color}`}
              aria-label={name}
              title={name}
              checked={pen.color === color}
              onChange={() => onPen({ ...pen, color })}
            />
          ))}
        </div>
      </fieldset>
      <fieldset>
        <legend>{texts.width}</legend>
        <div class="choices">
          {widths.map((width, index) => (
            <input
              key={width}
              type="radio"
              name="width"
              class={`nib nib-${index}`}
              aria-label={texts.widths[index]}
              title={texts.widths[index]}
              checked={pen.width === width}
              onChange={() => onPen({ ...pen, width })}
            />
          ))}
        </div>
      </fieldset>
      <div class="row">
        <button type="button" aria-disabled={undo === null} onClick={() => undo?.()}>
          {texts.undo}
        </button>
        <button type="button" aria-disabled={redo === null} onClick={() => redo?.()}>
          {texts.redo}
        </button>
        <button type="button" aria-disabled={clear === null} onClick={() => clear?.()}>
          {texts.clear}
        </button>
      </div>
      <div class="row" role="group" aria-labelledby="save">
        <span id="save" class="caption">
          {texts.save}
        </span>
        {formats.map((format) => (
          <button
            key={format}
            type="button"
            aria-label={texts.saveAs(format.toUpperCase())}
            aria-disabled={save === null}
            onClick={() => save?.(format)}
          >
            {format.toUpperCase()}
          </button>
        ))}
      </div>
    </div>
  )
}
