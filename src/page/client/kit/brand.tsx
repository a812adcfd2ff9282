import type { ComponentChildren, JSX } from 'preact'

/** Whose pages these are, as the server has written it into the page; null where nobody has said it. */
export const brand = read()

function read(): { name: string; logo: string | null } | null {
  const text = document.getElementById('brand')?.textContent
  return text ? (JSON.parse(text) as { name: string; logo: string | null }) : null
}

/** The association's logo; where it has none, `otherwise`. Its name stands beside it. */
export function Logo({ otherwise }: { otherwise?: JSX.Element }): JSX.Element | null {
  return brand?.logo ? <img class="logo" src={brand.logo} alt="" /> : (otherwise ?? null)
}

/** The association's name, above what a page is called. */
export function AssociationName(): JSX.Element | null {
  return (
    brand && (
      <p class="association" lang="" dir="auto">
        {brand.name}
      </p>
    )
  )
}

/** How the header of a page begins: whose it is, and what it is called. */
export function Branded({ children }: { children: ComponentChildren }): JSX.Element {
  if (!brand) return <>{children}</>
  return (
    <div class="branded">
      <Logo />
      <div>
        <AssociationName />
        {children}
      </div>
    </div>
  )
}
