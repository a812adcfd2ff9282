import type { Entry } from './entries.ts'
import type { Texts } from './texts.ts'

/** What others draw is gathered for so long before it is said. */
const gatherMs = 2000

/** Tells people who do not see the sheet what happens on it. */
export function createAnnouncer(texts: Texts): {
  say: (words: string) => void
  tell: (news: readonly Entry[]) => void
} {
  const place = document.createElement('div')
  place.className = 'hidden'
  place.setAttribute('role', 'status')
  document.body.append(place)
  let gathered: Entry[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const count = (type: Entry['type']): number => gathered.filter((entry) => entry.type === type).length
  const tellGathered = (): void => {
    const strokes = count('stroke')
    place.textContent = [
      strokes > 0 ? texts.news(strokes) : '',
      count('undo') > 0 ? texts.othersUndid : '',
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
  }
}
