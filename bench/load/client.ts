// The load generator's HTTP client: one keep-alive connection that sends one request at a time. Node's own client costs
// more per request than some of the answers that are measured here, and it would run on the same cores as the server.
import { connect } from 'node:net'

/** `head` and `body` in latin1: everything that is looked for in them is ASCII. */
export type Answer = { status: number; head: string; body: string }
export type Request = { method: 'GET' | 'POST'; path: string; headers?: string[]; body?: string }

export type Connection = {
  send: (request: Request) => Promise<Answer>
  close: () => void
}

/** Opens a connection. `send` throws when the answer is cut off; there is no retry. */
export function openConnection(origin: string): Connection {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname).setNoDelay().setEncoding('latin1')
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null = null
  let received = ''
  socket.on('data', (chunk: string) => {
    received += chunk
    const answer = readAnswer(received)
    if (answer === null || waiting === null) return
    const { resolve } = waiting
    received = ''
    waiting = null
    resolve(answer)
  })
  socket.on('error', error => waiting?.reject(error))
  const closed = () => new Error(`${origin} closed the connection`)
  socket.on('close', () => waiting?.reject(closed()))
  return {
    send: request =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(closed())
        waiting = { resolve, reject }
        socket.write(toText(request, `${hostname}:${port}`), 'latin1')
      }),
    close: () => void socket.destroy()
  }
}

function toText({ method, path, headers = [], body }: Request, host: string): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers]
  if (body !== undefined)
    lines.push('Content-Type: application/x-www-form-urlencoded', `Content-Length: ${body.length}`)
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

/** Null while some of the answer is still missing. */
function readAnswer(text: string): Answer | null {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return null
  const head = text.slice(0, end + 2)
  const status = Number(head.slice(9, 12))
  const length = status === 204 || status === 304 ? 0 : Number(header(head, 'content-length'))
  if (Number.isNaN(length)) throw new Error(`an answer without Content-Length: ${head}`)
  return text.length < end + 4 + length ? null : { status, head, body: text.slice(end + 4) }
}

/** The first header of that name. */
export function header(head: string, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: ([^\\r]*)`, 'i').exec(head)?.[1]
}
