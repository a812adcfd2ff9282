import { Markup, markup } from './markup.ts'

/**
 * How a document that the server writes begins, up to its body. `language`: a tag of BCP 47; `style`: what its style
 * element holds, '' where it has none.
 */
export const beginning = (language: string, title: string, style = ''): string =>
  markup`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:,">
${style === '' ? null : markup`<style>${new Markup(style)}</style>\n`}</head>
<body>
`.text

/** How it ends. */
export const ending = '</body>\n</html>\n'

/** A heading, and one thing that is said. */
export const saying = (title: string, text: string): Markup => markup`<h1>${title}</h1>
<p>${text}</p>
`
