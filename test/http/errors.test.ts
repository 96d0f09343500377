// What people and programs see when something fails (LOG-4).
import { Writable } from 'node:stream'
import cookie from '@fastify/cookie'
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { Type } from 'typebox'
import { registerCsrf } from '../../src/http/csrf.ts'
import { prefersHtml, registerErrorHandler } from '../../src/http/error-handler.ts'
import { InteractionExpired, ServiceBusy, ValidationFailed, withFacts } from '../../src/http/errors.ts'
import { registerSecurityHeaders, securityHeaders } from '../../src/http/security-headers.ts'
import { registerViews } from '../../src/http/view.ts'
import { createPagesApp, testConfig } from '../helpers/pages.ts'

const secret = 'select * from accounts where password_hash'

async function createFailing(t: Test): Promise<FastifyInstance> {
  return await createPagesApp(t, testConfig(), app => {
    const failing: Record<string, () => unknown> = {
      '/bug': () => new TypeError(secret),
      '/thrown-text': () => secret,
      '/thrown-nothing': () => undefined,
      '/foreign-404': () => Object.assign(new Error(secret), { statusCode: 404 }),
      '/foreign-418': () => Object.assign(new Error(secret), { statusCode: 418 }),
      '/foreign-200': () => Object.assign(new Error(secret), { statusCode: 200 }),
      '/outage': () => Object.assign(new Error(secret), { code: 'ECONNREFUSED' }),
      '/database-stopping': () => Object.assign(new Error(secret), { code: '57P01' }),
      '/busy': () => withFacts(new ServiceBusy(), { retryAfterSeconds: 2.2 }),
      '/expired': () => new InteractionExpired(),
      '/invalid': () =>
        withFacts(new ValidationFailed(), { details: [{ field: 'email', message: 'is missing' }] })
    }
    for (const [url, error] of Object.entries(failing))
      app.get(url, async () => {
        throw error()
      })
    const body = Type.Object(
      {
        email: Type.String(),
        name: Type.String(),
        age: Type.Integer(),
        home: Type.Object({ street: Type.String() })
      },
      { additionalProperties: false }
    )
    app.setValidatorCompiler(TypeBoxValidatorCompiler)
    app.post('/post', { schema: { body } }, async () => ({ fine: true }))
  })
}

const get = (app: FastifyInstance, url: string, accept = 'application/json') =>
  app.inject({ url, headers: { accept } })

function checkSilence(t: Test, answer: LightMyRequestResponse): void {
  t.notMatch(answer.body, /select \*|TypeError|node_modules|\.ts:|\.js:|at (async )?\w+ \(|FST_ERR|fastify/i)
  t.notMatch(JSON.stringify(answer.headers), /fastify|node/i)
}

t.test('a program gets JSON with a code and the request id, a person a page with the same id', async t => {
  const app = await createFailing(t)
  for (const [url, status, code] of [
    ['/bug', 500, 'server_error'],
    ['/thrown-text', 500, 'server_error'],
    ['/thrown-nothing', 500, 'server_error'],
    ['/foreign-200', 500, 'server_error'],
    ['/foreign-404', 404, 'not_found'],
    ['/foreign-418', 418, 'invalid_request'],
    ['/outage', 503, 'temporarily_unavailable'],
    ['/database-stopping', 503, 'temporarily_unavailable'],
    ['/busy', 503, 'temporarily_unavailable'],
    ['/expired', 400, 'interaction_expired'],
    ['/nowhere', 404, 'not_found'],
    ['/%zz', 400, 'invalid_request']
  ] as const) {
    const json = await get(app, url)
    t.equal(json.statusCode, status, url)
    t.match(json.headers['content-type'], /^application\/json/)
    t.equal(json.json().error.code, code, url)
    t.match(json.json().error, { message: /\w+/, requestId: /\w+/ })
    checkSilence(t, json)

    const html = await get(app, url, 'text/html,application/xhtml+xml,*/*;q=0.8')
    t.equal(html.statusCode, status, url)
    t.match(html.headers['content-type'], /^text\/html/)
    t.match(html.body, /<code id="request-id">[^<]+<\/code>/)
    t.equal(html.headers['cache-control'], 'no-store')
    t.equal(html.headers['set-cookie'], undefined)
    checkSilence(t, html)
  }
})

t.test('the detail of a fault of ours is in the log, under the id that was shown', async t => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    }
  })
  const app = Fastify({ logger: { stream } })
  t.teardown(() => app.close())
  await app.register(cookie)
  registerCsrf(app, testConfig())
  await registerViews(app, testConfig())
  registerErrorHandler(app)
  app.get('/bug', async () => {
    throw new TypeError(secret)
  })
  const answer = await get(app, '/bug')
  const line = lines.map(line => JSON.parse(line)).find(({ err }) => err !== undefined)
  t.equal(line.err.message, secret)
  t.equal(line.reqId, answer.json().error.requestId)
})

