// How applications manage their registration (RFC 7592), and the tokens that let them register (RFC 7591 §1.2).
import t from 'tap'
import { runCommandLine } from '../../src/cli.ts'
import { createInitialAccessToken } from '../../src/clients/registration-token-service.ts'
import { findClient } from '../../src/clients/repository.ts'
import { replaceClientSecret } from '../../src/clients/service.ts'
import { dump, spellings } from '../helpers/dump.ts'
import { atOnce, countStatuses, post } from '../helpers/protocol.ts'
import { registered, type Sending, sendRegistration, webApplication } from '../helpers/registrations.ts'
import { type Service, startService } from '../helpers/service.ts'

const service = await startService(t, { environment: { DYNAMIC_REGISTRATION: 'open' } })
const tokens = await startService(t, { environment: { DYNAMIC_REGISTRATION: 'token' } })

type Registered = Awaited<ReturnType<typeof registered>>

const manage = async (
  { client_id, registration_access_token }: Registered,
  method: 'GET' | 'PUT' | 'DELETE',
  { body, ...sending }: Sending & { body?: unknown } = {}
) =>
  await sendRegistration(service, `/register/${client_id}`, body, {
    method,
    token: String(registration_access_token),
    ...sending
  })

/** An exchange that fails for its code, if the client is one. */
const exchange = async (client: Registered) =>
  await post(
    service,
    '/token',
    { grant_type: 'authorization_code', code: 'x', redirect_uri: 'https://album.example/x' },
    { client }
  )

const oneOff = (token: unknown): string => {
  const text = String(token)
  return `${text.slice(0, 20)}${text[20] === 'A' ? 'B' : 'A'}${text.slice(21)}`
}

t.test('RFC 7592 §2.1, OID-10: a registration is read with its token, without the secret', async t => {
  const client = await registered(service, webApplication)
  const { status, body, text } = await manage(client, 'GET')
  t.equal(status, 200)
  const { client_secret, client_secret_expires_at, ...rest } = client
  t.strictSame(body, rest)
  t.notMatch(text, String(client_secret))
  t.equal(client_secret_expires_at, 0)
})

t.test('RFC 7592 §2.2: the end that the operator gave a secret stays', async t => {
  const client = await registered(service, webApplication)
  const expiresAt = new Date(service.app.ctx.now().getTime() + 86_400_000)
  await replaceClientSecret(service.app.ctx, client.client_id, { expiresAt })
  const body = { ...webApplication, client_id: client.client_id }
  t.equal((await manage(client, 'PUT', { body })).status, 200)
  t.strictSame((await findClient(service.pool, client.client_id))?.clientSecretExpiresAt, expiresAt)
})

t.test('RFC 7592 §3: whoever has not this registration’s token learns nothing', async t => {
  const client = await registered(service, webApplication)
  const other = await registered(service, webApplication)
  const operators = await service.register({ ...webApplication, client_name: 'Operator’s' })
  const own = String(client.registration_access_token)
  const cases: Record<string, [id: string, token: string | undefined]> = {
    'no token': [client.client_id, undefined],
    'another one’s token': [client.client_id, String(other.registration_access_token)],
    'a token one character off': [client.client_id, oneOff(own)],
    'the token cut short': [client.client_id, own.slice(0, -1)],
    'its secret': [client.client_id, String(client.client_secret)],
    'an unknown client': ['01a1ffde-95f8-7ebe-8574-3468560c68cb', own],
    'a client of the operator': [operators.client_id, own],
    'our own pages': ['gatehouse-account', own],
    'no id at all': ['%00', own],
    'a path': ['..%2f..%2fx', own]
  }
  const answers = new Set<string>()
  for (const [what, [id, token]] of Object.entries(cases))
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const body = method === 'PUT' ? { ...webApplication, client_id: id } : undefined
      const answer = await sendRegistration(service, `/register/${id}`, body, { method, token })
      t.equal(answer.status, 401, `${what}: ${method}`)
      t.match(answer.headers.get('www-authenticate'), /^Bearer/)
      answers.add(answer.text)
    }
  t.equal(answers.size, 1, 'all look the same')
  t.equal((await manage(client, 'GET')).status, 200, 'and nothing happened to it')
  t.equal(
    (
      await sendRegistration(service, `/register/${client.client_id}?access_token=${own}`, undefined, {
        method: 'GET'
      })
    ).status,
    401,
    'a token in the URL would be in logs'
  )
})

