import type { ComponentChildren, JSX } from 'preact'

function icon(drawing: ComponentChildren): () => JSX.Element {
  return () => (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {drawing}
    </svg>
  )
}

export const Bell = icon(<path d="M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.5a2.2 2.2 0 0 0 4 0" />)
export const BellOff = icon(
  <path d="M8 6.6A6 6 0 0 1 18 11v4M6 9.8v6.7L4.5 18H17M10 20.5a2.2 2.2 0 0 0 4 0M4 4l16 16" />,
)
export const Speech = icon(<path d="M4 5h16v11h-9l-4.5 4v-4H4zM8 9h8M8 12h5" />)
export const SpeechOff = icon(<path d="M9 5h11v11h-2M15 16h-4l-4.5 4v-4H4V5h1M4 4l16 16" />)
export const Door = icon(<path d="M13 4H5v16h8M10 12h10M16.5 8.5 20 12l-3.5 3.5" />)
export const Up = icon(<path d="m6 14.5 6-6 6 6" />)
export const Down = icon(<path d="m6 9.5 6 6 6-6" />)
export const Cross = icon(<path d="m6.5 6.5 11 11m0-11-11 11" />)
export const Check = icon(<path d="m5 12.5 4.5 4.5L19 7.5" />)
export const Bin = icon(<path d="M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5" />)
export const Pen = icon(<path d="m5 19 .8-3.8L16.5 4.5l3 3L8.8 18.2zM14 7l3 3" />)

/** Plenum's mark: the seats of an assembly, and the desk that they look at. */
export function Mark(): JSX.Element {
  const seats = [
    [5, 10.5],
    [8, 7],
  ].flatMap(([count = 0, radius = 0]) =>
    Array.from({ length: count === 5 ? 7 : 5 }, (_, index) => {
      const angle = Math.PI * (index / ((count === 5 ? 7 : 5) - 1))
      return [12 - radius * Math.cos(angle), 17 - radius * Math.sin(angle)] as const
    }),
  )
  return (
    <svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {seats.map(([x, y]) => (
        <circle key={`${x} ${y}`} cx={x.toFixed(2)} cy={y.toFixed(2)} r="1.45" />
      ))}
      <rect x="9.2" y="15.4" width="5.6" height="3.2" rx="1" />
    </svg>
  )
}