t.test('when to come back is said where it is known', async t => {
  const app = await createFailing(t)
  t.equal((await get(app, '/busy')).headers['retry-after'], '3')
  t.match((await get(app, '/outage')).headers['retry-after'], /^\d+$/)
  t.equal((await get(app, '/bug')).headers['retry-after'], undefined)
})

t.test('every fault of a body is told at once, by field', async t => {
  const app = await createFailing(t)
  t.strictSame((await get(app, '/invalid')).json().error.details, [{ field: 'email', message: 'is missing' }])
  const answer = await app.inject({
    method: 'POST',
    url: '/post',
    payload: { age: 'old', shoe: 44, hat: 1, home: {} }
  })
  t.equal(answer.statusCode, 400)
  t.equal(answer.json().error.code, 'validation_error')
  t.strictSame(
    answer
      .json()
      .error.details.map(({ field }: { field: string }) => field)
      .sort(),
    ['age', 'email', 'hat', 'home.street', 'name', 'shoe']
  )
})

t.test('a body that cannot be read is refused, with the right status', async t => {
  const app = await createFailing(t)
  const post = (type: string, body: string) =>
    app.inject({ method: 'POST', url: '/post', headers: { 'content-type': type }, body })
  for (const [type, body, status, code] of [
    ['application/json', '{"email":', 400, 'invalid_request'],
    ['application/json', '', 400, 'invalid_request'],
    ['application/json', '{"__proto__":{"admin":true}}', 400, 'invalid_request'],
    ['application/json', `{"email":"${'a'.repeat(20_000)}"}`, 413, 'content_too_large'],
    ['application/x-www-form-urlencoded', 'a'.repeat(20_000), 413, 'content_too_large'],
    ['text/plain', 'hello', 415, 'unsupported_media_type'],
    ['application/xml', '<a/>', 415, 'unsupported_media_type'],
    ['nonsense', 'hello', 415, 'unsupported_media_type']
  ] as const) {
    const answer = await post(type, body)
    t.equal(answer.statusCode, status, `${type} ${body.slice(0, 30)}`)
    t.equal(answer.json().error.code, code)
    checkSilence(t, answer)
  }
  t.equal((await get(app, '/bug')).statusCode, 500, 'and the next request is answered')
})

t.test('a page is sent to those who ask for one by name', async t => {
  t.ok(prefersHtml('text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'))
  t.ok(prefersHtml('application/json;q=0.5, Text/HTML'))
  t.notOk(prefersHtml('application/json, text/html;q=0.5'))
  t.notOk(prefersHtml('text/html;q=0'))
  t.notOk(prefersHtml('*/*'))
  t.notOk(prefersHtml('text/html;q=nonsense'))
  t.notOk(prefersHtml(undefined))
})

t.test('an error page that cannot be made still says what a browser may do with the answer', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await registerSecurityHeaders(app, testConfig())
  // Without registerViews there are no pages.
  registerErrorHandler(app)
  const answer = await app.inject({ url: '/nowhere', headers: { accept: 'text/html' } })
  t.equal(answer.statusCode, 500)
  t.match(answer.headers, await securityHeaders(testConfig()))
})
