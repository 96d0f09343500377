// The job queue: pg-boss on our pool. Jobs carry ids, never secrets: their rows are read by whoever runs the database.
import { type JobResult, PgBoss, type Queue as PgBossQueue } from 'pg-boss'
import type { Context } from '../context.ts'
import type { Pool } from '../db/connect.ts'
import { poolDatabase, transactionDatabase } from './adapter.ts'
import { type Job, type JobHandler, type Queue, queues, type RecurringJob } from './model.ts'

export type JobPlan = {
  /** What works the jobs of a queue, by the queue's name. */
  handlers: Record<string, JobHandler>
  recurring: RecurringJob[]
  /** Overrides every queue's `pollSeconds`. */
  pollSeconds?: number
}

export type Jobs = {
  /** `Context.enqueue`. */
  enqueue: Context['enqueue']
  /** Begins to work jobs on this node, and sees that every recurring job is queued. */
  work: (ctx: Context, plan: JobPlan) => Promise<void>
  /** Lets running jobs end, for ten seconds at most; what is cut off is tried again by another node. */
  stop: () => Promise<void>
}

// Every node runs these. Ours are few and small queues: what matters is that an idle node is idle.
const quiet = {
  schedule: false,
  superviseIntervalSeconds: 60,
  monitorIntervalSeconds: 300,
  maintenanceIntervalSeconds: 3600,
  queueCacheIntervalSeconds: 3600,
  flowIntervalSeconds: 3600,
  monitorVacuum: false,
  reindex: false
}

const batchSize = 10

/**
 * Makes or upgrades pg-boss's schema and our queues. Called once, where migrations are run: processes that start
 * afterwards only check that it is up to date. Safe to run twice, and by two nodes at once.
 */
export async function migrateJobs(pool: Pool): Promise<void> {
  const boss = new PgBoss({ db: poolDatabase(pool), ...quiet, supervise: false, migrate: true })
  await boss.start()
  try {
    const known = new Set((await boss.getQueues()).map(({ name }) => name))
    for (const { pollSeconds: _, name, policy, ...queue } of queues) {
      const options: Omit<PgBossQueue, 'name'> = { ...queue, retryBackoff: queue.retryDelay > 0 }
      if (queue.retryDelayMax === 0) delete options.retryDelayMax
      if (known.has(name)) await boss.updateQueue(name, options)
      else await boss.createQueue(name, { ...options, policy })
    }
  } finally {
    await boss.stop({ graceful: false })
  }
}

/**
 * Opens the queue for this process. Its faults are logged; none of them ends the process. It is to be stopped before
 * the pool is.
 *
 * @throws when the schema is not up to date (`migrateJobs`)
 */
export async function startJobs(pool: Pool, log: Context['log']): Promise<Jobs> {
  const boss = new PgBoss({ db: poolDatabase(pool), ...quiet, migrate: false, useListenNotify: true })
  boss.on('error', error => log.error({ err: error }, 'the job queue failed'))
  boss.on('warning', ({ message, data }) => log.warn({ data }, message))
  // Now, not at the first job: pg-boss looks its queues up on the pool, and a transaction that waited for a second
  // connection while holding its own would be a deadlock as soon as ten of them did.
  await boss.start()
  return {
    enqueue: async (sql, queue, data) => {
      await boss.send(queue, data, { db: transactionDatabase(sql) })
    },
    work: async (ctx, plan) => {
      const handlers = { ...plan.handlers, upkeep: upkeepHandler(boss, plan.recurring) }
      for (const [name, handler] of Object.entries(handlers)) {
        const queue = queues.find(queue => queue.name === name)
        if (queue === undefined) throw new Error(`there is no queue named ${name}`)
        await workQueue(boss, { ...queue, pollSeconds: plan.pollSeconds ?? queue.pollSeconds }, job =>
          runLogged(ctx, name, () => handler(ctx, job))
        )
      }
      for (const { name } of plan.recurring) await queueTurn(boss, name, 0)
    },
    stop: async () => await boss.stop({ graceful: true, timeout: 10_000, close: false })
  }
}

/** Works a queue in batches, each job settled by itself, so that one that fails repeats no other. */
async function workQueue(boss: PgBoss, queue: Queue, handle: (job: Job) => Promise<void>): Promise<void> {
  const settle = async (job: Job): Promise<JobResult> => {
    try {
      await handle(job)
      return { id: job.id, status: 'completed' }
    } catch {
      // Nothing of the error is stored: a server's refusal may quote addresses. It is in the log.
      return { id: job.id, status: 'failed' }
    }
  }
  await boss.work(
    queue.name,
    {
      batchSize,
      // Without this a backlog would drain by one batch a poll.
      burstWhenBatchFull: true,
      perJobResults: true,
      pollingIntervalSeconds: queue.pollSeconds,
      notifyPollingIntervalSeconds: queue.pollSeconds
    },
    (jobs: Job[]) => Promise.all(jobs.map(settle))
  )
}

async function runLogged(ctx: Context, queue: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    ctx.log.warn({ err: error, queue }, 'a job failed')
    throw error
  }
}

/** Queues the next turn before this one runs, so that a turn that dies breaks no chain. */
function upkeepHandler(boss: PgBoss, recurring: RecurringJob[]): JobHandler {
  return async (ctx, { data }) => {
    const job = recurring.find(({ name }) => 'name' in data && data.name === name)
    // A newer or older release runs beside this one and has a job that this one does not know.
    if (job === undefined) return
    // Jitter keeps installations that share a database server from working at the same moment.
    await queueTurn(boss, job.name, Math.ceil(job.everySeconds * (0.9 + Math.random() * 0.2)))
    await job.run(ctx)
  }
}

/**
 * Does nothing when a turn of this job is waiting already (policy `short`): thus one leader, whichever node. Two nodes that
 * start in the same moment may each get a first turn, so a recurring job must bear to be done twice.
 */
async function queueTurn(boss: PgBoss, name: string, startAfter: number): Promise<void> {
  await boss.send('upkeep', { name }, { singletonKey: name, startAfter })
}
