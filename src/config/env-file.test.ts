import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEnvFile } from './env-file.ts'

const values = (text: string): Record<string, string> =>
  Object.fromEntries(parseEnvFile(text).map(({ name, value }) => [name, value]))

test('a line is a name and a value; comments and empty lines are none', () => {
  assert.deepEqual(values('# one\n; two\n\n  A=1\nB = two words  \r\nC=\n\tD=a#b;c=d\n'), {
    A: '1',
    B: 'two words',
    C: '',
    D: 'a#b;c=d',
  })
  assert.deepEqual(values(''), {})
  assert.deepEqual(values('A=1\nA=2'), { A: '2' })
})

test('a value may stand in quotes', () => {
  assert.deepEqual(values(`A="a b "\nB=' c "d" '\nC="e \\"f\\" \\\\ \\$g \\n"\nD='\\'\nE="#"\nF=it's`), {
    A: 'a b ',
    B: ' c "d" ',
    C: 'e "f" \\ $g \\n',
    D: '\\',
    E: '#',
    F: "it's",
  })
})

test('a backslash takes what follows as it stands, and goes on behind the end of a line', () => {
  assert.deepEqual(values('A=a\\ b\\\\\nB=one,\\\ntwo,\\\nthree\nC="x\\\ny"\nD=4'), {
    A: 'a b\\',
    B: 'one,two,three',
    C: 'xy',
    D: '4',
  })
})

test('what says nothing is refused, by its line and without its words', () => {
  for (const [text, pattern] of [
    ['A=1\ns3cret', /^line 2 is not NAME=value$/],
    ['export A=s3cret', /^line 1 is not NAME=value$/],
    ['1A=s3cret', /^line 1 is not/],
    ['A=1\n\nB="s3cret', /^line 3 has a quote that is not closed/],
    ["B='s3cret", /^line 1 has a quote/],
    ['B="a" s3cret', /^line 1 has a quote/],
  ] as const)
    assert.throws(
      () => parseEnvFile(text),
      ({ message }: Error) => pattern.test(message) && !message.includes('s3cret'),
    )
})

test('the line is where an assignment begins', () => {
  assert.deepEqual(
    parseEnvFile('A=1\\\n2\nB=3').map(({ name, line }) => [name, line]),
    [
      ['A', 1],
      ['B', 3],
    ],
  )
})
