// The guarded way out: where nobody may send us, and what we put up with from where we go (RFC 6890, RFC 7591 §5).
import type { RequestListener } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import t, { type Test } from 'tap'
import { fetchOutbound, type OutboundOptions, OutboundRefused } from '../../src/http/outbound.ts'
import { startDocumentServer } from '../helpers/document-server.ts'

const nowhere: string[] = []
const loopback = ['127.0.0.0/8', '::1']

const attempt = async (url: string, allowed = nowhere, options: OutboundOptions = {}) =>
  await fetchOutbound({ outboundAllowedNetworks: allowed }, url, options).then(
    response => ({ response, error: null }),
    (error: Error) => ({ response: null, error })
  )

/** Refused by us, before anything was sent. */
async function isRefused(t: Test, url: string, allowed = nowhere): Promise<void> {
  const { error } = await attempt(url, allowed)
  t.ok(error instanceof OutboundRefused, `${url}: ${error}`)
}

t.test('special-use addresses of both families are refused', async t => {
  const addresses = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '255.255.255.255',
    '[::]',
    '[::1]',
    '[::127.0.0.1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:a9fe:a9fe]',
    '[::ffff:0:127.0.0.1]',
    '[::ffff:0:a9fe:a9fe]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::1]',
    '[100::1]',
    '[2001::1]',
    '[2001:db8::1]',
    '[2002:7f00:1::]',
    '[3fff::1]',
    '[5f00::1]',
    '[fc00::1]',
    '[fd12:3456::1]',
    '[fe80::1]',
    '[fec0::1]',
    '[ff02::1]'
  ]
  for (const address of addresses)
    for (const scheme of ['https', 'http']) await isRefused(t, `${scheme}://${address}/`)
})

t.test('an address in another spelling is the same address', async t => {
  for (const spelling of [
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0x7f.1',
    '127.1',
    '017700000001',
    '127.0.0.1.',
    '①②⑦.⓪.⓪.①',
    '169.254.43518',
    '[0:0:0:0:0:0:0:1]',
    '[0000:0000:0000:0000:0000:ffff:7f00:0001]',
    '%31%32%37.0.0.1'
  ])
    await isRefused(t, `https://${spelling}/`)
})

t.test('a name that leads to one is refused, and not even connected to', async t => {
  const server = await startDocumentServer(t, (_request, response) => void response.end('secret'))
  const { port } = new URL(server.url)
  for (const name of ['localhost', 'LOCALHOST', 'localhost.', 'anything.localhost'])
    for (const scheme of ['https', 'http']) {
      const { response } = await attempt(`${scheme}://${name}:${port}/`)
      t.equal(response, null, name)
    }
  await isRefused(t, `http://localhost:${port}/`)
  t.equal(server.connections(), 0)
})

t.test('own networks are let through, and only those', async t => {
  const server = await startDocumentServer(t, (_request, response) => void response.end('ours'))
  for (const allowed of [['127.0.0.1'], ['127.0.0.0/8'], ['10.0.0.0/8', '127.0.0.1/32']])
    t.equal(await (await attempt(server.url, allowed)).response?.text(), 'ours', allowed.join())
  const byName = await attempt(server.url.replace('127.0.0.1', 'localhost'), loopback)
  t.equal(await byName.response?.text(), 'ours', 'by name too')
  for (const allowed of [['127.0.0.2'], ['10.0.0.0/8'], ['::1']]) await isRefused(t, server.url, allowed)
})

t.test('plain http goes to own networks alone, and no other scheme or user name anywhere', async t => {
  // Public addresses: were they let through, this would be a connection.
  for (const url of ['http://1.1.1.1/', 'http://[2606:4700:4700::1111]/', 'http://[::ffff:1.1.1.1]/'])
    await isRefused(t, url, loopback)
  for (const url of [
    'ftp://127.0.0.1/',
    'file:///etc/passwd',
    'gopher://127.0.0.1/',
    'data:text/plain,x',
    'http://user@127.0.0.1/',
    'http://127.0.0.1@evil.example/',
    'not a url',
    '//127.0.0.1/',
    ''
  ])
    await isRefused(t, url, loopback)
})

