import type { Context } from 'hono'
import { brandOf } from './brand.ts'
import { branding } from './branding.ts'
import { documentHeaders, inlinePolicy } from './document.ts'
import { preferredLanguage } from './language.ts'
import { beginning, ending, saying } from './html.ts'
import { type Markup, markup } from './markup.ts'

type Told = readonly [title: string, text: string]
type InLanguages = Record<'en' | 'de' | 'fr' | 'sv', Told>

/** What people read who come by a link, in place of the short text for programs. */
export const notices = {
  /** At `/`, where nothing is refused. */
  home: {
    en: [
      'General assemblies are held here',
      'To take part in one, open the link that your association has given you. It leads to your own place.',
    ],
    de: [
      'Hier finden Versammlungen statt',
      'Um teilzunehmen, öffnen Sie den Link, den Sie von Ihrem Verein bekommen haben. Er führt zu Ihrem eigenen Platz.',
    ],
    fr: [
      'Ici se tiennent des assemblées générales',
      'Pour participer, ouvrez le lien que votre association vous a donné. Il mène à votre propre place.',
    ],
    sv: [
      'Här hålls möten',
      'För att delta, öppna länken som du har fått av din förening. Den leder till din egen plats.',
    ],
  },
  403: {
    en: [
      'Please open this page by itself',
      'It is not shown to pages of other sites. Copy its address into an empty tab of your browser.',
    ],
    de: [
      'Bitte öffnen Sie diese Seite für sich',
      'Seiten anderer Websites wird sie nicht gezeigt. Kopieren Sie ihre Adresse in einen leeren Tab Ihres Browsers.',
    ],
    fr: [
      'Ouvrez cette page seule',
      'Elle n’est pas montrée aux pages d’autres sites. Copiez son adresse dans un onglet vide de votre navigateur.',
    ],
    sv: [
      'Öppna sidan för sig',
      'Den visas inte för sidor på andra webbplatser. Kopiera adressen till en tom flik i webbläsaren.',
    ],
  },
  404: {
    en: [
      'There is no page here',
      'This address may have been cut off or mistyped. Open the link once more, or copy all of it from where you got it.',
    ],
    de: [
      'Hier ist keine Seite',
      'Vielleicht ist die Adresse abgeschnitten oder vertippt. Öffnen Sie den Link noch einmal, oder kopieren Sie ihn ganz von dort, wo Sie ihn bekommen haben.',
    ],
    fr: [
      'Il n’y a pas de page ici',
      'L’adresse est peut-être incomplète ou mal saisie. Ouvrez le lien à nouveau, ou copiez-le en entier là où vous l’avez reçu.',
    ],
    sv: [
      'Här finns ingen sida',
      'Adressen kan vara avklippt eller felskriven. Öppna länken en gång till, eller kopiera hela länken där du fick den.',
    ],
  },
  421: {
    en: [
      'This page is not shown under this name',
      'Open it by the server’s IP address or as localhost, or have the name added to the setting -adminhosts.',
    ],
    de: [
      'Unter diesem Namen wird diese Seite nicht gezeigt',
      'Öffnen Sie sie über die IP-Adresse des Servers oder als localhost, oder lassen Sie den Namen in die Einstellung -adminhosts aufnehmen.',
    ],
    fr: [
      'Cette page n’est pas montrée sous ce nom',
      'Ouvrez-la par l’adresse IP du serveur ou comme localhost, ou faites ajouter ce nom au réglage -adminhosts.',
    ],
    sv: [
      'Sidan visas inte under det här namnet',
      'Öppna den med serverns IP-adress eller som localhost, eller be att få namnet tillagt i inställningen -adminhosts.',
    ],
  },
  426: {
    en: [
      'This address is not a page',
      'Pages and programs connect to it in the background. Open the link that you got for the meeting.',
    ],
    de: [
      'Diese Adresse ist keine Seite',
      'Seiten und Programme verbinden sich im Hintergrund mit ihr. Öffnen Sie den Link, den Sie für die Versammlung bekommen haben.',
    ],
    fr: [
      'Cette adresse n’est pas une page',
      'Des pages et des programmes s’y connectent en arrière-plan. Ouvrez le lien que vous avez reçu pour l’assemblée.',
    ],
    sv: [
      'Den här adressen är ingen sida',
      'Sidor och program ansluter till den i bakgrunden. Öppna länken som du fick till mötet.',
    ],
  },
  429: {
    en: [
      'Please wait a minute',
      'Too many wrong addresses were asked for from your network. Try again in a minute.',
    ],
    de: [
      'Bitte warten Sie eine Minute',
      'Aus Ihrem Netz wurden zu viele falsche Adressen aufgerufen. Versuchen Sie es in einer Minute noch einmal.',
    ],
    fr: [
      'Attendez une minute',
      'Trop de mauvaises adresses ont été demandées depuis votre réseau. Réessayez dans une minute.',
    ],
    sv: [
      'Vänta en minut',
      'För många felaktiga adresser har begärts från ditt nät. Försök igen om en minut.',
    ],
  },
  500: {
    en: [
      'Something went wrong',
      'This is a fault of the server. Try again in a moment; if it stays, tell the organisers.',
    ],
    de: [
      'Etwas ist schiefgegangen',
      'Das ist ein Fehler des Servers. Versuchen Sie es gleich noch einmal; bleibt er, sagen Sie es den Veranstaltern.',
    ],
    fr: [
      'Quelque chose s’est mal passé',
      'C’est une erreur du serveur. Réessayez dans un instant ; si elle persiste, prévenez les organisateurs.',
    ],
    sv: [
      'Något gick fel',
      'Det är ett fel hos servern. Försök igen om ett ögonblick; om det kvarstår, säg till arrangörerna.',
    ],
  },
  503: {
    en: [
      'Please try again in a moment',
      'The server cannot take you in just now. If it stays like this, tell the organisers.',
    ],
    de: [
      'Bitte versuchen Sie es gleich noch einmal',
      'Der Server kann Sie gerade nicht aufnehmen. Bleibt es so, sagen Sie es den Veranstaltern.',
    ],
    fr: [
      'Réessayez dans un instant',
      'Le serveur ne peut pas vous accueillir en ce moment. Si cela persiste, prévenez les organisateurs.',
    ],
    sv: [
      'Försök igen om ett ögonblick',
      'Servern kan inte ta emot dig just nu. Om det kvarstår, säg till arrangörerna.',
    ],
  },
} as const satisfies Record<number | 'home', InLanguages>

