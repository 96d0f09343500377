// Issuers of workloads' tokens that are slow, gone, lying or new: nothing is believed for that, and nobody else waits.
import t from 'tap'
import { trustWorkload } from '../../src/clients/workload-service.ts'
import { type Behaviour, type Issuer, startIssuer, subject } from '../helpers/issuer.ts'
import { atOnce, clientOf, countStatuses, post } from '../helpers/protocol.ts'
import { type Service, startService } from '../helpers/service.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

async function prepare(service: Service, issuer: Issuer, jwks: unknown = null) {
  const client = await service.register({
    client_name: 'Deployment',
    grant_types: [grantType],
    token_endpoint_auth_method: 'none'
  })
  const input = { clientId: client.client_id, issuer: issuer.url, audience: null, subject, claims: {} }
  const outcome = await trustWorkload(service.app.ctx, { ...input, jwks, reusable: false })
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
  return async (assertion: string | Promise<string>) =>
    await post(service, '/token', { grant_type: grantType, assertion: await assertion }, { client })
}

t.test('keys of other issuers', async t => {
  const lines: string[] = []
  const service = await startService(t, {
    environment: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8,::1' },
    onLog: line => void lines.push(line)
  })

  await t.test('R15: are fetched once by twenty who come at once, and kept', async t => {
    const issuer = await startIssuer(t, service.issuer)
    const present = await prepare(service, issuer)
    t.strictSame(countStatuses(await atOnce(20, () => present(issuer.sign()))), { 200: 20 })
    t.strictSame(issuer.asked, ['/.well-known/openid-configuration', '/keys'])
    service.advance(500)
    t.equal((await present(issuer.sign())).status, 200)
    t.equal(issuer.asked.length, 2)
    service.advance(101)
    t.equal((await present(issuer.sign())).status, 200)
    t.equal(issuer.asked.length, 4, 'after ten minutes they are asked for anew')
  })

  await t.test(
    'R15: a new key is fetched when it is met; made-up ones cost a fetch in half a minute',
    async t => {
      const issuer = await startIssuer(t, service.issuer)
      const present = await prepare(service, issuer)
      t.equal((await present(issuer.sign())).status, 200)
      await issuer.rotate()
      issuer.asked.length = 0
      t.equal((await present(issuer.sign())).status, 400, 'a moment after the last fetch')
      t.equal(issuer.asked.length, 0)
      service.advance(31)
      t.strictSame(countStatuses(await atOnce(5, () => present(issuer.sign()))), { 200: 5 })
      t.equal(issuer.asked.length, 2)
      service.advance(31)
      issuer.asked.length = 0
      const madeUp = () => issuer.sign({}, { kid: crypto.randomUUID() })
      t.strictSame(countStatuses(await atOnce(20, () => present(madeUp()))), { 400: 20 })
      t.strictSame(countStatuses(await atOnce(20, () => present(madeUp()))), { 400: 20 })
      t.equal(issuer.asked.length, 2)
    }
  )

  await t.test('R15: a key that its issuer took back is good for ten minutes at most', async t => {
    const issuer = await startIssuer(t, service.issuer)
    const present = await prepare(service, issuer)
    const early = await issuer.sign({ exp: Math.floor(Date.now() / 1000) + 3000 })
    t.equal((await present(issuer.sign())).status, 200)
    await issuer.rotate()
    service.advance(601)
    t.equal((await present(early)).status, 400)
  })

  const bad: Behaviour[] = ['fails', 'garbage', 'huge', 'redirects', 'another issuer', 'no keys']
  for (const behaviour of bad)
    await t.test(`R15: an issuer that answers wrongly (${behaviour}) is not believed`, async t => {
      const issuer = await startIssuer(t, service.issuer)
      const present = await prepare(service, issuer)
      issuer.behave(behaviour)
      lines.length = 0
      const { status, body } = await present(issuer.sign())
      t.match({ status, body }, { status: 400, body: { error: 'invalid_grant' } })
      t.ok(issuer.asked.length <= 2)
      t.notOk(issuer.asked.includes('/elsewhere'))
      t.match(lines.join(''), 'the keys of an issuer of workloads could not be fetched')
      issuer.behave('answers')
      t.equal((await present(issuer.sign())).status, 400, 'it is left in peace for half a minute')
      service.advance(31)
      t.equal((await present(issuer.sign())).status, 200)
    })

  await t.test('R15: while an issuer is away its keys are believed for an hour', async t => {
    const issuer = await startIssuer(t, service.issuer)
    const present = await prepare(service, issuer)
    t.equal((await present(issuer.sign())).status, 200)
    issuer.behave('fails')
    service.advance(1800)
    t.equal((await present(issuer.sign())).status, 200)
    service.advance(1801)
    t.equal((await present(issuer.sign())).status, 400)
  })

  await t.test(
    'R15: one that never answers is given up after five seconds, and others do not wait for it',
    async t => {
      const issuer = await startIssuer(t, service.issuer)
      const present = await prepare(service, issuer)
      issuer.behave('hangs')
      const startedAt = performance.now()
      const waiting = present(issuer.sign())
      const machine = clientOf(service, 'demo-service')
      const meanwhile = await post(
        service,
        '/token',
        { grant_type: 'client_credentials' },
        { client: machine }
      )
      t.equal(meanwhile.status, 200)
      t.ok(performance.now() - startedAt < 2000)
      t.equal((await waiting).status, 400)
      t.ok(performance.now() - startedAt < 8000)
    }
  )

  await t.test('configured keys are used, and nobody is asked', async t => {
    const issuer = await startIssuer(t, service.issuer)
    const present = await prepare(service, issuer, { keys: issuer.keys() })
    t.equal((await present(issuer.sign())).status, 200)
    await issuer.rotate()
    t.equal((await present(issuer.sign())).status, 400)
    t.equal(issuer.asked.length, 0)
  })

  await t.test('nobody is asked for the keys of an assertion that no rule fits', async t => {
    const issuer = await startIssuer(t, service.issuer)
    const present = await prepare(service, issuer)
    for (const over of [
      { sub: 'repo:evil/app' },
      { iss: `${issuer.url}/` },
      { aud: 'https://elsewhere.example' }
    ])
      t.equal((await present(issuer.sign(over))).status, 400)
    t.equal(issuer.asked.length, 0)
    t.notOk(
      lines.some(line => line.includes('eyJ')),
      'and no assertion is in the log'
    )
  })
})

t.test('an issuer in a private network is not fetched from unless the settings say so', async t => {
  const service = await startService(t)
  const issuer = await startIssuer(t, service.issuer)
  const present = await prepare(service, issuer)
  t.equal((await present(issuer.sign())).status, 400)
  t.equal(issuer.asked.length, 0)
})