t.test('redirects are answers, not followed', async t => {
  const server = await startDocumentServer(
    t,
    (request, response) => void response.writeHead(302, { location: `${request.url}/secret` }).end('moved')
  )
  for (const status of [301, 302, 303, 307, 308]) {
    server.answer((_request, response) => void response.writeHead(status, { location: '/secret' }).end())
    const { response } = await attempt(server.url, loopback)
    t.equal(response?.status, status)
    t.equal(response?.headers.get('location'), '/secret')
  }
  t.notOk(server.asked.includes('/secret'))
})

t.test('an answer larger than 1 MB is refused, however it comes', async t => {
  const megabyte = 1024 * 1024
  const answers: Record<string, RequestListener> = {
    'with its length': (_request, response) => void response.end(Buffer.alloc(megabyte + 1)),
    'bit by bit': (_request, response) => {
      response.writeHead(200)
      const more = () => {
        if (!response.destroyed && response.write(Buffer.alloc(65_536))) setImmediate(more)
      }
      response.on('drain', more)
      more()
    }
  }
  const server = await startDocumentServer(
    t,
    (_request, response) => void response.end(Buffer.alloc(megabyte))
  )
  t.equal((await (await attempt(server.url, loopback)).response?.arrayBuffer())?.byteLength, megabyte)
  for (const [how, answer] of Object.entries(answers)) {
    server.answer(answer)
    const { error } = await attempt(server.url, loopback)
    t.ok(error instanceof OutboundRefused, how)
    t.match(error?.message, /larger than 1048576 bytes/, how)
  }
})

t.test('an answer that takes too long is cut off, wherever it stops', async t => {
  const stops: Record<string, RequestListener> = {
    'before its head': () => {},
    'after its head': (_request, response) => void response.writeHead(200).flushHeaders(),
    'byte by byte': (_request, response) => {
      const timer = setInterval(() => response.write('x'), 50)
      response.on('close', () => clearInterval(timer))
    }
  }
  const server = await startDocumentServer(t, () => {})
  for (const [where, answer] of Object.entries(stops)) {
    server.answer(answer)
    const startedAt = performance.now()
    const { error } = await attempt(server.url, loopback, { timeoutMs: 300 })
    t.ok(error, where)
    t.ok(performance.now() - startedAt < 3000, where)
  }
  const silent = createTcpServer(() => {})
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const { port } = silent.address() as { port: number }
  const { error } = await attempt(`https://127.0.0.1:${port}/`, loopback, { timeoutMs: 300 })
  t.ok(error, 'in the middle of a handshake')
  const later = new AbortController()
  setTimeout(() => later.abort(), 100)
  t.ok((await attempt(server.url, loopback, { signal: later.signal })).error, 'or when the caller gives up')
})

t.test('what is sent is what was given, with our name and without a body of its own', async t => {
  const seen: { method?: string; headers: Record<string, unknown>; body: string }[] = []
  const server = await startDocumentServer(t, (request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      seen.push({ method: request.method ?? '', headers: request.headers, body })
      response.writeHead(204).end()
    })
  })
  const body = new URLSearchParams({ logout_token: 'a.b.c' })
  const { response } = await attempt(server.url, loopback, {
    method: 'POST',
    headers: { accept: 'text/plain' },
    body
  })
  t.equal(response?.status, 204)
  t.match(seen[0], {
    method: 'POST',
    body: 'logout_token=a.b.c',
    headers: {
      'user-agent': 'Gatehouse',
      accept: 'text/plain',
      'content-type': 'application/x-www-form-urlencoded'
    }
  })
  t.notOk('cookie' in (seen[0]?.headers ?? {}))
})
