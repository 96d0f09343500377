// A range server as the one of Pwned Passwords, on loopback. It can also misbehave.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Behaviour = 'answers' | 'hangs' | 'trickles' | 'fails' | 'garbage' | 'huge' | 'redirects'

export type BreachList = {
  url: string
  /** What was asked for: paths and what the padding header said. */
  asked: { path: string; padding: unknown }[]
  behave: (behaviour: Behaviour) => void
  close: () => Promise<void>
}

/** `lines` are those of every range. */
export async function startBreachList(
  t: { teardown: (work: () => unknown) => void },
  lines: () => string[]
): Promise<BreachList> {
  let behaviour: Behaviour = 'answers'
  const asked: BreachList['asked'] = []
  const server = createServer((request, answer) => {
    asked.push({ path: request.url ?? '', padding: request.headers['add-padding'] })
    const padding = Array.from(
      { length: 900 },
      (_, n) => `${n.toString(16).toUpperCase().padStart(35, '0')}:0`
    )
    const range = [...padding, ...lines()].join('\r\n')
    if (behaviour === 'answers') answer.end(range)
    if (behaviour === 'trickles') answer.write(range)
    if (behaviour === 'fails') answer.writeHead(500).end(range)
    if (behaviour === 'garbage') answer.end('<html>It works!</html>')
    if (behaviour === 'huge') answer.end(`${range}\r\n`.repeat(20))
    if (behaviour === 'redirects')
      answer.writeHead(302, { location: request.url?.includes('?') ? '/' : `${request.url}?again` }).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  t.teardown(close)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/range`,
    asked,
    close,
    behave: next => {
      behaviour = next
    }
  }
}