/**
 * Answers a request that is refused: who asks for HTML, as browsers do that follow a link, gets a document in their language,
 * all others `text`.
 */
export function refuseRequest(
  c: Context,
  status: Exclude<keyof typeof notices, 'home'>,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return answerInWords(c, status, notices[status], text, headers)
}

/** The same for any answer; `more` stands below the words. */
export function answerInWords(
  c: Context,
  status: Exclude<keyof typeof notices, 'home'> | 200,
  told: InLanguages,
  text: string,
  headers: Readonly<Record<string, string>>,
  more: Markup | null = null,
): Response {
  const vary = { vary: 'accept, accept-language' }
  if (c.req.method !== 'GET' || !(c.req.header('accept') ?? '').includes('text/html'))
    return c.text(`${text}\n`, status, { ...headers, ...vary })
  const language = preferredLanguage(c.req.header('accept-language') ?? '', ['en', 'de', 'fr', 'sv'])
  const { header, style } = branding(brandOf(c))
  const [title, words] = told[language]
  const whose = style === '' ? null : markup`<header>\n${header}</header>\n`
  const body = markup`${whose}<main>\n${saying(title, words)}${more}</main>\n`
  return c.body(beginning(language, title, look + style) + body.text + ending, status, {
    ...headers,
    ...documentHeaders(inlinePolicy(look + style)),
    'content-language': language,
    ...vary,
  })
}

/** The colours and the typeface of the other pages (kit/base.css). */
const look = `
:root { color-scheme: light dark; --paper: #f6f4ef; --ink: #1c2320; --soft: #59625d; --line: #d9d5ca; --accent: #175c4c; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #121614; --ink: #e9ebe5; --soft: #a4aea7; --line: #313a35; --accent: #86d3bb; }
}
body {
  margin: 0 auto; padding: 12vh 1.5rem 4rem; max-width: 38rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif;
  overflow-wrap: anywhere;
}
h1 { margin: 0; font-size: 1.75rem; font-weight: 650; line-height: 1.2; letter-spacing: -.01em; text-wrap: balance; }
p { margin: .6rem 0 0; color: var(--soft); }
header + main { margin-top: 1.75rem; }
ul + p { margin-top: 2rem; }
ul { margin: .6rem 0 0; padding: 0; list-style: none; border-top: 1px solid var(--line); }
li { border-bottom: 1px solid var(--line); }
a { display: block; padding: .6rem 0; color: var(--accent); text-underline-offset: .2em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
`
