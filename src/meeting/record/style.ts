/** Of the record's page, on screen and on paper; the colours and the typeface are those of the other pages (kit/base.css). */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #f6f4ef; --card: #fffefb; --ink: #1c2320; --soft: #59625d; --line: #d9d5ca; --edge: #7f877f; --track: #e6e3d9;
  --accent: #175c4c; --accent-soft: #e2ede8; --on-accent: #fff; --bar: color-mix(in srgb, var(--accent) 38%, var(--track)); --call: #7a2e05; --call-soft: #fdf0e2;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121614; --card: #1a201d; --ink: #e9ebe5; --soft: #a4aea7; --line: #313a35; --edge: #78847c; --track: #262e2a;
    --accent: #86d3bb; --accent-soft: #1f332c; --on-accent: #0c1a15; --call: #f5b27a; --call-soft: #33241a;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1rem 1.5rem 4rem; max-width: 49rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 var(--sans); font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1, h2, h3, p, dl, dd, ul, ol, figure { margin: 0; padding: 0; }
ol, ul { list-style: none; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .2em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
.bar { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1rem; min-height: 2.75rem; }
.bar a { padding: .6rem 0; font-weight: 550; }
.bar a::before { content: '←' / ''; margin-inline-end: .45em; display: inline-block; }
button {
  min-height: 2.75rem; padding: .4rem 1.1rem; border: 1px solid var(--edge); border-radius: .6rem;
  background: var(--card); color: inherit; font: 550 1rem/1.5 var(--sans); cursor: pointer;
}
button:hover { border-color: var(--ink); }
button:focus-visible { border-radius: .6rem; }
.association { margin-top: 1.6rem; font-size: 1.125rem; font-weight: 650; line-height: 1.3; }
.kind { margin-top: 1.6rem; color: var(--soft); font-size: .875rem; font-weight: 600; }
.association + .kind { margin-top: .9rem; }
h1 { margin-top: .2rem; font-size: clamp(1.6rem, 5.5vw, 2.25rem); font-weight: 700; line-height: 1.16; letter-spacing: -.018em; text-wrap: balance; }
.provisional {
  margin-top: 1.2rem; padding: .7rem 1rem; border-radius: .6rem; background: var(--call-soft); color: var(--call);
  font-size: .9375rem; line-height: 1.45;
}
dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 1rem 2rem;
  margin-top: 1.6rem; padding: 1.1rem 0; border: solid var(--line); border-width: 1px 0;
}
dt { color: var(--soft); font-size: .8125rem; }
dd { line-height: 1.4; }
nav { margin-top: .6rem; font-size: .9375rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.5rem; }
nav a { display: inline-block; padding: .6rem 0; }
h2 { margin: 3rem 0 0; font-size: 1.375rem; font-weight: 680; line-height: 1.25; letter-spacing: -.01em; }
.people { columns: 3 13rem; column-gap: 2rem; margin-top: .8rem; }
.people li { break-inside: avoid; padding: .15rem 0; line-height: 1.4; }
.proxy { display: block; color: var(--soft); font-size: .8125rem; }
.long { max-height: 24rem; margin-top: .8rem; padding: 0 1rem .8rem; border: 1px solid var(--line); border-radius: .6rem; overflow: auto; }
figure { margin-top: 1.4rem; padding: 1.1rem 1.25rem 1.2rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card); }
.number { color: var(--soft); font-size: .8125rem; font-weight: 600; }
figure h3 { margin-top: .1rem; font-size: 1.1875rem; font-weight: 650; line-height: 1.35; }
table { width: 100%; margin-top: .8rem; border-collapse: collapse; }
th, td { padding: 0; text-align: start; vertical-align: top; font-weight: inherit; }
thead th { padding-bottom: .1rem; color: var(--soft); font-size: .8125rem; }
thead th + th, td { width: 5.5rem; padding-inline-start: 1rem; text-align: end; white-space: nowrap; }
tbody th, td { padding-top: .5rem; line-height: 1.4; }
td + td { color: var(--soft); }
svg { display: block; width: 100%; height: .5rem; margin-top: .3rem; border-radius: .25rem; overflow: hidden; }
.track { fill: var(--track); }
.bar-of { fill: var(--bar); }
.most th, .most td { font-weight: 680; }
.most .bar-of { fill: var(--accent); }
.leading {
  display: inline-block; padding: 0 .55rem; border-radius: 1rem;
  background: var(--accent-soft); color: var(--accent); font-size: .75rem; font-weight: 650; line-height: 1.6; white-space: nowrap;
}
.how, .aborted { margin-top: 1rem; }
.aborted { font-weight: 600; }
.answers { margin-top: .7rem; }
.answers li { padding: .15rem 0 .15rem .9rem; border-inline-start: 2px solid var(--line); color: var(--soft); }
.when { margin-top: .15rem; color: var(--soft); font-size: .875rem; }
main h3:has(time) { margin: 1.8rem 0 .5rem; padding-bottom: .4rem; border-bottom: 1px solid var(--line); font-size: .9375rem; font-weight: 600; color: var(--soft); }
ol li { display: grid; grid-template-columns: 3.6rem 1fr; padding: .25rem 0; }
ol li:target { background: var(--track); }
li time { color: var(--soft); font-size: .875rem; line-height: 1.7715; }
li p { min-width: 0; white-space: pre-wrap; }
li b { font-weight: 680; margin-inline-end: .2em; }
.system p { color: var(--soft); }
.none { margin-top: 2.5rem; font-size: 1.25rem; }
.notice { padding-top: 12vh; }
.notice p { margin-top: 1rem; color: var(--soft); font-size: 1.125rem; }
footer { margin-top: 3.5rem; padding-top: 1.2rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem; line-height: 1.5; }
@media (max-width: 34rem) {
  body { padding: .5rem 1.1rem 3rem; }
  dl { grid-template-columns: 1fr 1fr; gap: 1rem 1.2rem; }
  h2 { margin-top: 2.5rem; }
  figure { padding: .9rem 1rem 1rem; }
  thead th + th, td { width: 4rem; padding-inline-start: .6rem; }
  ol li { grid-template-columns: 3.1rem 1fr; }
}
/* No room for the browser's own header and footer, which would put the address on paper, and with it the key. */
@page { size: A4; margin: 0; }
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --track: #e8e8e8; --accent: #000; --accent-soft: #fff;
    --bar: #b5b5b5; --call: #000; --call-soft: #fff;
  }
  body {
    max-width: none; padding: 18mm 20mm 20mm; -webkit-box-decoration-break: clone; box-decoration-break: clone; font-size: 10.5pt; line-height: 1.42; overflow-wrap: break-word;
  }
  .bar, nav, footer { display: none; }
  .association, .kind { margin-top: 0; }
  .association { font-size: 13pt; }
  .association + .kind { margin-top: 8pt; }
  h1 { font-size: 22pt; }
  .provisional { padding: 6pt 9pt; border: 1pt solid #000; border-radius: 0; }
  dl { grid-template-columns: repeat(3, 1fr); margin-top: 14pt; padding: 9pt 0; gap: 8pt 16pt; }
  h2 { margin-top: 24pt; font-size: 14pt; break-after: avoid; }
  h3, figcaption, thead { break-after: avoid; }
  .people { columns: 3; column-gap: 16pt; }
  .long { max-height: none; padding: 0; border: 0; overflow: visible; }
  figure { padding: 10pt 0 0; border: solid var(--line); border-width: 1px 0 0; border-radius: 0; break-inside: avoid; }
  figure h3 { font-size: 12pt; }
  svg { height: 5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .leading { padding: 0 5pt; border: .75pt solid #000; }
  ol li { grid-template-columns: 34pt 1fr; padding: 1.6pt 0; break-inside: avoid-page; }
  li time { font-size: 9pt; line-height: 1.6566; }
  li p { orphans: 2; widows: 2; }
}
`
