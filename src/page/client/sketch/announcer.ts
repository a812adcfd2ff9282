import type { Entry } from './entries.ts'
import type { Names } from './painter.ts'
import type { Texts } from './texts.ts'

/** What others draw is gathered for so long before it is said. */
const gatherMs = 2000

/** Tells people who do not see the sheet what happens on it. */
export function createAnnouncer(texts: Texts): {
  say: (words: string) => void
  tell: (news: readonly Entry[]) => void
  /** Names that may be said, by whose they are. */
  useNames: (names: Names) => void
} {
  const place = document.createElement('div')
  place.className = 'hidden'
  place.setAttribute('role', 'status')
  document.body.append(place)
  let gathered: Entry[] = []
  let names: Names = new Map()
  let timer: ReturnType<typeof setTimeout> | undefined
  const count = (type: Entry['type']): number => gathered.filter((entry) => entry.type === type).length
  const wordsForStrokes = (strokes: number): string => {
    const drawn = gathered.filter(({ type }) => type === 'stroke')
    const who = new Set(drawn.map(({ by }) => names.get(by)))
    const known = Array.from(who).filter((name) => name !== undefined)
    return known.length === who.size ? texts.newsBy(strokes, known) : texts.news(strokes)
  }
  const tellGathered = (): void => {
    const strokes = count('stroke')
    place.textContent = [
      strokes > 0 ? wordsForStrokes(strokes) : '',
      count('undo') > 0 ? texts.othersUndid : '',
      count('redo') > 0 ? texts.othersRedid : '',
      count('clear') > 0 ? texts.othersCleared : '',
    ]
      .filter((words) => words !== '')
      .join('. ')
    gathered = []
    timer = undefined
  }
  return {
    say: (words) => {
      place.textContent = words
    },
    tell: (news) => {
      if (news.length === 0) return
      gathered.push(...news)
      timer ??= setTimeout(tellGathered, gatherMs)
    },
    useNames: (known) => {
      names = known
    },
  }
}
