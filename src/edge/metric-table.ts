import type { LogEntry } from './log.ts'

type Labels = Readonly<Record<string, string>>

/** What is counted up. It is `plenum_NAME_total`; several doors that count the same under one name share it. */
type CounterDefinition = Readonly<{
  help: string
  labels?: readonly string[]
  /** Whether the status page shows it, as `NAMEPerSecond`. */
  perSecond?: true
}>

/**
 * A figure of the moment, `plenum_NAME`: a number, or where it has a label one for each of the label's values. `stats` is null
 * where the door is not served here.
 */
type GaugeDefinition<Stats> = Readonly<{
  help: string
  label?: string
  read(stats: Stats | null): number | Readonly<Record<string, number>>
}>

/**
 * What a door counts and measures. Labels are words of our own, never anything that a client or the database said.
 * (Methods and not functions: a list of tables of different doors is one of `MetricTable`.)
 */
export type MetricTable<
  Entry extends LogEntry = LogEntry,
  Stats = unknown,
  Counter extends string = string,
> = Readonly<{
  counters: Readonly<Record<Counter, CounterDefinition>>
  /** What an entry of the log counts as, if anything. */
  counted?(entry: Entry): readonly [counter: NoInfer<Counter>, labels: Labels] | null
  gauges: Readonly<Record<string, GaugeDefinition<Stats>>>
  /** What the status page shows over time. */
  series?: SeriesTable<Stats>
}>

export type SeriesTable<Stats> = Readonly<Record<string, SeriesDefinition<Stats>>>
type SeriesDefinition<Stats> = { read(stats: Stats | null): number }['read']

/** Makes a table, with the names of its counters known: `metricTable<Entry, Stats>()({ ... })`. */
export const metricTable =
  <Entry extends LogEntry, Stats>() =>
  <const Counter extends string>(table: MetricTable<Entry, Stats, Counter>) =>
    table
