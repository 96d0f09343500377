// What no browser sends: requests that two machines on the way would read differently, heads and bodies beyond measure.
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { rawRequest, sendRaw } from '../helpers/raw.ts'
import { startService } from '../helpers/service.ts'

const service = await startService(t)
const form = 'Content-Type: application/x-www-form-urlencoded'
const smuggled = 'GET /healthz?smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'

const ambiguous: Record<string, string> = {
  'Content-Length and Transfer-Encoding': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Content-Length: 6', 'Transfer-Encoding: chunked'],
    body: `0\r\n\r\n${smuggled}`
  }),
  'Transfer-Encoding and Content-Length': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Transfer-Encoding: chunked', 'Content-Length: 6'],
    body: `0\r\n\r\n${smuggled}`
  }),
  'two lengths that differ': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Content-Length: 0', `Content-Length: ${smuggled.length}`],
    body: smuggled
  }),
  'a length that is a list': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Content-Length: 0, 9'],
    body: smuggled
  }),
  'a signed length': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Content-Length: +0'],
    body: smuggled
  }),
  'a hexadecimal length': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Content-Length: 0x0'],
    body: smuggled
  }),
  'chunks that are not the last coding': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Transfer-Encoding: chunked, identity'],
    body: `0\r\n\r\n${smuggled}`
  }),
  'an unknown coding': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Transfer-Encoding: xchunked'],
    body: `0\r\n\r\n${smuggled}`
  }),
  'a chunk size that is none': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Transfer-Encoding: chunked'],
    body: `xyz\r\n\r\n${smuggled}`
  }),
  'a chunk longer than it says': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Transfer-Encoding: chunked'],
    body: `1\r\nabcdef\r\n0\r\n\r\n${smuggled}`
  }),
  'a chunk size that overflows': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Transfer-Encoding: chunked'],
    body: `ffffffffffffffffff\r\na\r\n0\r\n\r\n${smuggled}`
  }),
  'a folded header': rawRequest('/healthz', { headers: ['X-Fold: a', ' b'] }),
  'a folded Transfer-Encoding': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Content-Length: 4', 'Transfer-Encoding:', ' chunked'],
    body: `0\r\n\r\n${smuggled}`
  }),
  'a space before the colon': rawRequest('/token', {
    method: 'POST',
    headers: [form, 'Transfer-Encoding : chunked'],
    body: `0\r\n\r\n${smuggled}`
  }),
  'line feeds alone': 'GET /healthz HTTP/1.1\nHost: localhost\n\n',
  'a bare carriage return': 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\rY: b\r\n\r\n',
  'NUL in a header': rawRequest('/healthz', { headers: ['X: a\0b'] }),
  'no Host': 'GET /healthz HTTP/1.1\r\n\r\n',
  'an unknown version': 'GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n',
  'a space in the target': 'GET /healthz extra HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a control character in the target': 'GET /health\x01z HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'what is not HTTP': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'
}

t.test('INP-8: a request that can be read in two ways gets 400 and the connection ends', async t => {
  await Promise.all(
    Object.entries(ambiguous).map(async ([what, bytes]) => {
      const { answers, closed } = await sendRaw(service.issuer, bytes)
      t.strictSame(
        answers.map(({ status }) => status),
        [400],
        what
      )
      t.equal(closed, true, `${what}: the connection ends`)
      t.notMatch(answers.map(({ body }) => body).join(), '{"status":"ok"}', `${what}: nothing was smuggled`)
    })
  )
})

t.test('WEB-1: even what is not HTTP is answered with the headers of every answer', async t => {
  for (const what of ['a folded header', 'an unknown coding', 'what is not HTTP']) {
    const { answers } = await sendRaw(service.issuer, ambiguous[what] ?? '')
    const [answer] = answers
    t.match(answer?.headers, {
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': /default-src 'none'/,
      connection: 'close'
    })
    t.match(JSON.parse(answer?.body ?? ''), { error: { code: 'invalid_request', requestId: /^[\w-]{36}$/ } })
    t.notMatch(answer?.body, /node|HPE|stack/i)
  }
})

