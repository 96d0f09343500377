// A site on loopback with a certificate that this process believes: other people's documents, well or badly served.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { pemOfKey, trustedCertificate } from './tls.ts'

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
  posted: { path: string; type: string; body: string }[]
}

export async function startSite(t: { teardown: (work: () => unknown) => void }): Promise<Site> {
  const certificate = trustedCertificate(t)
  const tls = { key: pemOfKey(certificate), cert: certificate.pem }
  const pages: Site['pages'] = new Map()
  const asked: string[] = []
  const posted: Site['posted'] = []
  const server = createServer(tls, async (request, response) => {
    const { method, url: path = '', headers: sent } = request
    asked.push(path)
    if (method === 'POST') posted.push({ path, type: sent['content-type'] ?? '', body: await text(request) })
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
  return { origin: `https://localhost:${(server.address() as AddressInfo).port}`, pages, asked, posted }
}
