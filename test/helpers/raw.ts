// Bytes on a socket, as no client library would send them.
import { connect } from 'node:net'

export type RawAnswer = {
  /** Every answer on the connection, in order. */
  answers: { status: number; headers: Record<string, string>; body: string }[]
  /** The server ended the connection. */
  closed: boolean
}

/**
 * Sends `bytes` to the service and reads until it ends the connection, or until `quietMs` after its last word.
 */
export async function sendRaw(issuer: string, bytes: string | Buffer, quietMs = 150): Promise<RawAnswer> {
  const socket = connect({ host: 'localhost', port: Number(new URL(issuer).port) })
  const chunks: Buffer[] = []
  const closed = await new Promise<boolean>(resolve => {
    socket.setTimeout(3000, () => resolve(false))
    socket.on('data', chunk => {
      chunks.push(chunk)
      socket.setTimeout(quietMs)
    })
    socket.on('end', () => resolve(true))
    socket.on('close', () => resolve(true))
    // A reset after the answer is an end, too.
    socket.on('error', () => {})
    socket.write(bytes)
  })
  socket.destroy()
  return { answers: parseAnswers(Buffer.concat(chunks)), closed }
}

function parseAnswers(bytes: Buffer): RawAnswer['answers'] {
  const answers: RawAnswer['answers'] = []
  let rest = bytes
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) break
    const [statusLine = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n')
    const headers = Object.fromEntries(
      lines.map(line => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim()
      ])
    )
    const length = Number(headers['content-length'] ?? rest.length - end - 4)
    const body = rest.subarray(end + 4, end + 4 + length).toString()
    answers.push({ status: Number(statusLine.split(' ')[1]), headers, body })
    rest = rest.subarray(end + 4 + length)
  }
  return answers
}

/** A request as bytes; `headers` are lines. */
export const rawRequest = (target: string, { method = 'GET', headers = [] as string[], body = '' } = {}) =>
  [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n')
