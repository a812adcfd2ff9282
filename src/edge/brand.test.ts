import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Brand, BrandError, brandStyle, describeBrand, readBrand } from './brand.ts'
import { maxLogoBytes } from './logo.ts'

const folder = mkdtempSync(join(tmpdir(), 'plenum-brand-'))
after(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'brand.json')

const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><path d="M0 0h2v1z"/></svg>'
/** One pixel. */
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

function read(file: unknown, logo?: string | Uint8Array): Brand {
  writeFileSync(path, typeof file === 'string' ? file : JSON.stringify(file))
  if (logo !== undefined) writeFileSync(join(folder, 'logo'), logo)
  return readBrand(path, {
    read(name, most) {
      try {
        return readFileSync(name).subarray(0, most)
      } catch {
        return null
      }
    },
    cannotRead: (name) => `${name} cannot be read`,
  })
}

function refusal(file: unknown, logo?: string | Uint8Array): string {
  try {
    read(file, logo)
  } catch (error) {
    assert.ok(error instanceof BrandError, String(error))
    assert.doesNotMatch(error.message, /\n/)
    assert.ok(error.message.startsWith('-brand: '), error.message)
    return error.message
  }
  return assert.fail(`was taken: ${JSON.stringify(file)}, ${String(logo)}`)
}

test('a name is enough; a logo is looked for beside the file', () => {
  assert.deepEqual(read({ name: ' Föreningen ' }), { name: 'Föreningen', logo: null, accents: null })
  const brand = read({ name: 'F', logo: 'logo', accent: '#FC0' }, svg)
  assert.deepEqual([brand.logo?.type, brand.logo?.bytes], ['image/svg+xml', svg.length])
  assert.equal(brand.logo?.url, `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`)
  assert.equal(brand.accents?.dark.accent, '#ffcc00')
  assert.equal(read({ name: 'F', logo: join(folder, 'logo') }, png).logo?.type, 'image/png')
  assert.equal(read(`\ufeff{"name":"F"}`).name, 'F')
})

test('a file that cannot be used is refused in words that say what to do', () => {
  for (const [file, words] of [
    ['{', /brand\.json is not JSON: it is to be like \{ "name"/],
    ['[]', /needs|has to hold one object/],
    ['7', /has to hold one object/],
    [{}, /needs text for "name"/],
    [{ name: 7 }, /needs text for "name"/],
    [{ name: ' ' }, /needs a "name" of 1 to 80 characters/],
    [{ name: 'x'.repeat(81) }, /needs a "name" of 1 to 80 characters/],
    [{ name: 'a\nb' }, /on one line/],
    [{ name: 'a\u202eb' }, /needs a "name"/],
    [
      { name: 'F', colour: '#fff' },
      /has "colour", which it may not: "name", "logo" and "accent" may stand there/,
    ],
    [{ name: 'F', acent: '#fff' }, /has "acent", which it may not: did you mean "accent"\?/],
    [{ name: 'F', accent: 'red' }, /has the "accent" "red": write it as #rrggbb/],
    [{ name: 'F', accent: '#12345' }, /write it as #rrggbb/],
    [{ name: 'F', logo: '' }, /has an empty "logo"/],
    [{ name: 'F', logo: 'none.svg' }, /none\.svg cannot be read/],
    [`{"name":"${'x'.repeat(20_000)}"}`, /has more than 16 KiB/],
  ] as const)
    assert.match(refusal(file), words)
})

test('a logo that pages could not show is refused in words that say what to do', () => {
  const file = { name: 'F', logo: 'logo' }
  const big = Buffer.from(png)
  big.writeUInt32BE(5000, 16)
  for (const [logo, words] of [
    ['', /neither an SVG .* nor a PNG/],
    ['<html></html>', /neither an SVG .* nor a PNG/],
    [Buffer.from('GIF89a'), /neither an SVG .* nor a PNG/],
    [Buffer.from(svg, 'utf16le'), /neither an SVG \(in UTF-8/],
    ['<!-- x -->'.repeat(3000), /neither an SVG/],
    [svg.replace('</svg>', ''), /SVG that is not complete/],
    [svg.replace(' xmlns="http://www.w3.org/2000/svg"', ''), /SVG without xmlns/],
    [svg.replace(' viewBox="0 0 2 1"', ''), /SVG without a viewBox/],
    [svg.replace('<path', '<script>alert(1)</script><path'), /SVG with a script/],
    [svg.replace('<path', '<path onclick="x()"'), /SVG with a script/],
    [svg.replace('<path', '<image xlink:href="photo.png"/><path'), /SVG that refers to other files/],
    [svg.replace('<path', '<path fill="url(https://a.example/x)"'), /SVG that refers to other files/],
    [png.subarray(0, -4), /PNG that is not complete/],
    [big, /has 5000 by 1 pixels: 2048 a side at most/],
    [Buffer.concat([png, Buffer.alloc(maxLogoBytes)]), /has more than 32 KiB/],
  ] as const)
    assert.match(refusal(file, logo), words)
})

test('an SVG as programs write them is taken', () => {
  const file = { name: 'F', logo: 'logo' }
  for (const logo of [
    `<?xml version="1.0" encoding="UTF-8"?>\n<!-- by a program -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n${svg}\n`,
    svg.replace('<path', '<linearGradient id="g"/><use xlink:href="#g"/><path fill="url(#g)"'),
    svg.replace('<path', '<metadata rdf:resource="http://purl.org/dc/dcmitype/StillImage"/><path'),
  ])
    assert.equal(read(file, logo).logo?.type, 'image/svg+xml', logo)
})

test('whoever checks it reads what pages show', () => {
  const brand = read({ name: 'F', logo: 'logo', accent: '#ffcc00' }, png)
  assert.match(
    describeBrand(brand),
    /^pages show the name "F", a logo \(PNG, 0\.1 KiB\) and the accent #[\da-f]{6} on light screens and #ffcc00 on dark ones$/,
  )
  assert.match(
    brandStyle(brand),
    /^@media screen\{:root\{--accent:#[\da-f]{6};.*dark\)\{:root\{--accent:#ffcc00;/,
  )
  assert.equal(brandStyle(read({ name: 'F' })), '')
  assert.match(describeBrand(read({ name: 'F' })), /no logo and Plenum's own accent$/)
})
