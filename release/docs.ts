import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { flagsDocument } from './flags.ts'

// Writes the pages of docs/ that are made from tables in the code.
writeFileSync(fileURLToPath(new URL('../docs/flags.md', import.meta.url)), flagsDocument())
