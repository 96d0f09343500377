// How many argon2id hashes this machine can do when it does nothing else: what bounds sign-ins.
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { loadConfig } from '../../src/config/load.ts'
import { dummyPhc, matchesPhc } from '../../src/credentials/phc.ts'
import { answerParent } from '../child.ts'

const loaded = loadConfig({ ENCRYPTION_KEY: randomBytes(32).toString('base64') }, { writeSecrets: false })
if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
const password = Buffer.from('correct horse battery staple')
const phc = dummyPhc(loaded.config.argon2)

/** Hashes a second, as many at a time as there are cores. */
async function hash(seconds: number): Promise<number> {
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  let count = 0
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      for (; performance.now() < until; count++) await matchesPhc(phc, password)
    })
  )
  return (count * 1000) / (performance.now() - startedAt)
}

answerParent({ hash })
