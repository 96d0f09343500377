// A service in a process of its own, for helpers that want one in theirs.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Service } from './service.ts'

/** As much of a service as the helpers for applications need. */
export function facadeOf(port: number, dataDir: string): Service {
  const clients = JSON.parse(readFileSync(join(dataDir, 'demo-clients.json'), 'utf8')) as {
    client_id: string
  }[]
  const issuer = `http://localhost:${port}`
  const mailTo = async (address: string) => {
    for (;;) {
      const mails = (await (await fetch(`${issuer}/dev/mailbox.json`)).json()) as { to: string }[]
      const found = mails.filter(({ to }) => to === address)
      if (found.length > 0) return found
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  return {
    issuer,
    clients: Object.fromEntries(clients.map(client => [client.client_id, client])),
    mailTo
  } as unknown as Service
}
