import { lockSpace, type Migrations, outdatedState } from '../db/schema.ts'
import type { ForeignTables } from '../db/rights.ts'
import type { Trial } from '../db/trial.ts'
import type { DoorSchema } from '../hub/door.ts'

/** The first integer of the locks around the writes of one meeting: the second one is the meeting's id. */
const meetingLockSpace = lockSpace + 1

// The pgeu tables are not referenced: a foreign key would put triggers on tables that belong to the site, and stop it
// from deleting a meeting.
const migrations: Migrations = {
  1: `
  create table plenum.attendance (
    meeting_id integer not null,
    member_id integer not null,
    entered_at timestamptz not null default now(),
    left_at timestamptz,
    primary key (meeting_id, member_id)
  );
  create index attendance_present on plenum.attendance (meeting_id) where left_at is null;
  create table plenum.ban (
    meeting_id integer not null,
    member_id integer not null,
    banned_by integer not null,
    banned_at timestamptz not null default now(),
    primary key (meeting_id, member_id)
  );
  create table plenum.poll (
    id integer generated always as identity primary key,
    meeting_id integer not null,
    question text not null,
    answers text[] not null,
    opened_by integer not null,
    opened_at timestamptz not null default now(),
    closes_at timestamptz not null,
    ended_at timestamptz,
    ending text check (ending in ('voted', 'time', 'finished', 'aborted')),
    check ((ended_at is null) = (ending is null))
  );
  create unique index poll_under_way on plenum.poll (meeting_id) where ended_at is null;
  create index poll_meeting on plenum.poll (meeting_id, ended_at);
  create table plenum.vote (
    poll_id integer not null references plenum.poll on delete cascade,
    member_id integer not null,
    answer integer not null,
    cast_at timestamptz not null default now(),
    primary key (poll_id, member_id)
  )`,
  // A write whose connection is lost may still wait in the database, or not even have been read there. Whoever reads the
  // meeting anew waits for the former here, and the latter names a reading that is not the last one any more. That is
  // kept among the leases, so that a role which does not own the schema needs no right that it did not need before.
  2: `
  create function plenum.fence(expected bigint, meeting integer, reading bigint) returns boolean
  language plpgsql volatile as $$
  begin
    perform plenum.fence(expected);
    perform pg_advisory_xact_lock(${meetingLockSpace}, meeting);
    if not exists (select from plenum.lease where door = 'meeting ' || meeting and epoch = reading) then
      raise exception 'the meeting has been read anew since' using errcode = '${outdatedState}';
    end if;
    return true;
  end $$;
  create function plenum.begin_reading(expected bigint, meeting integer) returns bigint
  language plpgsql volatile as $$
  declare
    reading bigint;
  begin
    perform plenum.fence(expected);
    perform pg_advisory_xact_lock(${meetingLockSpace}, meeting);
    insert into plenum.lease as known (door, epoch) values ('meeting ' || meeting, 1)
      on conflict (door) do update set epoch = known.epoch + 1
      returning known.epoch into reading;
    return reading;
  end $$`,
  3: `
  create table plenum.command (
    meeting_id integer not null,
    member_id integer not null,
    id text not null,
    done_at timestamptz not null default now(),
    primary key (meeting_id, member_id, id)
  )`,
  // The site's ids may be bigint. A process of an older version goes on with the functions that it knows.
  7: `
  alter table plenum.attendance alter meeting_id type bigint, alter member_id type bigint;
  alter table plenum.ban alter meeting_id type bigint, alter member_id type bigint, alter banned_by type bigint;
  alter table plenum.poll alter meeting_id type bigint, alter opened_by type bigint;
  alter table plenum.vote alter member_id type bigint;
  alter table plenum.command alter meeting_id type bigint, alter member_id type bigint;
  create function plenum.fence(expected bigint, meeting bigint, reading bigint) returns boolean
  language plpgsql volatile as $$
  begin
    perform plenum.fence(expected);
    -- Of two meetings with one lock the one waits for the other's commit, no more.
    perform pg_advisory_xact_lock(${meetingLockSpace}, (meeting % 2147483648)::integer);
    if not exists (select from plenum.lease where door = 'meeting ' || meeting and epoch = reading) then
      raise exception 'the meeting has been read anew since' using errcode = '${outdatedState}';
    end if;
    return true;
  end $$;
  create function plenum.begin_reading(expected bigint, meeting bigint) returns bigint
  language plpgsql volatile as $$
  declare
    reading bigint;
  begin
    perform plenum.fence(expected);
    perform pg_advisory_xact_lock(${meetingLockSpace}, (meeting % 2147483648)::integer);
    insert into plenum.lease as known (door, epoch) values ('meeting ' || meeting, 1)
      on conflict (door) do update set epoch = known.epoch + 1
      returning known.epoch into reading;
    return reading;
  end $$`,
  // A row of attendance has the time of the last stay alone, and a poll's electorate is known while it goes on: what the record
  // says of both is written down when it is so.
  10: `
  alter table plenum.attendance add column attended_at timestamptz;
  alter table plenum.poll add column present integer;
  create function plenum.electorate(poll integer) returns integer language sql stable as $$
    select count(*)::integer from (
      select a.member_id from plenum.attendance a join plenum.poll o on o.meeting_id = a.meeting_id
      where o.id = poll and a.left_at is null
      union
      select v.member_id from plenum.vote v where v.poll_id = poll) member
  $$`,
}

