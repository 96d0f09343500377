// A server on loopback for documents that the service fetches: key sets and the like. It counts, and can misbehave.
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

export type DocumentServer = {
  url: string
  /** Paths that were asked for, in order. */
  asked: string[]
  /** How many connections were made to it. */
  connections: () => number
  /** How it answers from now on. */
  answer: (listener: RequestListener) => void
  close: () => Promise<void>
}

export async function startDocumentServer(
  t: { teardown: (work: () => unknown) => void },
  listener: RequestListener
): Promise<DocumentServer> {
  let current = listener
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    current(request, response)
  })
  let connections = 0
  server.on('connection', () => connections++)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  t.teardown(close)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    connections: () => connections,
    close,
    answer: next => {
      current = next
    }
  }
}

/** Answers with a document, which caches may keep for a year. */
export const documentOf =
  (document: () => unknown): RequestListener =>
  (_request, response) =>
    void response
      .writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=31536000' })
      .end(JSON.stringify(document()))
