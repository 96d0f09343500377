// A site on loopback with a certificate that this process believes: other people's documents, well or badly served.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { issueCertificate } from './certificates.ts'

export type Page = {
  status?: number
  headers?: Record<string, string>
  body?: unknown
  /** Waited for before the answer. */
  after?: Promise<unknown>
}

export type Site = {
  origin: string
  /** What is served where; a text is sent as it is, all else as JSON. Absent: the connection breaks off. */
  pages: Map<string, Page>
  /** Each request's path, as it came. */
  asked: string[]
}

export async function startSite(t: { teardown: (work: () => unknown) => void }): Promise<Site> {
  const authority = issueCertificate('Test authority', { ca: true })
  const leaf = issueCertificate('localhost', { issuer: authority })
  setDefaultCACertificates([...getCACertificates('default'), authority.pem])
  const pages: Site['pages'] = new Map()
  const asked: string[] = []
  const key = leaf.privateKey.export({ format: 'pem', type: 'pkcs8' })
  const server = createServer({ key, cert: leaf.pem }, async (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const page = pages.get(path)
    await page?.after
    if (page === undefined) return void request.socket.destroy()
    const { status = 200, headers = {}, body = '' } = page
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `https://localhost:${(server.address() as AddressInfo).port}`, pages, asked }
}