t.test(
  'RFC 7592 §2.2: a registration is replaced whole; what is left out goes back to its default',
  async t => {
    const client = await registered(service, {
      ...webApplication,
      logo_uri: 'https://album.example/logo.png'
    })
    const change = {
      client_id: client.client_id,
      client_name: 'Album 2',
      redirect_uris: ['https://album.example/new'],
      first_party: true,
      introspection: true,
      scope: 'openid admin'
    }
    const { status, body } = await manage(client, 'PUT', { body: change })
    t.equal(status, 200)
    t.match(body, {
      client_id: client.client_id,
      client_name: 'Album 2',
      redirect_uris: change.redirect_uris,
      grant_types: ['authorization_code'],
      scope: 'openid',
      registration_access_token: client.registration_access_token,
      registration_client_uri: client.registration_client_uri,
      client_id_issued_at: client.client_id_issued_at
    })
    for (const name of ['logo_uri', 'client_secret', 'first_party', 'introspection'])
      t.notOk(name in body, name)
    t.match(await findClient(service.pool, client.client_id), {
      firstParty: false,
      introspection: false,
      registeredBy: 'registration'
    })
    const secret = { ...change, client_secret: client.client_secret }
    t.equal((await manage(client, 'PUT', { body: secret })).status, 200, 'its secret may come along')
    t.equal((await exchange(client)).body.error, 'invalid_grant', 'which it still has')
  }
)

t.test('RFC 7592 §2.2: what is the server’s cannot be replaced', async t => {
  const client = await registered(service, webApplication)
  const { client_id } = client
  for (const [field, wrong] of Object.entries({
    client_id: 'another',
    client_secret: oneOff(client.client_secret),
    registration_access_token: client.registration_access_token,
    registration_client_uri: client.registration_client_uri,
    client_secret_expires_at: 0,
    client_id_issued_at: 1
  })) {
    const answer = await manage(client, 'PUT', { body: { ...webApplication, client_id, [field]: wrong } })
    t.equal(answer.status, 400, field)
    t.match(answer.body, { error: 'invalid_client_metadata', error_description: new RegExp(`^${field} `) })
  }
  t.equal((await manage(client, 'PUT', { body: webApplication })).status, 400, 'client_id is needed')
  const bad = { client_id, redirect_uris: ['http://album.example/'] }
  t.match((await manage(client, 'PUT', { body: bad })).body, { error: 'invalid_redirect_uri' })
  t.match((await manage(client, 'GET')).body, webApplication, 'and all of it stands as it was')
})

t.test('a secret that must be kept otherwise is a new one, and a sealed one is known again', async t => {
  const client = await registered(service, webApplication)
  const body = {
    ...webApplication,
    client_id: client.client_id,
    token_endpoint_auth_method: 'client_secret_jwt'
  }
  const changed = await manage(client, 'PUT', { body })
  t.match(changed.body, { client_secret: /^[\w-]{43}$/, client_secret_expires_at: 0 })
  t.not(changed.body.client_secret, client.client_secret)
  t.equal(
    (await manage(client, 'PUT', { body: { ...body, client_secret: changed.body.client_secret } })).status,
    200
  )
  t.equal(
    (await manage(client, 'PUT', { body: { ...body, client_secret: client.client_secret } })).status,
    400
  )
})

t.test('RFC 7592 §2.3: a registration that is removed is gone, with its token', async t => {
  const client = await registered(service, webApplication)
  t.equal((await manage(client, 'DELETE')).status, 204)
  for (const method of ['GET', 'DELETE'] as const) t.equal((await manage(client, method)).status, 401)
  t.equal(await findClient(service.pool, client.client_id), null)
  const { body } = await post(
    service,
    '/token',
    { grant_type: 'refresh_token', refresh_token: 'x' },
    { client }
  )
  t.equal(body.error, 'invalid_client')
  const again = await registered(service, webApplication)
  t.strictSame(countStatuses(await atOnce(10, () => manage(again, 'DELETE'))), { 204: 1, 401: 9 })
})

const register = async (token: string | undefined, metadata: object = webApplication) =>
  await sendRegistration(tokens, '/register', metadata, { token })
const createToken = async (over: { uses?: number; expiresInDays?: number } = {}): Promise<string> => {
  const outcome = await createInitialAccessToken(tokens.app.ctx, {
    name: 'CI',
    uses: 1,
    expiresInDays: 1,
    ...over
  })
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
  return outcome.token
}
const countClients = async ({ pool }: Service): Promise<number> => {
  const [row] = await pool<{ count: number }[]>`
    select count(*)::int as count from clients where registered_by = 'registration'`
  return row?.count ?? 0
}

