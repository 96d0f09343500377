// What the OpenID Foundation's test suite serves as a client, on loopback: documents by path, and requests that it takes.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type SuiteRequest = { method: string; path: string; contentType: string; form: URLSearchParams }

export type SuiteServer = {
  origin: string
  /** JSON by path; replaced at will. What is not here is taken and answered with nothing. */
  documents: Map<string, unknown>
  /** What came, oldest first. */
  requests: SuiteRequest[]
}

export async function startSuiteServer(t: { teardown: (work: () => unknown) => void }): Promise<SuiteServer> {
  const documents = new Map<string, unknown>()
  const requests: SuiteRequest[] = []
  const server = createServer(async (request, answer) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url: path = '', headers } = request
    const form = new URLSearchParams(Buffer.concat(chunks).toString())
    requests.push({ method, path, contentType: headers['content-type'] ?? '', form })
    const document = documents.get(path)
    answer.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    answer.end(document === undefined ? undefined : JSON.stringify(document))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, documents, requests }
}