t.test('INP-5: heads beyond measure are refused', async t => {
  const long = await sendRaw(
    service.issuer,
    rawRequest('/healthz', { headers: [`X: ${'a'.repeat(20_000)}`] })
  )
  t.equal(long.answers[0]?.status, 431)
  t.equal(long.closed, true)
  const target = await sendRaw(service.issuer, rawRequest(`/${'a'.repeat(20_000)}`))
  t.equal(target.answers[0]?.status, 431)
  const many = await sendRaw(
    service.issuer,
    rawRequest('/healthz', { headers: Array.from({ length: 3000 }, (_, i) => `X${i}: ${i}`) })
  )
  t.equal(many.answers[0]?.status, 431)
})

t.test('INP-5: bodies beyond measure are refused before they are read', async t => {
  for (const [target, expected] of [
    ['/interaction/abc/sign-in', /^413$/],
    ['/token', /^4(00|13)$/]
  ] as const) {
    const startedAt = performance.now()
    const { answers } = await sendRaw(
      service.issuer,
      rawRequest(target, { method: 'POST', headers: [form, 'Content-Length: 10000000000'], body: 'a=1' })
    )
    t.match(String(answers[0]?.status), expected, target)
    t.ok(performance.now() - startedAt < 2000)
    const chunk = `10000\r\n${'a'.repeat(65_536)}\r\n`
    const chunked = await sendRaw(
      service.issuer,
      rawRequest(target, {
        method: 'POST',
        headers: [form, 'Transfer-Encoding: chunked'],
        body: chunk.repeat(4)
      })
    )
    t.match(String(chunked.answers[0]?.status), expected, `${target} in chunks`)
  }
})

t.test('INP-5: what is packed is not unpacked', async t => {
  const bomb = gzipSync(Buffer.alloc(20_000_000, 'a='))
  t.ok(bomb.length < 60_000)
  for (const target of ['/interaction/abc/sign-in', '/token', '/introspect']) {
    const before = process.memoryUsage.rss()
    const head = rawRequest(target, {
      method: 'POST',
      headers: [form, 'Content-Encoding: gzip', `Content-Length: ${bomb.length}`]
    })
    const { answers } = await sendRaw(service.issuer, Buffer.concat([Buffer.from(head), bomb]))
    t.match(String(answers[0]?.status), /^4\d\d$/, target)
    t.ok(process.memoryUsage.rss() - before < 20_000_000, `${target}: nothing grew`)
  }
})

t.test('INP-3: an absolute-form target leads to no other host', async t => {
  for (const target of [
    'http://evil.example/auth?client_id=demo-web',
    'http://evil.example/verify-email/x',
    'https://evil.example/',
    '//evil.example/auth',
    'evil.example:443',
    '*'
  ]) {
    const { answers } = await sendRaw(service.issuer, rawRequest(target))
    t.match(String(answers[0]?.status), /^(200|303|4\d\d)$/, target)
    t.notMatch(answers[0]?.headers.location ?? '', 'evil', target)
    t.notMatch(answers[0]?.body ?? '', /(href|action|src)="[^"]*evil/, target)
  }
})

t.test('INP-2: without trusted proxies no header names another host, scheme or address', async t => {
  const forged = [
    'Host: evil.example',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: https',
    'X-Forwarded-For: 203.0.113.9',
    'Forwarded: for=203.0.113.9;host=evil.example;proto=https',
    'X-Original-URL: /dev/mailbox',
    'X-Rewrite-URL: /dev/mailbox'
  ]
  for (const target of [
    '/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server',
    '/',
    '/auth?client_id=demo-web',
    '/session/end',
    '/nowhere'
  ]) {
    const { answers } = await sendRaw(
      service.issuer,
      [`GET ${target} HTTP/1.1`, ...forged, '', ''].join('\r\n')
    )
    const [answer] = answers
    t.ok(answer, target)
    t.notMatch(`${JSON.stringify(answer?.headers)}${answer?.body}`, 'evil.example', target)
  }
})
