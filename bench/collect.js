import { Session } from 'node:inspector'
import process from 'node:process'

// Loaded first into a process whose memory is compared: on SIGUSR2 it gives back what it does not use, as it would do by
// itself after a while without work.
const session = new Session()
session.connect()
process.on('SIGUSR2', () => session.post('HeapProfiler.collectGarbage'))