const site: ForeignTables = {
  of: 'pgeu-system',
  needs: [
    ...[
      'membership_meeting',
      'membership_member',
      'membership_meeting_meetingadmins',
      'membership_membermeetingkey',
      'membership_meetingmessagelog',
    ].map((object) => ({ object, privilege: 'SELECT' })),
    { object: 'membership_meeting', privilege: 'UPDATE', columns: 'state' },
    { object: 'membership_membermeetingkey', privilege: 'UPDATE', columns: 'allowrejoin' },
    { object: 'membership_meetingmessagelog', privilege: 'INSERT' },
  ],
  ids: [
    ['membership_meeting', 'id'],
    ['membership_member', 'user_id'],
    ['membership_meeting_meetingadmins', 'meeting_id'],
    ['membership_meeting_meetingadmins', 'member_id'],
    ['membership_membermeetingkey', 'id'],
    ['membership_membermeetingkey', 'meeting_id'],
    ['membership_membermeetingkey', 'member_id'],
    ['membership_meetingmessagelog', 'id'],
    ['membership_meetingmessagelog', 'meeting_id'],
    ['membership_meetingmessagelog', 'sender_id'],
  ],
  serials: [['membership_meetingmessagelog', 'id']],
}

const trial: Trial = async (tx, attempt) => {
  const [meeting] = await tx<{ id: number; member: number | null }[]>`
    select m.id, (select min(k.member_id) from membership_membermeetingkey k where k.meeting_id = m.id) member
    from membership_meeting m where m.meetingtype = 1 order by m.id desc limit 1`
  const { id = null, member = null } = meeting ?? {}
  await attempt(
    'a line of the record (membership_meetingmessagelog)',
    (tx) => tx`
      with stored as (
        insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
        select now(), 'plenum check tries to write', id, ${member}::bigint from membership_meeting
        where id = ${id}::bigint returning id)
      select plenum.require_rows('membership_meetingmessagelog', count(*), ${id === null ? 0 : 1}) from stored`,
  )
  await attempt(
    "a meeting's state (membership_meeting)",
    (tx) => tx`
      with stored as (update membership_meeting set state = state where id = ${id}::bigint returning id)
      select plenum.require_rows('membership_meeting', count(*), ${id === null ? 0 : 1}) from stored`,
  )
  await attempt(
    "a member's leave to return (membership_membermeetingkey)",
    (tx) => tx`
      with stored as (
        update membership_membermeetingkey set allowrejoin = allowrejoin
        where meeting_id = ${id}::bigint and member_id = ${member}::bigint returning id)
      select plenum.require_rows('membership_membermeetingkey', count(*), ${member === null ? 0 : 1}) from stored`,
  )
  await attempt(
    'table plenum.ban',
    (tx) => tx`
      with stored as (
        insert into plenum.ban (meeting_id, member_id, banned_by) values (-1, -1, -1) returning member_id)
      select plenum.require_rows('plenum.ban', count(*), 1) from stored`,
  )
}

/** The tables of the meetings: our own, and those of the site. */
export const meetingSchema: DoorSchema = { migrations, foreign: site, trial }
