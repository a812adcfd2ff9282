import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readForm, readUrlencoded, TooManyFields } from './form.ts'

const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

test('an urlencoded form keeps its bytes, and of fields of one name the first', async () => {
  const encoded = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  const form = await readForm(
    undefined,
    Buffer.from(`method=dump+it&&contents=${encoded}&method=other&empty&bad=%zz%4`),
  )
  assert.deepEqual(form?.get('contents'), bytes)
  assert.equal(form?.get('method')?.toString(), 'dump it')
  assert.equal(form?.get('empty')?.length, 0)
  assert.equal(form?.get('bad')?.toString(), '%zz%4')
  assert.equal((await readUrlencoded(Buffer.alloc(0))).size, 0)
})

test('a multipart form as the platform writes it, with a file', async () => {
  const sent = new FormData()
  sent.set('method', 'createDocument')
  sent.set('contents', new Blob([bytes]), 'a name.bin')
  sent.set('empty', '')
  const request = new Request('http://localhost', { method: 'POST', body: sent })
  const body = Buffer.from(await request.arrayBuffer())
  const type = request.headers.get('content-type') ?? ''
  const form = await readForm(type, body)
  assert.deepEqual(form?.get('contents'), bytes)
  assert.equal(form?.get('method')?.toString(), 'createDocument')
  assert.equal(form?.get('empty')?.length, 0)
  for (let length = 0; length < body.length - 4; length++)
    assert.equal(await readForm(type, body.subarray(0, length)), null)
})

test('what is no form is none', async () => {
  assert.equal(await readForm('application/json', Buffer.from('{}')), null)
  assert.equal(await readForm('multipart/form-data', Buffer.from('--x--')), null)
  assert.equal(await readForm('multipart/form-data; boundary=x', Buffer.from('--x\r\n\r\n\r\n--x--')), null)
})

test('a form of more than 100 fields is not read, and others have their turn while a long one is', async () => {
  const part = '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n'
  await assert.rejects(readForm(undefined, Buffer.from('a&'.repeat(101))), TooManyFields)
  await assert.rejects(readForm(undefined, Buffer.from('&'.repeat(101))), TooManyFields)
  await assert.rejects(
    readForm('multipart/form-data; boundary=x', Buffer.from(`${part.repeat(101)}--x--`)),
    TooManyFields,
  )
  assert.equal((await readForm(undefined, Buffer.from('a&'.repeat(100))))?.size, 1)
  const head = `--x\r\na: ${'b'.repeat(9000)}\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n--x--`
  assert.equal(await readForm('multipart/form-data; boundary=x', Buffer.from(head)), null)
  let turns = 0
  const count = (): void => {
    turns++
    timer = setImmediate(count)
  }
  let timer = setImmediate(count)
  const length = 1_000_000
  const form = await readForm(undefined, Buffer.from(`a=${'%41'.repeat(length)}`))
  clearImmediate(timer)
  assert.equal(form?.get('a')?.toString(), 'A'.repeat(length))
  assert.ok(turns >= 10, `${turns} turns`)
})
