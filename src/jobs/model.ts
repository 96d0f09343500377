// The queues, what is retried and how often, and what a recurring job and a retention rule are.
import type { Context } from '../context.ts'
import type { Sql } from '../db/connect.ts'

export type Queue = {
  name: string
  /** How often a failed job is tried again before it goes to `deadLetter`. */
  retryLimit: number
  /** The first delay; each further one doubles, with jitter, up to `retryDelayMax`. */
  retryDelay: number
  retryDelayMax: number
  /** A job that has not ended after this long is taken to have died with its process. */
  expireInSeconds: number
  /** Done jobs are forgotten after this long. */
  deleteAfterSeconds: number
  /** `short`: a second job with the same key is not queued while one waits. */
  policy: 'standard' | 'short'
  /** A new job wakes the workers at once, by NOTIFY. */
  notify: boolean
  /** How often workers look for jobs that nobody told them of: retries that became due, lost notifications. */
  pollSeconds: number
  deadLetter?: string
}

/** What somebody should hear of before long. */
const alarm: Omit<Queue, 'name'> = {
  retryLimit: 5,
  retryDelay: 5,
  retryDelayMax: 600,
  expireInSeconds: 60,
  deleteAfterSeconds: 3600,
  policy: 'standard',
  notify: true,
  pollSeconds: 60
}

/** A queue named as `deadLetter` stands before the queue that names it. */
export const queues: Queue[] = [
  { name: 'mail-failed', ...alarm, retryLimit: 10, retryDelay: 10, deleteAfterSeconds: 86400 },
  {
    // About a day of half-hourly tries: a mail server's outage overnight loses nothing.
    name: 'mail',
    ...alarm,
    retryLimit: 50,
    retryDelayMax: 1800,
    expireInSeconds: 180,
    deleteAfterSeconds: 86400,
    pollSeconds: 10,
    deadLetter: 'mail-failed'
  },
  { name: 'guessing-slowed', ...alarm },
  { name: 'new-device', ...alarm },
  { name: 'logout', ...alarm, retryLimit: 10 },
  { name: 'logout-notice-failed', ...alarm, retryDelay: 10, deleteAfterSeconds: 86400 },
  {
    // About three hours: an application that is down longer has lost its own sessions too.
    name: 'logout-notice',
    ...alarm,
    retryLimit: 12,
    retryDelayMax: 3600,
    pollSeconds: 30,
    deadLetter: 'logout-notice-failed'
  },
  {
    // A client may ask by itself for as long as its request lasts, ten minutes; a notice after that tells it nothing.
    name: 'backchannel-ping',
    ...alarm,
    retryLimit: 8,
    retryDelay: 2,
    retryDelayMax: 60
  },
  {
    // Not retried: the next turn is already queued when one starts.
    name: 'upkeep',
    retryLimit: 0,
    retryDelay: 0,
    retryDelayMax: 0,
    expireInSeconds: 900,
    deleteAfterSeconds: 86400,
    policy: 'short',
    notify: false,
    pollSeconds: 60
  }
]

export type Job<Data extends object = object> = { id: string; data: Data }

/** Works one job. A throw makes it a retry, and after the last one a job of the dead letter queue. */
export type JobHandler = (ctx: Context, job: Job) => Promise<void>

/** Work that comes round. One node at a time does a turn, whichever is free. */
export type RecurringJob = { name: string; everySeconds: number; run: (ctx: Context) => Promise<void> }

/** How a table forgets. `deleteExpired` removes at most `limit` rows, skips locked ones, and tells how many it removed. */
export type RetentionRule = {
  table: string
  deleteExpired: (sql: Sql, now: Date, limit: number) => Promise<number>
}
