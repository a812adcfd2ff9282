import type { Context } from 'hono'
import { documentHeaders } from './document.ts'
import { preferredLanguage } from './language.ts'
import { beginning, ending, saying } from './html.ts'
import { markup } from './markup.ts'

type Told = readonly [title: string, text: string]

/** What people read who come by a link, in place of the short text for programs. */
const notices = {
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
} as const satisfies Record<number, Record<'en' | 'de' | 'fr' | 'sv', Told>>

/**
 * Answers a request that is refused: who asks for HTML, as browsers do that follow a link, gets a document in their language,
 * all others `text`.
 */
export function refuseRequest(
  c: Context,
  status: keyof typeof notices,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const vary = { vary: 'accept, accept-language' }
  if (c.req.method !== 'GET' || !(c.req.header('accept') ?? '').includes('text/html'))
    return c.text(`${text}\n`, status, { ...headers, ...vary })
  const language = preferredLanguage(c.req.header('accept-language') ?? '', ['en', 'de', 'fr', 'sv'])
  return c.body(documentOf(language, notices[status][language]), status, {
    ...headers,
    ...documentHeaders(
      "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    'content-language': language,
    ...vary,
  })
}

const documentOf = (language: string, [title, text]: Told): string =>
  beginning(language, title) + markup`<main>\n${saying(title, text)}</main>\n`.text + ending
