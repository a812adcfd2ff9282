// Repairs postgres.js 3.4.9 in node_modules, in place; running it again changes nothing. Without this, a database
// that restarts while a transaction runs ends the whole process (a write to a socket that is null, from a timer),
// leaves connections of the pool that never send again, and can run a dead transaction's statements inside another
// one. The reports upstream are open: #1133, #1193, #1209, #1215, #1216 of porsager/postgres.
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

const patchedVersion = '3.4.9'

const patches = [
  {
    why: 'A scheduled write must not outlive its socket',
    file: 'connection.js',
    from: `    const x = socket.write(chunk, fn)
    nextWriteTimer !== null`,
    to: `    const x = socket === null || socket.write(chunk, fn)
    nextWriteTimer !== null`,
  },
  {
    why: 'Bytes and timer of a dead socket must not stop the next one from being written to',
    file: 'connection.js',
    from: `    clearImmediate(nextWriteTimer)
    if (socket) {`,
    to: `    clearImmediate(nextWriteTimer)
    chunk = nextWriteTimer = null
    if (socket) {`,
  },
  {
    why: `Whatever waits for an answer is told that none comes; nothing of it stays for the next session, and nothing
      is sent before there is one. (It reconnected at once, for ever, when a server closed during startup.)`,
    file: 'connection.js',
    from: `    if (initial)
      return reconnect()

    !hadError && (query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
    closedTime = performance.now()
    hadError && options.shared.retries++`,
    to: `    chunk = nextWriteTimer = null
    terminated = true
    ;(initial || query || sent.length) && error(errorResponse || Errors.connection('CONNECTION_CLOSED', options, socket))
    query = errorResponse = results = final = null
    result = new Result()
    rows = 0
    ended && ended()
    ending = ended = null
    closedTime = performance.now()
    options.shared.retries++`,
  },
  {
    why: `A connection whose socket could not be made goes back to the pool. An error of a socket is told when it
      closes, for until then the pool would hand the connection to the next statement`,
    file: 'connection.js',
    from: `    } catch (e) {
      error(e)
      return
    }
    x.on('error', error)`,
    to: `    } catch (e) {
      error(e)
      closedTime = performance.now()
      options.shared.retries++
      delay = (typeof backoff === 'function' ? backoff(options.shared.retries) : backoff) * 1000
      onclose(connection, e)
      return
    }
    x.on('error', e => errorResponse = errorResponse || e)`,
  },
  {
    why: 'A connection lost while it reads the array types is told to the first query, not to the process',
    file: 'connection.js',
    from: '    `], [], execute)\n    types.forEach',
    to: '    `], [], execute).catch(() => [])\n    types.forEach',
  },
  {
    why: 'Statements of a transaction whose connection is gone are refused, not sent in another session',
    file: 'index.js',
    from: `      , connection
      , prepare = null
`,
    to: `      , connection
      , lost = null
      , prepare = null
`,
  },
  {
    file: 'index.js',
    from: `        new Promise((_, reject) => connection.onclose = reject)`,
    to: `        new Promise((_, reject) => connection.onclose = e => {
          lost = e
          while (queries.length)
            queries.shift().reject(e)
          reject(e)
        })`,
  },
  {
    file: 'index.js',
    from: `        q.catch(e => uncaughtError || (uncaughtError = e))
        c.queue`,
    to: `        q.catch(e => uncaughtError || (uncaughtError = e))
        lost ? q.reject(lost) :
        c.queue`,
  },
  {
    why: 'The same for a reserved connection, and one that was lost is not released into the pool a second time',
    file: 'index.js',
    from: `        const query = { reserve: resolve, reject }
        queries.push(query)`,
    to: `        const query = { reserve: resolve, reject: e => (queries.remove(query), reject(e)) }
        queries.push(query)`,
  },
  {
    file: 'index.js',
    from: `    move(c, reserved)
    c.reserved = () => queue.length`,
    to: `    let lost = null
    move(c, reserved)
    c.onclose = e => {
      lost = e
      while (queue.length)
        queue.shift().reject(e)
    }
    c.reserved = () => queue.length`,
  },
  {
    file: 'index.js',
    from: `      c.reserved = null
      onopen(c)
    }

    return sql

    function handler(q) {
      c.queue`,
    to: `      if (lost)
        return
      c.reserved = c.onclose = null
      onopen(c)
    }

    return sql

    function handler(q) {
      lost ? q.reject(lost) :
      c.queue`,
  },
  {
    why: 'Who waits for a connection to reserve stays in the queue while one is opened, for it is served from there',
    file: 'index.js',
    from: `    queries.length && connect(c, queries.shift())
  }`,
    to: `    if (queries.length) {
      const query = queries.shift()
      query.reserve && queries.push(query)
      connect(c, query)
    }
  }`,
  },
  {
    why: `A statement waits for a connection that is free, not behind one that may wait for somebody's lock. (Those of one
      transaction are still sent together.)`,
    file: 'index.js',
    from: `    busy.length
      ? go(busy.shift(), query)
      : queries.push(query)`,
    to: `    return queries.push(query)`,
  },
  {
    file: 'index.js',
    from: `    let max = Math.ceil(queries.length / (connecting.length + 1))
      , ready = true`,
    to: `    let max = 1
      , ready = true`,
  },
  {
    why: `Each new session begins with the statement \`setup\`, where PgBouncer takes no such parameters at the start. Where it
      fails, whoever wanted the connection is told why, and nobody gets a session without it`,
    file: 'index.js',
    from: `    parameters      : {},
    shared`,
    to: `    parameters      : {},
    setup           : o.setup,
    shared`,
  },
  {
    file: 'connection.js',
    from: `    , needsTypes = options.fetch_types
    , backendParameters`,
    to: `    , needsTypes = options.fetch_types
    , needsSetup = false
    , settingUp = false
    , backendParameters`,
  },
  {
    file: 'connection.js',
    from: `      needsTypes = options.fetch_types
      statementId`,
    to: `      needsTypes = options.fetch_types
      needsSetup = !!options.setup
      settingUp = false
      statementId`,
  },
  {
    file: 'connection.js',
    from: `  function ReadyForQuery(x) {
    if (query) {`,
    to: `  function ReadyForQuery(x) {
    if (settingUp && errorResponse)
      return socket.destroy()
    settingUp = false

    if (query) {`,
  },
  {
    file: 'connection.js',
    from: `    if (initial) {
      if (target_session_attrs) {`,
    to: `    if (initial) {
      if (needsSetup) {
        needsSetup = false
        settingUp = true
        new Query([options.setup], [], execute, null, { simple: true, prepare: false }).catch(noop)
        return
      }

      if (target_session_attrs) {`,
  },
  {
    why: 'Where the password is hashed for SCRAM, its source is told so, and can prepare it (RFC 5802, 2.2)',
    file: 'connection.js',
    from: `    const saltedPassword = await crypto.pbkdf2Sync(
      await Pass(),`,
    to: `    const saltedPassword = await crypto.pbkdf2Sync(
      await Pass('SCRAM'),`,
  },
  {
    file: 'connection.js',
    from: `  function Pass() {
    return Promise.resolve(typeof options.pass === 'function'
      ? options.pass()`,
    to: `  function Pass(mechanism) {
    return Promise.resolve(typeof options.pass === 'function'
      ? options.pass(mechanism)`,
  },
  {
    why: `What wanted the connection is sent once the array types are known, which takes some promises more than their
      answer: under Deno its own answer was there before, and an empty array was sent as an empty text`,
    file: 'connection.js',
    from: `      initial && !initial.reserve && execute(initial)
      options.shared.retries = retries = 0
      initial = null
      return`,
    to: `      const first = initial
      options.shared.retries = retries = 0
      setImmediate(() => {
        if (initial !== first)
          return
        initial = null
        first.reserve || execute(first)
      })
      return`,
  },
  {
    why: 'What our own connection string says is not overruled by the environment',
    file: 'index.js',
    from: `  const x = o.target_session_attrs || url`,
    to: `  const x = 'target_session_attrs' in o ? o.target_session_attrs : url`,
  },
]

/** Applies the repairs below `root`, a folder of the package. Throws where its source is not the one they are for. */
export function patchPostgres(root = new URL('node_modules/postgres/', import.meta.url)) {
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))
  if (version !== patchedVersion)
    throw new Error(
      `patch-postgres.js repairs postgres ${patchedVersion}, found ${version}: look what is still broken`,
    )
  for (const file of new Set(patches.map((patch) => patch.file))) {
    const path = new URL(`src/${file}`, root)
    const source = readFileSync(path, 'utf8')
    const patched = patches.filter((patch) => patch.file === file).reduce(apply, source)
    if (patched !== source) writeFileSync(path, patched)
  }
}

function apply(source, { from, to }) {
  if (source.includes(to)) return source
  if (source.split(from).length !== 2)
    throw new Error(`postgres is not as patch-postgres.js expects it:\n${from}`)
  return source.replace(from, () => to)
}

if (argv[1] === fileURLToPath(import.meta.url)) patchPostgres()
