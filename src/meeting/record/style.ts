/** Of the record's page, on screen and on paper. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fdfcf9; --ink: #1c1c1e; --quiet: #5d5b57; --rule: #dcd8ce; --track: #ebe7dd;
  --accent: #1d4e80; --pale: #8ba5c0; --notice: #fbf0d4; --notice-ink: #5a4106;
  --serif: 'Iowan Old Style', 'Palatino Linotype', Palatino, 'URW Palladio L', P052, 'Book Antiqua', Georgia, serif;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141518; --ink: #e9e7e2; --quiet: #a5a29b; --rule: #303238; --track: #26282d;
    --accent: #8fbbee; --pale: #4d6885; --notice: #35290c; --notice-ink: #f3dda4;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3.5rem 1.5rem 4rem; max-width: 49rem;
  background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.55 var(--serif); font-variant-numeric: oldstyle-nums; overflow-wrap: anywhere;
}
h1, h2, h3, p, dl, dd, ul, ol, figure { margin: 0; padding: 0; }
ol, ul { list-style: none; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .2em; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
.kind, dt, .number, thead th, nav, footer, .provisional, .when, h3 time, li time, td {
  font-family: var(--sans); font-variant-numeric: tabular-nums lining-nums;
}
.kind { color: var(--quiet); font-size: .8125rem; font-weight: 600; letter-spacing: .02em; }
h1 { margin-top: .35rem; font-size: clamp(1.9rem, 6vw, 2.75rem); font-weight: 500; line-height: 1.14; letter-spacing: -.012em; text-wrap: balance; }
.provisional {
  margin-top: 1.4rem; padding: .7rem 1rem; border-radius: .4rem; background: var(--notice); color: var(--notice-ink);
  font-size: .9375rem; line-height: 1.45;
}
dl {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1.1rem 2rem;
  margin-top: 2rem; padding: 1.2rem 0; border: solid var(--rule); border-width: 1px 0;
}
dt { color: var(--quiet); font-size: .8125rem; }
dd { margin-top: .1rem; line-height: 1.4; font-variant-numeric: lining-nums; }
nav { margin-top: 1rem; font-size: .875rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .35rem 1.5rem; }
nav a { display: inline-block; padding: .3rem 0; }
h2 { margin: 3.5rem 0 0; font-size: 1.625rem; font-weight: 500; line-height: 1.2; letter-spacing: -.005em; }
figure { margin-top: 1.9rem; }
figure + figure { margin-top: 2.6rem; padding-top: 2.1rem; border-top: 1px solid var(--rule); }
.number { color: var(--quiet); font-size: .8125rem; }
figure h3 { margin-top: .1rem; font-size: 1.25rem; font-weight: 600; line-height: 1.32; }
table { width: 100%; margin-top: .8rem; border-collapse: collapse; }
th, td { padding: 0; text-align: start; vertical-align: top; font-weight: inherit; }
thead th { padding-bottom: .1rem; color: var(--quiet); font-size: .8125rem; }
thead th + th, td { width: 5.5rem; padding-inline-start: 1rem; text-align: end; white-space: nowrap; }
tbody th, td { padding-top: .45rem; line-height: 1.4; }
td { font-size: .9375rem; line-height: 1.575; }
td + td { color: var(--quiet); }
svg { display: block; width: 100%; height: .5rem; margin-top: .3rem; border-radius: .125rem; overflow: hidden; }
.track { fill: var(--track); }
.bar { fill: var(--pale); }
.most th, .most td { font-weight: 650; }
.most .bar { fill: var(--accent); }
.how, .aborted { margin-top: 1rem; }
.aborted { font-style: italic; }
.answers { margin-top: .7rem; }
.answers li { padding: .15rem 0 .15rem .9rem; border-inline-start: 2px solid var(--rule); color: var(--quiet); }
.when { margin-top: .25rem; color: var(--quiet); font-size: .8125rem; }
main h3:has(time) { margin: 2.2rem 0 .7rem; padding-bottom: .4rem; border-bottom: 1px solid var(--rule); font-size: 1rem; font-weight: 400; }
h3 time { color: var(--quiet); font-size: .875rem; font-weight: 600; }
ol li { display: grid; grid-template-columns: 4.6rem 1fr; padding: .28rem 0; }
ol li:target { background: var(--track); }
li time { padding-top: .22em; color: var(--quiet); font-size: .8125rem; }
li p { min-width: 0; white-space: pre-wrap; }
li b { font-weight: 650; margin-inline-end: .2em; }
.system p { color: var(--quiet); font-style: italic; }
.none { margin-top: 2.5rem; font-size: 1.25rem; }
.notice { padding-top: 12vh; }
.notice p { margin-top: 1rem; color: var(--quiet); font-size: 1.125rem; }
footer { margin-top: 4rem; padding-top: 1.2rem; border-top: 1px solid var(--rule); color: var(--quiet); font-size: .8125rem; line-height: 1.5; }
@media (max-width: 34rem) {
  body { padding: 2rem 1.1rem 3rem; font-size: 1rem; }
  dl { grid-template-columns: 1fr 1fr; gap: 1rem 1.2rem; }
  h2 { margin-top: 2.75rem; }
  thead th + th, td { width: 4rem; padding-inline-start: .6rem; }
  ol li { display: block; padding: .4rem 0; }
  li time { display: block; padding: 0; font-size: .75rem; line-height: 1.5; }
}
/* No room for the browser's own header and footer, which would put the address on paper, and with it the key. */
@page { size: A4; margin: 0; }
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --ink: #000; --quiet: #444; --rule: #bbb; --track: #e8e8e8; --accent: #1d4e80; --pale: #93a8bf;
    --notice: #fff; --notice-ink: #000;
  }
  body {
    max-width: none; padding: 18mm 20mm 20mm; -webkit-box-decoration-break: clone; box-decoration-break: clone; font-size: 10.5pt; line-height: 1.42; overflow-wrap: break-word;
  }
  nav, footer { display: none; }
  h1 { font-size: 25pt; }
  .provisional { padding: 6pt 9pt; border: 1pt solid #000; border-radius: 0; }
  dl { grid-template-columns: repeat(3, 1fr); margin-top: 16pt; padding: 9pt 0; gap: 8pt 16pt; }
  h2 { margin-top: 26pt; font-size: 16pt; break-after: avoid; }
  h3, figcaption, thead { break-after: avoid; }
  figure { break-inside: avoid; }
  figure h3 { font-size: 12pt; }
  svg { height: 5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  ol li { display: grid; grid-template-columns: 48pt 1fr; padding: 1.6pt 0; break-inside: avoid-page; }
  li time { display: inline; padding-top: .22em; font-size: 8.5pt; }
  li p { orphans: 2; widows: 2; }
}
`
