// An application's server that is told over TLS when its person has decided, and may misbehave.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { issueCertificate } from './certificates.ts'

type Test = { teardown: (work: () => unknown) => void }

export type Notice = { authorization: string | undefined; type: string | undefined; body: string; at: number }

export type Receiver = {
  url: string
  notices: Notice[]
  /** How the next ones are answered: by a status, or not at all. */
  behave: (answer: number | 'hang') => void
}

/** Listens on a loopback address. Its certificate is trusted in this process until teardown. */
export async function startReceiver(t: Test): Promise<Receiver> {
  const { pem: cert, privateKey } = issueCertificate('receiver', { names: ['IP:127.0.0.1'] })
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' })
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, cert])
  const notices: Notice[] = []
  let behaviour: number | 'hang' = 204
  const server = createServer({ cert, key }, async (request, answer) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { authorization, 'content-type': type } = request.headers
    notices.push({ authorization, type, body: Buffer.concat(chunks).toString(), at: performance.now() })
    if (behaviour !== 'hang') answer.writeHead(behaviour).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    setDefaultCACertificates(trusted)
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}/notify`,
    notices,
    behave: answer => {
      behaviour = answer
    }
  }
}
