// What a request calls the service is nobody's business: every URL that leaves begins with the issuer.
import { connect } from 'node:net'
import t from 'tap'
import { authorizationUrl, clientOf } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

/** Sends bytes as they are, and answers with all that came back. */
async function sendRaw(port: number, lines: string[], body = ''): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, 'localhost', () => socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`))
    let answer = ''
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')))
    socket.on('data', chunk => {
      answer += chunk
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

t.test('OID-21, SES-8: no host of a request reaches an answer', async t => {
  const service = await startService(t)
  const { port, host } = new URL(service.issuer)
  const client = clientOf(service, 'demo-web')
  const authorization = authorizationUrl(service, client).slice(service.issuer.length)
  const evil = 'evil.example'
  const disguises: [string, string[]][] = [
    ['Host', [`Host: ${evil}`]],
    ['Host with a port', [`Host: ${evil}:443`]],
    ['X-Forwarded-Host', [`Host: ${host}`, `X-Forwarded-Host: ${evil}`]],
    [
      'X-Forwarded-Host and -Proto',
      [`Host: ${host}`, `X-Forwarded-Host: ${evil}`, 'X-Forwarded-Proto: ftp', `X-Forwarded-Server: ${evil}`]
    ],
    ['Forwarded', [`Host: ${host}`, `Forwarded: host=${evil};proto=https;for=1.2.3.4`]],
    [
      'X-Original-URL',
      [
        `Host: ${host}`,
        `X-Original-URL: https://${evil}/`,
        `X-Rewrite-URL: https://${evil}/`,
        `X-Host: ${evil}`
      ]
    ],
    ['two Hosts', [`Host: ${host}`, `Host: ${evil}`]],
    ['two Hosts, the evil one first', [`Host: ${evil}`, `Host: ${host}`]],
    ['a Host with a user', [`Host: ${host}@${evil}`]],
    ['a Host that is a path', [`Host: ${evil}/x?`]],
    ['a Host that is none', ['Host: <script>']]
  ]
  const paths = [
    '/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server',
    authorization,
    '/session/end',
    '/',
    '/nothing/here',
    '/interaction/x',
    '/auth?client_id=unknown'
  ]

  for (const [what, headers] of disguises)
    for (const path of paths) {
      const answer = await sendRaw(Number(port), [
        `GET ${path} HTTP/1.1`,
        ...headers,
        'Accept: text/html',
        'Connection: close'
      ])
      t.match(answer, /^HTTP\/1\.1 [2-4]\d\d/, `${what}: ${path.slice(0, 30)}`)
      t.notMatch(answer, evil, `${what}: ${path.slice(0, 30)}`)
    }

  for (const path of ['/.well-known/openid-configuration', authorization]) {
    const absolute = await sendRaw(Number(port), [
      `GET http://${evil}${path} HTTP/1.1`,
      `Host: ${evil}`,
      'Connection: close'
    ])
    t.notMatch(absolute, evil, `an absolute target: ${path.slice(0, 30)}`)
    // RFC 9112 §3.2.2: a server accepts the form; what it asks for is the path and its query.
    t.match(
      absolute,
      path === authorization ? /^HTTP\/1\.1 303[\s\S]*location: \/interaction\//i : /^HTTP\/1\.1 200/
    )
  }

  await t.test('nor is a proof or an assertion for another host believed', async t => {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      resource: 'urn:demo:api'
    }).toString()
    const service_ = clientOf(service, 'demo-service')
    const credentials = Buffer.from(`${service_.client_id}:${service_.client_secret}`).toString('base64')
    const answer = await sendRaw(
      Number(port),
      [
        'POST /token HTTP/1.1',
        `Host: ${evil}`,
        `Authorization: Basic ${credentials}`,
        'Content-Type: application/x-www-form-urlencoded',
        `Content-Length: ${body.length}`,
        'Connection: close'
      ],
      body
    )
    const jwt = /"access_token":"([^"]+)"/.exec(answer)?.[1] ?? ''
    const payload = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as {
      iss: string
    }
    t.equal(payload.iss, service.issuer)
  })
})