t.test('OID-20: where a token is needed, nothing is registered without', async t => {
  const token = await createToken({ uses: 5 })
  for (const wrong of [undefined, 'x', oneOff(token), token.slice(1), `${token}=`]) {
    const { status, headers, body } = await register(wrong)
    t.equal(status, 401, wrong ?? 'none')
    t.match(headers.get('www-authenticate'), wrong === undefined ? /^Bearer$/ : /error="invalid_token"/)
    t.match(body, { error: 'invalid_token' })
  }
  const basic = { headers: { authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` } }
  t.equal((await sendRegistration(tokens, '/register', webApplication, basic)).status, 401)
  t.equal((await sendRegistration(tokens, `/register?access_token=${token}`, webApplication)).status, 401)
  t.equal(await countClients(tokens), 0)
  const { status, body } = await register(token)
  t.equal(status, 201)
  t.equal(
    (await register(String(body.registration_access_token))).status,
    401,
    'it is good for its own registration alone'
  )
})

t.test('a token is good for as many registrations as it was made for, however many come at once', async t => {
  const before = await countClients(tokens)
  const once = await createToken()
  t.strictSame(countStatuses(await atOnce(20, () => register(once))), { 201: 1, 401: 19 })
  const thrice = await createToken({ uses: 3 })
  t.strictSame(countStatuses(await atOnce(20, () => register(thrice))), { 201: 3, 401: 17 })
  t.equal((await countClients(tokens)) - before, 4)
})

t.test('wrong metadata spend no use; a token that has expired is worth nothing', async t => {
  const token = await createToken()
  t.equal((await register(token, { redirect_uris: [] })).status, 400)
  t.equal((await register(token)).status, 201)
  const late = await createToken()
  tokens.advance(86_399)
  t.equal((await register(await createToken())).status, 201)
  tokens.advance(1)
  t.equal((await register(late)).status, 401)
})

t.test('where anybody may register, a token that is sent must be good all the same', async t => {
  t.equal((await sendRegistration(service, '/register', webApplication, { token: 'x' })).status, 401)
})

t.test('TOK-6: of tokens that register and manage, the database has hashes alone', async t => {
  const initial = await createToken()
  const { body } = await register(initial)
  const rows = [...(await dump(tokens.pool)).values()].join('\n')
  for (const secret of [initial, body.registration_access_token, body.client_secret])
    for (const spelling of spellings(String(secret))) t.notOk(rows.includes(spelling))
  const [event] = await tokens.pool<{ details: object }[]>`
    select details from audit_events where type = 'initial_access_token.used' order by id desc limit 1`
  t.match(event?.details, { uses_left: 0, id: /^[0-9a-f-]{36}$/ })
})

t.test('the operator makes, lists and removes them at the command line', async t => {
  const { config } = tokens.app.ctx
  const run = async (...words: string[]) => await runWords('registration-tokens', ...words)
  const runWords = async (...words: string[]) => {
    const [out, err]: [string[], string[]] = [[], []]
    const code = await runCommandLine(words, {
      environment: {
        DATABASE_URL: config.databaseUrl ?? '',
        ENCRYPTION_KEY: Buffer.from(config.encryptionKey).toString('base64'),
        DATA_DIR: tokens.dataDir
      },
      now: () => new Date(),
      writeLine: line => void out.push(line),
      writeErrorLine: line => void err.push(line)
    })
    return { code, out: out.join('\n'), err: err.join('\n') }
  }
  const added = await run('add', '--name', 'Build machine', '--uses', '2', '--json')
  t.equal(added.code, 0, added.err)
  const { id, token } = JSON.parse(added.out) as { id: string; token: string }
  const registration = await register(token)
  t.equal(registration.status, 201)
  const { client_id } = registration.body
  t.match((await runWords('clients', 'list')).out, new RegExp(`^${client_id} .* no +itself$`, 'm'))
  const adopted = await runWords('clients', 'update', client_id, '--first-party')
  t.equal(adopted.code, 1)
  t.match(adopted.err, `${client_id} was registered by itself`)
  const listed = await run('list')
  t.match(listed.out, new RegExp(`^${id} +Build machine +1 +\\d{4}-`, 'm'))
  t.notMatch(listed.out, token)
  t.strictSame(await run('remove', id), { code: 0, out: `Removed ${id}.`, err: '' })
  t.equal((await register(token)).status, 401)
  t.equal((await run('remove', id)).code, 1)
  t.equal((await run('remove', 'x')).code, 1)
  const wrong = await run('add', '--uses', '0', '--expires-in-days', '400')
  t.equal(wrong.code, 1)
  for (const field of ['name', 'uses', 'expires-in-days']) t.match(wrong.err, `  ${field} must be`)
  t.match((await run('add', '--name', 'x')).out, /^token +[\w-]{43}$/m)
})
