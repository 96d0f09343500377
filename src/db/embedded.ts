// The supervisor of the embedded PostgreSQL: one server a data directory, started when first needed, shared by every
// Gatehouse process on it (the service, a second node, the operator's commands), stopped by the last of them.
//
// Sharing rather than refusing, because the operator's commands must work beside a running service. So there is no
// lock file: what counts is PostgreSQL's own pid file, whether its process is really that server, and a lock held in
// it (embedded-lease.ts). When a kill -9 ends Gatehouse, its server is one that nobody shares; the next start takes it.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Binaries, findBinaries } from './embedded-binaries.ts'
import { ensureDatabase, type Lease, openLease, serviceUrl } from './embedded-lease.ts'
import { findPostmaster, type Postmaster, stopPostmaster } from './embedded-postmaster.ts'
import { prepareSite, type Site } from './embedded-site.ts'
import { startServer } from './embedded-start.ts'

type LogLine = (facts: object, message: string) => void
type Log = { info: LogLine; warn: LogLine; error: LogLine }

export type EmbeddedOptions = {
  /** Where the database lives: DATA_DIR/postgres. */
  directory: string
  log: Log
  /** Other programs than those that npm installed for this machine. */
  binaries?: Binaries
  /** Server settings beside our own. */
  settings?: Record<string, string>
}

export type Embedded = {
  /** For `connect`; stays the same as long as this process uses the server. */
  url: string
  /** Ends this process's use, and the server if nobody else uses it. Close pools before: connections are cut. */
  stop(): Promise<void>
}

/**
 * Makes sure that a PostgreSQL server with the database `gatehouse` runs on `directory`, and uses it until `stop`.
 *
 * Should the server crash meanwhile, it is started again. Throws in words for an operator where it cannot run.
 */
export async function startEmbedded({
  directory,
  log,
  binaries = findBinaries(),
  settings = {}
}: EmbeddedOptions): Promise<Embedded> {
  const site = await prepareSite(directory, binaries, settings)
  const first = await acquire(site)
  try {
    await ensureDatabase(first.sql, site.password)
  } catch (error) {
    await leave(site, first, log)
    throw error
  }
  log.info({ pid: first.postmaster.pid, directory: site.home }, 'embedded PostgreSQL is up')
  return { url: serviceUrl(first.postmaster, site.password), stop: keep(site, first, log) }
}

/** Takes a new share whenever ours is lost, starting the server if need be. Returns the way to end that. */
function keep(site: Site, first: Lease, log: Log): () => Promise<void> {
  const stopping = new AbortController()
  let lease: Lease | null = first
  const watch = async () => {
    while (!stopping.signal.aborted) {
      const held = lease
      await held?.lost
      if (stopping.signal.aborted) return
      // From here until it is taken anew there is nothing that `stop` could give up: it waits for us.
      lease = null
      log.warn({ directory: site.home }, 'embedded PostgreSQL was lost: starting it again')
      await held?.end()
      lease = await acquire(site).catch(error => {
        log.error({ err: error }, 'embedded PostgreSQL does not start')
        return null
      })
      if (lease === null) await sleep(5000, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
  const stop = async (watched: Promise<void>) => {
    stopping.abort()
    if (lease === null) await watched
    if (lease !== null) await leave(site, lease, log)
  }
  const watched = watch()
  let stopped: Promise<void> | undefined
  return () => {
    stopped ??= stop(watched)
    return stopped
  }
}

/** How long a server that is there may not answer, in each of its states, before it is stopped and started anew. */
const patienceMs = { starting: 120_000, ready: 10_000, stopping: 10_000 }

/** A share in a live server: one that runs, else one that is started. */
async function acquire(site: Site): Promise<Lease> {
  let patience = { key: '', since: 0 }
  for (let failures = 0; ; ) {
    const running = findPostmaster(site.dataDirectory)
    if (running === null) {
      await startServer(site).catch(async error => {
        failures += 1
        if (failures === 4) throw error
        await sleep(failures * 100)
      })
      continue
    }
    const lease = running.state === 'ready' ? await openLease(running, site.password) : null
    if (lease !== null) return lease
    const key = `${running.pid} ${running.state}`
    if (patience.key !== key) patience = { key, since: performance.now() }
    if (performance.now() - patience.since > patienceMs[running.state]) await giveUp(site, running)
    await sleep(20)
  }
}

async function giveUp(site: Site, { pid, state }: Postmaster): Promise<void> {
  if (await stopPostmaster(site, pid)) return
  throw new Error(
    `The embedded database's server (process ${pid}, ${state}) neither answers nor stops: end it, or see ${site.logFile}`
  )
}

async function leave(site: Site, lease: Lease, log: Log): Promise<void> {
  const last = await lease.release().catch(() => null)
  if (last === true) {
    const gone = await stopPostmaster(site, lease.postmaster.pid)
    if (!gone) log.error({ pid: lease.postmaster.pid }, 'embedded PostgreSQL does not stop')
  }
  if (last === false) log.info({ directory: site.home }, 'embedded PostgreSQL stays up: others use it')
  await lease.end()
  if (last !== null) return
  // The connection broke at this very moment: who else is there can only be asked over a new one.
  const running = findPostmaster(site.dataDirectory)
  const another = running && (await openLease(running, site.password))
  if (another) await leave(site, another, log)
}
