import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readForm, readUrlencoded } from './form.ts'

const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

test('an urlencoded form keeps its bytes, and of fields of one name the first', () => {
  const encoded = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  const form = readForm(
    undefined,
    Buffer.from(`method=dump+it&&contents=${encoded}&method=other&empty&bad=%zz%4`),
  )
  assert.deepEqual(form?.get('contents'), bytes)
  assert.equal(form?.get('method')?.toString(), 'dump it')
  assert.equal(form?.get('empty')?.length, 0)
  assert.equal(form?.get('bad')?.toString(), '%zz%4')
  assert.equal(readUrlencoded(Buffer.alloc(0)).size, 0)
})

test('a multipart form as the platform writes it, with a file', async () => {
  const sent = new FormData()
  sent.set('method', 'createDocument')
  sent.set('contents', new Blob([bytes]), 'a name.bin')
  sent.set('empty', '')
  const request = new Request('http://localhost', { method: 'POST', body: sent })
  const body = Buffer.from(await request.arrayBuffer())
  const type = request.headers.get('content-type') ?? ''
  const form = readForm(type, body)
  assert.deepEqual(form?.get('contents'), bytes)
  assert.equal(form?.get('method')?.toString(), 'createDocument')
  assert.equal(form?.get('empty')?.length, 0)
  for (let length = 0; length < body.length - 4; length++)
    assert.equal(readForm(type, body.subarray(0, length)), null)
})

test('what is no form is none', () => {
  assert.equal(readForm('application/json', Buffer.from('{}')), null)
  assert.equal(readForm('multipart/form-data', Buffer.from('--x--')), null)
  assert.equal(readForm('multipart/form-data; boundary=x', Buffer.from('--x\r\n\r\n\r\n--x--')), null)
})
