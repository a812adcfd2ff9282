import type { JSX } from 'preact'
import type { Pen } from './board.tsx'
import { widths } from './entries.ts'
import type { Texts } from './texts.ts'

type ToolsProps = {
  texts: Texts
  pen: Pen
  onPen: (pen: Pen) => void
  /** Null where there is nothing to do. */
  undo: (() => void) | null
  clear: (() => void) | null
}

export function Tools({ texts, pen, onPen, undo, clear }: ToolsProps): JSX.Element {
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
        <button type="button" aria-disabled={clear === null} onClick={() => clear?.()}>
          {texts.clear}
        </button>
      </div>
    </div>
  )
}
