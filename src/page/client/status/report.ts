/** What `/status.json` answers: the server makes it and the page reads it. */
export type StatusReport = {
  /** Null while this process serves the meetings, else what it waits for, in words. */
  waitsFor: string | null
  version: string
  runtime: string
  pid: number
  /** Times are milliseconds since 1970. */
  upSince: number
  now: number
  /** How many database connections it may have. */
  maxDatabaseConnections: number
  figures: {
    connections: number
    pending: number
    unsentBytes: number
    databaseConnections: number
    queuedCommands: number
    here: number
    away: number
    residentBytes: number
    heapBytes: number
  }
  history: { everySeconds: number; at: number; series: { [Name in SeriesName]?: (number | null)[] } }
  meetings: MeetingReport[]
  /** Warnings and errors, the newest first; `first` and `last` are ISO 8601. */
  recent: { first: string; last: string; count: number; entry: { level: string; event: string } }[]
}

export type MeetingReport = {
  id: number
  name: string
  state: 'pending' | 'open' | 'finished' | 'closed'
  here: number
  away: number
  pollUnderWay: boolean
  queuedCommands: number
  /** The ids of members. */
  banned: number[]
}

export type SeriesName =
  | 'linesPerSecond'
  | 'votesPerSecond'
  | 'deliveriesPerSecond'
  | 'commitP50'
  | 'commitP99'
  | 'fanOutP50'
  | 'fanOutP99'
  | 'loopP50'
  | 'loopP99'
  | 'cpuPercent'
  | 'connections'
  | 'people'
  | 'queuedCommands'
  | 'unsentBytes'
  | 'databaseConnections'
  | 'residentBytes'
  | 'heapBytes'
