import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Markup, markup } from './markup.ts'

test('what is put in is text, pieces stay pieces, null is nothing', () => {
  const hostile = `<a href="x" title='y'>&amp;</a>`
  assert.equal(
    markup`<p title="${hostile}">${hostile}</p>`.text,
    '<p title="&#60;a href=&#34;x&#34; title=&#39;y&#39;&#62;&#38;amp;&#60;/a&#62;">&#60;a href=&#34;x&#34; title=&#39;y&#39;&#62;&#38;amp;&#60;/a&#62;</p>',
  )
  const items = ['<', '>'].map((text) => markup`<li>${text}</li>`)
  assert.equal(
    markup`${null}<ul>${items}</ul>${7}${new Markup('<hr>')}`.text,
    '<ul><li>&#60;</li><li>&#62;</li></ul>7<hr>',
  )
})
