import type { JSX } from 'preact'
import { useMemo, useRef, useState } from 'preact/hooks'
import { Check, Cross } from '../kit/icons.tsx'
import { memo } from '../kit/memo.ts'
import { colorClass, useFocusAfter, useTools } from './hooks.ts'
import type { Person } from './protocol.ts'

type PeopleProps = {
  people: ReadonlyMap<number, Person>
  admins: readonly number[]
  you: number | null
  voted: readonly number[] | null
  /** What the chair's buttons do; null for everyone else. */
  onRemove: ((person: Person) => void) | null
}

/** Who is there, by name. */
export const PeopleView = memo(function PeopleView({
  people,
  admins,
  you,
  voted,
  onRemove,
}: PeopleProps): JSX.Element {
  const { texts, language } = useTools()
  const [search, setSearch] = useState('')
  const sorted = useMemo(() => {
    const collator = new Intl.Collator(language)
    return [...people.values()].sort((a, b) => collator.compare(a.name, b.name) || a.id - b.id)
  }, [people, language])
  const plain = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  const wanted = plain(search.trim())
  const found =
    wanted === ''
      ? sorted
      : sorted.filter(({ name, proxy }) => plain(`${name} ${proxy ?? ''}`).includes(wanted))
  const votes = useMemo(() => new Set(voted), [voted])
  return (
    <div class="people">
      <label class="hidden" for="people-search">
        {texts.search}
      </label>
      <input
        id="people-search"
        type="search"
        placeholder={texts.search}
        value={search}
        autocomplete="off"
        onInput={({ currentTarget }) => setSearch(currentTarget.value)}
      />
      <p class="hint" role="status">
        {wanted !== '' && (found.length > 0 ? texts.shown(found.length, sorted.length) : texts.nobody)}
      </p>
      <ul>
        {found.map((person) => (
          <PersonView
            key={person.id}
            person={person}
            isAdmin={admins.includes(person.id)}
            isYou={person.id === you}
            hasVoted={votes.has(person.id)}
            onRemove={person.id === you ? null : onRemove}
          />
        ))}
      </ul>
    </div>
  )
})

type PersonProps = {
  person: Person
  isAdmin: boolean
  isYou: boolean
  hasVoted: boolean
  onRemove: ((person: Person) => void) | null
}

const PersonView = memo(function PersonView({
  person,
  isAdmin,
  isYou,
  hasVoted,
  onRemove,
}: PersonProps): JSX.Element {
  const { texts } = useTools()
  const { name, color, proxy } = person
  const item = useRef<HTMLLIElement>(null)
  useFocusAfter(
    item,
    (next) => next?.querySelector<HTMLElement>('button') ?? document.getElementById('people-search'),
    () => item.current?.nextElementSibling ?? item.current?.previousElementSibling ?? null,
  )
  return (
    <li class="person" ref={item}>
      <span class={`dot ${colorClass(color)}`} />
      <span class="person-name">
        <bdi>{proxy === undefined ? name : texts.proxyFor(proxy, name)}</bdi>
        {isYou && <span class="tag">{texts.you}</span>}
        {isAdmin && <span class="tag chair">{texts.admin}</span>}
        {hasVoted && (
          <span class="tag has-voted">
            <Check /> {texts.hasVoted}
          </span>
        )}
      </span>
      {onRemove && (
        <button
          type="button"
          class="bare"
          aria-label={texts.removePerson(name)}
          title={texts.removePerson(name)}
          onClick={() => onRemove(person)}
        >
          <Cross />
        </button>
      )}
    </li>
  )
})
