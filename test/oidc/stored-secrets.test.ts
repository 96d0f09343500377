// What somebody gains who reads the database: nothing that opens anything.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { loadSigningKeys } from '../../src/keys/service.ts'
import { dump, spellings } from '../helpers/dump.ts'
import {
  authorizationUrl,
  clientOf,
  createVerifier,
  introspect,
  obtainCode,
  obtainTokens,
  offline,
  post,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'

t.test('a copy of the database', async t => {
  const service = await startService(t)
  const secrets = new Map<string, string>()
  const keep = (what: string, value: unknown) => {
    if (typeof value !== 'string' || value.length < 6) throw new Error(`${what} was not seen: ${value}`)
    secrets.set(value, what)
  }
  const keepCookies = ({ cookies }: Visitor) => {
    for (const [key, { value }] of cookies)
      if (!key.startsWith('application|')) keep(`cookie ${key.split('|')[0]}`, value)
  }
  const dumps: Map<string, string>[] = []
  const look = async () => void dumps.push(await dump(service.pool))

  const client = await registerPortal(service)
  const signsWithSecret = await registerPortal(service, {
    client_name: 'HS',
    id_token_signed_response_alg: 'HS256'
  })
  for (const { client_secret } of [client, signsWithSecret, clientOf(service, 'demo-web')])
    keep('client_secret', client_secret)
  keep('password', password)

  // A newcomer, up to the mail; the sign-in is under way.
  const waiting = new Visitor()
  const verifier = createVerifier()
  const pushed = await post(
    service,
    '/par',
    Object.fromEntries(
      new URL(authorizationUrl(service, client, { code_challenge: verifier.challenge })).searchParams
    ),
    { client }
  )
  keep('request_uri', pushed.body.request_uri?.split(':').at(-1))
  const page = await waiting.visit(
    `${service.issuer}/auth?client_id=${client.client_id}&request_uri=${pushed.body.request_uri}`
  )
  const signUpPage = await waiting.visit(page.url.replace(/sign-in$/, 'sign-up'))
  const verify = await waiting.submit(signUpPage, 'sign-up-form', {
    email: 'new@example.org',
    name: 'New',
    password: 'another long password, please'
  })
  keep('password', 'another long password, please')
  const [mail] = await service.mailTo('new@example.org')
  const code = /\b\d{6}\b/.exec(mail?.text ?? '')?.[0]
  keep('mail code', code)
  keep('mail link', /verify-email\/([\w-]+)/.exec(mail?.text ?? '')?.[1])
  keep('interaction uid', /interaction\/([\w-]+)/.exec(page.url)?.[1])
  keepCookies(waiting)
  await look()
  const back = await waiting.submit(verify, 'verify-form', { code: code ?? '' })
  const parCode = new URL(back.location ?? '').searchParams.get('code') ?? ''
  keep('code', parCode)
  keep('code_verifier', verifier.verifier)
  keepCookies(waiting)
  await look()
  const redirectUri = 'https://portal.example/callback'
  const first = await redeem(service, client, { code: parCode, verifier: verifier.verifier, redirectUri })
  keep('access token', first.body.access_token)
  keep('refresh token', first.body.refresh_token)

  // Somebody who comes back: rotation, retries, a session that is signed out of.
  const visitor = await signedInVisitor(service, client)
  const tokens = await obtainTokens(service, { client, visitor, params: offline })
  const again = (await refresh(service, client, tokens.refresh_token)).body
  const retried = (await refresh(service, client, tokens.refresh_token)).body
  for (const body of [tokens, again, retried]) {
    keep('access token', body.access_token)
    keep('refresh token', body.refresh_token)
    keep('id_token', body.id_token?.split('.')[2])
  }
  await introspect(service, client, again.access_token)
  const unused = await obtainCode(service, { client, visitor })
  keep('code', unused.code)
  const machine = await post(
    service,
    '/token',
    { grant_type: 'client_credentials' },
    { client: clientOf(service, 'demo-service') }
  )
  keep('access token', machine.body.access_token)
  const signOut = await visitor.visit(`${service.issuer}/session/end?id_token_hint=${tokens.id_token}`)
  keep('xsrf', /name="xsrf" value="([^"]+)"/.exec(signOut.text)?.[1])
  const xsrf = [...secrets].find(([, what]) => what === 'xsrf')?.[0] ?? ''
  // The one-time mark of the sign-out form is stored with the session, which it can only end together with its cookie.
  secrets.delete(xsrf)
  keepCookies(visitor)
  await look()

  t.ok(secrets.size > 25, `${secrets.size} secrets`)
  await t.test(
    'TOK-6: holds no token, code, cookie, secret, password or mail code that was seen on the wire',
    async t => {
      for (const [value, what] of secrets)
        for (const [index, tables] of dumps.entries())
          for (const [table, text] of tables)
            if (spellings(value).some(spelling => text.includes(spelling)))
              t.fail(`${what} ${value} is in ${table} of dump ${index}`)
      t.pass('searched')
    }
  )

  await t.test('TOK-4: holds private keys and secrets only sealed', async t => {
    const keys = await loadSigningKeys(service.app.ctx)
    t.equal(keys.length, 3)
    const text = dumps.flatMap(tables => [...tables.values()]).join('\n')
    for (const key of keys)
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
        const value = key[member]
        if (value !== undefined)
          for (const spelling of spellings(value)) t.notOk(text.includes(spelling), `${key.alg} ${member}`)
      }
    for (const spelling of [
      ...spellings(service.app.ctx.config.encryptionKey.toString('base64')),
      service.app.ctx.config.encryptionKey.toString('hex')
    ])
      t.notOk(text.includes(spelling), 'ENCRYPTION_KEY')
    t.notMatch(text, /PRIVATE KEY/)
  })

  await t.test('TOK-4: with another ENCRYPTION_KEY it signs nothing', async t => {
    const { ctx } = service.app
    const stolen = { ...ctx, config: { ...ctx.config, encryptionKey: randomBytes(32) } }
    await t.rejects(loadSigningKeys(stolen), /ENCRYPTION_KEY does not open/)
  })

  await t.test('TOK-6: what it holds instead is not accepted in their place', async t => {
    const hashes = [...(dumps.at(-1)?.values() ?? [])].join('\n').matchAll(/\\\\?x([0-9a-f]{64})/g)
    let tried = 0
    for (const [, hex = ''] of [...hashes].slice(0, 40))
      for (const value of [hex, Buffer.from(hex, 'hex').toString('base64url')]) {
        tried++
        t.notOk((await introspect(service, client, value)).body.active)
        t.equal((await refresh(service, client, value)).status, 400)
      }
    t.ok(tried > 10)
  })
})

t.test('SES-2: ids and tokens carry 256 bits from a generator that is not guessed', async t => {
  const service = await startService(t)
  const client = clientOf(service, 'demo-service')
  const tokens = new Set<string>()
  for (let round = 0; round < 10; round++)
    for (const { body } of await Promise.all(
      Array.from({ length: 50 }, () =>
        post(service, '/token', { grant_type: 'client_credentials' }, { client })
      )
    ))
      tokens.add(body.access_token ?? '')
  t.equal(tokens.size, 500)
  for (const token of tokens) t.match(token, /^[A-Za-z0-9_-]{43}$/)
  // Each of the 43 places takes many values: none is a counter or a clock.
  for (let place = 0; place < 42; place++)
    t.ok(new Set([...tokens].map(token => token[place])).size > 40, `place ${place}`)

  const sessionIds = new Set<string>()
  const portal = await registerPortal(service)
  for (let count = 0; count < 5; count++) {
    const visitor = await signedInVisitor(service, portal, { email: `person${count}@example.org` })
    sessionIds.add(visitor.cookie('session') ?? '')
  }
  t.equal(sessionIds.size, 5)
  for (const id of sessionIds) t.match(id, /^[A-Za-z0-9_-]{43}$/)
})
