import { Component, h } from 'preact'
import type { ComponentChild, FunctionComponent } from 'preact'

/** A component that is drawn anew only when one of its properties is another one. */
export function memo<Props extends object>(Drawn: FunctionComponent<Props>): FunctionComponent<Props> {
  class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Readonly<Props>): boolean {
      const names = Object.keys(next) as (keyof Props)[]
      return (
        names.length !== Object.keys(this.props).length ||
        names.some((name) => next[name] !== this.props[name])
      )
    }
    override render(): ComponentChild {
      return h(Drawn, this.props)
    }
  }
  return Memo as unknown as FunctionComponent<Props>
}
