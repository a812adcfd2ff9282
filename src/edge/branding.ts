import { type Brand, brandStyle } from './brand.ts'
import { type Markup, markup } from './markup.ts'

type Branding = Readonly<{ header: Markup; style: string }>

const none: Branding = { header: markup``, style: '' }
/** Made once for each brand: a logo is long, and whoever is refused is shown it too. */
const made = new WeakMap<Brand, Branding>()

/** What documents that the server writes show of a brand: the markup, and the style that it needs. Both may be empty. */
export function branding(brand: Brand | null): Branding {
  if (!brand) return none
  const known = made.get(brand) ?? makeBranding(brand)
  made.set(brand, known)
  return known
}

function makeBranding(brand: Brand): Branding {
  const logo = brand.logo && markup`<img class="logo" src="${brand.logo.url}" alt="">`
  return {
    header: markup`<p class="association">${logo}<span lang="" dir="auto">${brand.name}</span></p>\n`,
    style: look + brandStyle(brand),
  }
}

/** Logos are made for paper: on a dark screen they have some. */
const look = `
.association { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .75rem; font-weight: 650; }
.logo { flex: none; max-width: min(12rem, 50vw); height: 2.75rem; object-fit: contain; }
@media screen and (prefers-color-scheme: dark) {
  .logo { color-scheme: light; padding: .25rem .35rem; border-radius: .4rem; background: #fff; }
}
`
