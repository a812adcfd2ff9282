import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'

/**
 * Has `child` signalled when this process is gone, however it ended: the shell below waits on a pipe which the
 * system closes even after SIGKILL, when no exit handler of ours runs.
 */
export function tether(child: ChildProcess, signal: 'INT' | 'TERM' | 'KILL'): void {
  if (child.pid === undefined) return
  const watcher = spawn('/bin/sh', ['-c', 'read -r _; kill -s "$1" "$0"', String(child.pid), signal], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    detached: true, // Ctrl-C goes to the whole process group and must not end the watcher first
  })
  watcher.on('error', () => {}) // no /bin/sh: then only the orderly ways of stopping are left
  watcher.unref()
  child.once('exit', () => watcher.kill('SIGKILL')) // else it could signal a stranger who got the same pid
}
