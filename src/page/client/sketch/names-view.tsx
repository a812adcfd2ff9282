import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { maxName, type Picture } from './entries.ts'
import type { Texts } from './texts.ts'

type NamesProps = {
  texts: Texts
  picture: Picture
  /** The reader's own name, '' for none; null where they may not draw. */
  own: string | null
  isShown: boolean
  onShow: (show: boolean) => void
  onName: (name: string) => void
}

/** Who drew what, for those who want to see it, and a name for those who want to have one. */
export function NamesView({ texts, picture, own, isShown, onShow, onName }: NamesProps): JSX.Element {
  return (
    <div class="names">
      <label class="choice">
        <input
          type="checkbox"
          checked={isShown}
          onChange={({ currentTarget }) => onShow(currentTarget.checked)}
        />
        {texts.showNames}
      </label>
      {isShown && <Drawers texts={texts} picture={picture} />}
      {isShown && own !== null && <OwnName texts={texts} own={own} onName={onName} />}
    </div>
  )
}

/** The names of those who drew what stands, and how much; those without a name are counted as one. */
function Drawers({ texts, picture }: Pick<NamesProps, 'texts' | 'picture'>): JSX.Element | null {
  const counts = new Map<string, number>()
  for (const { by } of picture.strokes) {
    const name = picture.names.get(by) ?? ''
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size === 0) return null
  return (
    <ul>
      {Array.from(counts, ([name, strokes]) => (
        <li key={name}>
          {name === '' ? <i>{texts.nameless}</i> : <bdi>{name}</bdi>}: {texts.strokes(strokes)}
        </li>
      ))}
    </ul>
  )
}

function OwnName({
  texts,
  own,
  onName,
}: {
  texts: Texts
  own: string
  onName: (name: string) => void
}): JSX.Element {
  const [name, setName] = useState(own)
  useEffect(() => setName(own), [own])
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        onName(name)
      }}
    >
      <label for="own-name">{texts.ownName}</label>
      <div class="row">
        <input
          id="own-name"
          type="text"
          autocomplete="name"
          maxLength={maxName}
          value={name}
          aria-describedby="own-name-hint"
          onInput={({ currentTarget }) => setName(currentTarget.value)}
        />
        <button type="submit">{texts.useName}</button>
      </div>
      <p id="own-name-hint" class="hint">
        {texts.ownNameHint}
      </p>
    </form>
  )
}
