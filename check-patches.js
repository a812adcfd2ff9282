import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'

/**
 * Throws where a file in node_modules is not what the patches below `root` make of it (patch-package does, after each
 * `npm ci` that runs scripts). postgres.js without its patch does not look broken: its tests of a lost connection do.
 */
export function checkPatches(root = new URL('./', import.meta.url)) {
  const patches = new URL('patches/', root)
  for (const name of readdirSync(patches)) {
    const patch = readFileSync(new URL(name, patches), 'utf8')
    // Git's own names for a file's content, before and after.
    for (const [, path, hash] of patch.matchAll(/^diff --git a\/(\S+) .*\nindex \w+\.\.(\w+)/gm))
      if (!blobHash(readFileSync(new URL(path, root))).startsWith(hash))
        throw new Error(
          `${path} is not as patches/${name} leaves it: run npm run postinstall, or npm ci where that does not help`,
        )
  }
}

function blobHash(content) {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}
