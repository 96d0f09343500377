// Runs the demo application by itself: node examples/demo-app/main.ts, beside a Gatehouse that `npm start` runs.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startDemoApp } from './app.ts'
import type { DemoClient } from './relying-party.ts'

const { ISSUER = 'http://localhost:3000', DATA_DIR = './data', DEMO_PORT = '3001' } = process.env

function readClient(): DemoClient {
  const path = join(DATA_DIR, 'demo-clients.json')
  try {
    const clients = JSON.parse(readFileSync(path, 'utf8')) as DemoClient[]
    const client = clients.find(({ client_id }) => client_id === 'demo-web')
    if (client !== undefined) return client
  } catch (error) {
    console.error(
      `${path} cannot be read: start Gatehouse once, which writes it. (${(error as Error).message})`
    )
    process.exit(1)
  }
  console.error(`${path} does not hold the client demo-web`)
  process.exit(1)
}

const app = await startDemoApp({ issuer: ISSUER, client: readClient(), port: Number(DEMO_PORT) })
console.log(`Demo application: ${app.url}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close())
