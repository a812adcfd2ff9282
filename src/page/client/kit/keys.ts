/** What of a `keydown` decides what it is for. */
export type Press = Pick<
  KeyboardEvent,
  'key' | 'keyCode' | 'isComposing' | 'shiftKey' | 'ctrlKey' | 'metaKey'
>

/** What `keyCode` is while an input method takes the key (UI Events, 7.3.1). */
const processedCode = 229

/**
 * Whether a key belongs to an input method: it composes or confirms a word, and nothing else. Safari tells the Enter that
 * confirms after the composition has ended, so that only the code says it.
 */
export const isOfInputMethod = ({ isComposing, keyCode }: Pick<Press, 'isComposing' | 'keyCode'>): boolean =>
  isComposing || keyCode === processedCode

/**
 * Whether a key pressed in a field for a message sends it: Enter, and with Shift it begins a new line. A touch keyboard
 * (`isTouch`) has no Shift to hold, so that Enter is always a new line there; a real one that is attached to a tablet has
 * Ctrl and Cmd, which send everywhere.
 */
export function sends(press: Press, isTouch: boolean): boolean {
  if (press.key !== 'Enter' || isOfInputMethod(press)) return false
  return press.ctrlKey || press.metaKey || (!isTouch && !press.shiftKey)
}
