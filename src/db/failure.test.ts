import assert from 'node:assert/strict'
import { test } from 'node:test'
import postgres from 'postgres'
import { explainRefusal, isRefused, isSchemaFault, isUnavailable } from './failure.ts'

/** As the driver makes it of what the server sends. */
const reported = (code: string, severity = 'ERROR'): Error =>
  new postgres.PostgresError({
    code,
    severity,
    message: 'some words',
  } as unknown as ConstructorParameters<typeof postgres.PostgresError>[0])

const kindOf = (error: unknown): string =>
  [isUnavailable(error) && 'unavailable', isRefused(error) && 'refused'].filter(Boolean).join(' and ')

test('what passes by itself is not taken for a refusal, nor the other way round', () => {
  const passing = ['08006', '40001', '40P01', '53100', '53300', '55P03', '57014', '57P01', '58030', '25006']
  for (const code of [...passing, '25P02', '25P03', '26000'])
    assert.equal(kindOf(reported(code)), 'unavailable')
  const lasting = ['22P05', '22001', '23502', '23503', '23514', 'P0001', '54000', '0A000', '42501', '42703']
  for (const code of [...lasting, '428C9', 'P0002', '44000', '2200H', 'XX001', 'ZZ999'])
    assert.equal(kindOf(reported(code)), 'refused')
})

test('what has become of a table or a right is told apart from what one has sent', () => {
  for (const code of ['42501', '42703', '42P01']) assert.ok(isSchemaFault(reported(code)))
  for (const code of ['23514', '22P05', 'P0001', '57014']) assert.ok(!isSchemaFault(reported(code)))
})

test('what ends a connection refuses nothing of what was to be done by it', () => {
  for (const code of ['28P01', '3D000', '42501']) assert.equal(kindOf(reported(code, 'FATAL')), '')
})

test('what does not come from PostgreSQL is no refusal', () => {
  assert.equal(kindOf(Object.assign(new Error('lost'), { code: 'EPIPE' })), 'unavailable')
  for (const error of [new Error('ours'), Object.assign(new Error('odd'), { code: '23503' }), null, 'PL001'])
    assert.equal(isRefused(error), false)
})

test('that a write was decided on what no longer holds is no refusal', () => {
  for (const code of ['PL001', 'PL002']) assert.equal(kindOf(reported(code)), '')
})

test('an explanation has nothing of what the database says', () => {
  for (const code of ['P0001', '22P05', '22001'])
    assert.doesNotMatch(explainRefusal(reported(code)), /some words/)
})
