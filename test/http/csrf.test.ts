// Forms are taken from our own pages only (SES-11).
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { csrfToken, requireCsrf } from '../../src/http/csrf.ts'
import { createPagesApp, testConfig } from '../helpers/pages.ts'

const issuer = 'http://localhost:3000'

async function createForm(t: Test, settings: Record<string, string> = {}): Promise<FastifyInstance> {
  return await createPagesApp(t, testConfig(settings), app => {
    app.get('/form', async (_request, reply) => ({ token: csrfToken(reply), again: csrfToken(reply) }))
    app.post('/form', { preHandler: requireCsrf }, async () => ({ posted: true }))
  })
}

type Visit = { cookie: string; token: string; setCookie: string }

async function openForm(app: FastifyInstance, cookie?: string): Promise<Visit> {
  const answer = await app.inject({ url: '/form', headers: cookie === undefined ? {} : { cookie } })
  const setCookie = String(answer.headers['set-cookie'] ?? '')
  return { setCookie, cookie: setCookie.split(';')[0] || (cookie ?? ''), token: answer.json().token }
}

async function post(
  app: FastifyInstance,
  visit: Partial<Visit>,
  headers: Record<string, string> = {}
): Promise<number> {
  const { statusCode } = await app.inject({
    method: 'POST',
    url: '/form',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(visit.cookie === undefined ? {} : { cookie: visit.cookie }),
      ...headers
    },
    body: visit.token === undefined ? 'a=1' : new URLSearchParams({ _csrf: visit.token }).toString()
  })
  return statusCode
}

t.test('the form of a page that this browser opened is taken, as often as it is sent', async t => {
  const app = await createForm(t)
  const visit = await openForm(app)
  t.equal(await post(app, visit), 200)
  t.equal(await post(app, visit, { origin: issuer, 'sec-fetch-site': 'same-origin' }), 200)
})

t.test('a page opened in a second tab leaves the first one good', async t => {
  const app = await createForm(t)
  const first = await openForm(app)
  const second = await openForm(app, first.cookie)
  t.equal(second.setCookie, '', 'the cookie is kept')
  t.equal(await post(app, first), 200)
  t.equal(await post(app, second), 200)
})

t.test('the cookie is out of reach of scripts and of other sites (SES-3)', async t => {
  const plain = await openForm(await createForm(t))
  t.match(plain.setCookie, /^csrf=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)

  const secure = await openForm(
    await createForm(t, {
      ISSUER: 'https://id.example.org',
      DATABASE_URL: 'postgres://u:p@db/g',
      SMTP_URL: 'smtp://mail:587'
    })
  )
  t.match(secure.setCookie, /^__Host-csrf=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
})

t.test(
  'the cookie alone is not enough, nor the field alone, nor a field that goes with another cookie',
  async t => {
    const app = await createForm(t)
    const [mine, theirs] = [await openForm(app), await openForm(app)]
    t.equal(await post(app, { cookie: mine.cookie }), 403)
    t.equal(await post(app, { token: mine.token }), 403)
    t.equal(await post(app, { cookie: mine.cookie, token: theirs.token }), 403)
    t.equal(
      await post(app, { cookie: mine.cookie, token: mine.cookie.slice('csrf='.length) }),
      403,
      'the cookie as field'
    )
  }
)

t.test('a field that is one character off is refused', async t => {
  const app = await createForm(t)
  const { cookie, token } = await openForm(app)
  for (const at of [0, 20, 41]) {
    const other = token[at] === 'A' ? 'B' : 'A'
    t.equal(await post(app, { cookie, token: token.slice(0, at) + other + token.slice(at + 1) }), 403)
  }
  t.equal(await post(app, { cookie, token: `${token}A` }), 403)
  t.equal(await post(app, { cookie, token: '' }), 403)
})

t.test('a field made by another installation is refused', async t => {
  const [app, other] = [await createForm(t), await createForm(t)]
  const visit = await openForm(other)
  t.equal(await post(app, visit), 403)
})

t.test('a browser that says the form came from elsewhere is believed', async t => {
  const app = await createForm(t)
  const visit = await openForm(app)
  const refused: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', origin: issuer },
    { origin: 'https://evil.example' },
    { origin: 'http://localhost:3000.evil.example' },
    { origin: 'https://localhost:3000' },
    { origin: 'null' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' }
  ]
  for (const headers of refused) t.equal(await post(app, visit, headers), 403, JSON.stringify(headers))
  // Our own pages send no referrer, so browsers write null as their origin.
  t.equal(await post(app, visit, { origin: 'null', 'sec-fetch-site': 'same-origin' }), 200)
})

t.test('bodies that a form on another site could send are refused whatever their type', async t => {
  const app = await createForm(t)
  const { cookie, token } = await openForm(app)
  const bodies: [type: string, body: string, status: number][] = [
    ['text/plain', `_csrf=${token}`, 415],
    [
      'multipart/form-data; boundary=x',
      `--x\r\nContent-Disposition: form-data; name="_csrf"\r\n\r\n${token}\r\n--x--`,
      415
    ],
    ['application/x-www-form-urlencoded', `_csrf=${token}&_csrf=${token}`, 403],
    ['application/x-www-form-urlencoded', `_csrf[]=${token}`, 403],
    ['application/json', 'null', 403],
    ['application/json', '{"_csrf":{"length":43}}', 403]
  ]
  for (const [type, body, status] of bodies) {
    const answer = await app.inject({
      method: 'POST',
      url: '/form',
      headers: { cookie, 'content-type': type, origin: issuer },
      body
    })
    t.equal(answer.statusCode, status, `${type} ${body}`)
  }
  const empty = await app.inject({ method: 'POST', url: '/form', headers: { cookie } })
  t.equal(empty.statusCode, 403)
})

t.test('malformed, foreign and oversized cookies count as none', async t => {
  const app = await createForm(t)
  const cookies = [
    'csrf',
    'csrf=',
    'csrf=%',
    'csrf=%zz%ff',
    'csrf="',
    '=;=;;;',
    `csrf=${'a'.repeat(44)}`,
    `csrf=${'a'.repeat(8000)}`,
    'csrf=\u0001',
    '__proto__=x; constructor=y; csrf=z',
    `${'x=y; '.repeat(1000)}`
  ]
  for (const cookie of cookies) {
    const visit = await openForm(app, cookie)
    t.match(visit.setCookie, /^csrf=[\w-]{43};/, `${cookie.slice(0, 40)} is replaced`)
    t.equal(await post(app, { cookie, token: visit.token }), 403)
    t.equal(await post(app, visit), 200)
  }
})

t.test('who is refused is told how to go on', async t => {
  const app = await createForm(t)
  const answer = await app.inject({
    method: 'POST',
    url: '/form',
    headers: { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' },
    body: ''
  })
  t.equal(answer.statusCode, 403)
  t.match(answer.body, /reload the page and send the form again/)
})
