// A mail server on loopback that keeps what it is told, and can misbehave.
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { SMTPServer } from 'smtp-server'

export type Received = { from: string; to: string[]; source: string }

export type MailServer = {
  url: string
  received: Received[]
  /** Every line that clients sent, commands and content alike, as it came over the wire. */
  transcript: () => string
  /** What the server answers from now on. */
  behave: (how: 'well' | { refuseRecipient: number } | { refuseMessage: number } | 'drop' | 'hang') => void
  attempts: () => number
}

type Teardown = { teardown: (work: () => unknown) => void }

/** Starts a mail server, in front of it a tap that writes down the raw lines. */
export async function startMailServer(t: Teardown): Promise<MailServer> {
  const received: Received[] = []
  const lines: Buffer[] = []
  let behaviour: Parameters<MailServer['behave']>[0] = 'well'
  let attempts = 0
  const answer = (code: number) => Object.assign(new Error(`${code} no`), { responseCode: code })
  const sockets = new Set<Socket>()

  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onRcptTo: (_address, _session, done) => {
      attempts++
      if (typeof behaviour === 'object' && 'refuseRecipient' in behaviour)
        done(answer(behaviour.refuseRecipient))
      else done()
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        if (behaviour === 'hang') return
        if (behaviour === 'drop') return void sockets.forEach(socket => void socket.destroy())
        if (typeof behaviour === 'object' && 'refuseMessage' in behaviour)
          return done(answer(behaviour.refuseMessage))
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          source: Buffer.concat(chunks).toString()
        })
        done()
      })
    }
  })
  smtp.on('error', () => {})
  const proxy = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    // Copied before the server reads it: what a client sent is seen even where the server reads it as something else.
    socket.on('data', chunk => lines.push(Buffer.from(chunk)))
    smtp.server.emit('connection', socket)
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => proxy.close(resolve))
  })
  return {
    url: `smtp://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    received,
    transcript: () => Buffer.concat(lines).toString(),
    behave: how => {
      behaviour = how
    },
    attempts: () => attempts
  }
}
