// Gatehouse as it is, as a process of its own.
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { connect, connectForLookups } from '../../src/db/connect.ts'
import { createLog } from '../../src/http/log.ts'
import { answerParent, startOptions } from '../child.ts'
import { usageAnswers } from './usage.ts'

export type GatehouseOptions = {
  port: number
  databaseUrl: string
  encryptionKey: string
  /** Counts statements, which costs time, and leaves the jobs to another. */
  counting: boolean
}

const { port, databaseUrl, encryptionKey, counting } = startOptions<GatehouseOptions>()
const loaded = loadConfig(
  {
    ISSUER: `http://127.0.0.1:${port}`,
    HOST: '127.0.0.1',
    PORT: String(port),
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: encryptionKey,
    // Everybody here has one address.
    REQUESTS_PER_ADDRESS_PER_MINUTE: '1000000',
    FAILURES_PER_NETWORK_PER_HOUR: '1000000',
    SIGN_UPS_PER_NETWORK_PER_HOUR: '1000000'
  },
  { writeSecrets: false }
)
if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
const { config } = loaded
let statements = 0
const onStatement = (text: string) => void (text !== '' && statements++)
const database = { url: databaseUrl, ...(counting ? { onStatement } : {}) }
const pool = connect({ ...database, poolSize: config.databasePoolSize })
const lookups = connectForLookups(database)
const app = await startApp({
  config,
  pool,
  lookups,
  now: () => new Date(),
  logger: createLog('warn'),
  ...(counting ? { jobs: false } : {})
})
await app.http.listen({ host: config.host, port })
answerParent(
  usageAnswers(() => statements),
  async () => {
    await app.close()
    await Promise.all([pool.end({ timeout: 1 }), lookups.end({ timeout: 1 })])
  }
)
