// Browser sessions: who is signed in where, and for how long.
import t from 'tap'
import { endAllTokens } from '../../src/accounts/service.ts'
import {
  authorizationUrl,
  copyOf,
  introspect,
  isSignedIn,
  obtainCode,
  obtainTokens,
  offline,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo,
  whileLocked
} from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'

const hour = 3600
const day = 24 * hour

async function open(t: Parameters<typeof startService>[0], nodes: 1 | 2 = 1) {
  const service = await startService(t, { nodes })
  const client = await registerPortal(service)
  const email = 'ada@example.org'
  const visitor = await signedInVisitor(service, client, { email })
  return {
    service,
    client,
    visitor,
    isSignedIn: async (who: Visitor) => await isSignedIn(service, client, who),
    signIn: async (who = new Visitor(), params = {}) => {
      const page = await who.visit(authorizationUrl(service, client, params))
      await who.submit(page, 'sign-in-form', { email, password })
      return who
    }
  }
}

t.test('a session begins', async t => {
  const { service, visitor, isSignedIn, signIn } = await open(t)

  await t.test('SES-1: with a new id: one that was planted before is worth nothing', async t => {
    // Somebody who is nobody yet gets a session too when they ask to sign out: an id that an attacker can have.
    const attacker = new Visitor()
    await attacker.request(`${service.issuer}/session/end`)
    const planted = attacker.cookie('session')
    t.ok(planted)
    const victim = copyOf(attacker)
    await signIn(victim)
    t.ok(await isSignedIn(victim))
    t.not(victim.cookie('session'), planted)
    t.notOk(await isSignedIn(attacker), 'the planted cookie')
  })

  await t.test('SES-1: with a new id at each proof; the one before ends at that moment', async t => {
    const before = copyOf(visitor)
    t.ok(await isSignedIn(before))
    await signIn(visitor, { prompt: 'login' })
    t.ok(await isSignedIn(visitor))
    t.not(visitor.cookie('session'), before.cookie('session'))
    t.notOk(await isSignedIn(before))
  })

  await t.test('SES-2: and is stored under a hash', async t => {
    const rows = await service.pool<{ idHash: Buffer }[]>`select id_hash from session_ids`
    t.ok(rows.length > 0)
    for (const { idHash } of rows) t.equal(idHash.length, 32)
  })

  await t.test(
    'SES-5, SES-1: a rotated cookie stays good for seconds, for requests already under way',
    async t => {
      const asking = await service.register({
        client_name: 'Photos',
        redirect_uris: ['https://photos.example/callback']
      })
      const before = copyOf(visitor)
      // Agreeing rotates the cookie, though nobody proved anything new.
      await obtainCode(service, { client: asking, visitor })
      t.not(visitor.cookie('session'), before.cookie('session'))
      t.ok(await isSignedIn(copyOf(before)))
      service.advance(31)
      t.notOk(await isSignedIn(before))
      t.ok(await isSignedIn(visitor))
    }
  )

  await t.test('three authorizations at once in one browser: each application keeps its tokens', async t => {
    const clients = await Promise.all(
      ['One', 'Two', 'Three'].map(client_name => registerPortal(service, { client_name }))
    )
    const codes = await Promise.all(
      clients.map(client => obtainCode(service, { client, visitor: copyOf(visitor) }))
    )
    for (const [index, code] of codes.entries()) {
      const client = clients[index] ?? { client_id: '' }
      const { status, body } = await redeem(service, client, code)
      t.equal(status, 200, `application ${index}`)
      t.equal((await userinfo(service, body.access_token)).status, 200)
      t.equal((await refresh(service, client, body.refresh_token)).status, 200)
    }
  })

  await t.test('so do three tabs of one application', async t => {
    const fresh = await registerPortal(service, { client_name: 'Tabs' })
    // Held until each has come: all of them find a session in which this application has no grant yet.
    const codes = await whileLocked(service, 'session_clients', {
      count: 3,
      work: () => obtainCode(service, { client: fresh, visitor: copyOf(visitor) })
    })
    for (const code of codes) t.equal((await redeem(service, fresh, code)).status, 200)
  })
})

t.test('a session ends', async t => {
  const { service, client, visitor, isSignedIn, signIn } = await open(t)

  await t.test('SES-4: after a day without use, and not before', async t => {
    service.advance(23 * hour)
    t.ok(await isSignedIn(visitor))
    service.advance(23 * hour)
    t.ok(await isSignedIn(visitor), 'each use counts')
    const tokens = await obtainTokens(service, { client, visitor })
    service.advance(25 * hour)
    t.notOk(await isSignedIn(visitor))
    t.equal(
      (await refresh(service, client, tokens.refresh_token)).body.error,
      'invalid_grant',
      'and so do its tokens'
    )
  })

  await t.test('SES-4: fourteen days after the sign-in, however much it is used', async t => {
    const busy = await signIn()
    for (let past = 0; past < 13 * day + 12 * hour; past += 12 * hour) {
      service.advance(12 * hour)
      if (!(await isSignedIn(busy))) t.fail(`signed out after ${past / day} days`)
    }
    const tokens = await obtainTokens(service, { client, visitor: busy })
    service.advance(12 * hour + 1)
    t.notOk(await isSignedIn(busy))
    t.equal((await refresh(service, client, tokens.refresh_token)).body.error, 'invalid_grant')
  })

  await t.test('SES-4: the cookie says no more than the server', async t => {
    const kept = await signIn()
    await service.pool`update sessions set expires_at = ${new Date(Date.now() - 1000)}`
    t.notOk(await isSignedIn(kept))
  })
})

t.test('SES-5, SES-6: the cut-off ends everything of an account on two nodes within a second', async t => {
  const { service, client, visitor, isSignedIn, signIn } = await open(t, 2)
  const elsewhere = await signIn()
  const tokens = await obtainTokens(service, { client, visitor })
  const away = await obtainTokens(service, { client, visitor, params: offline })
  const code = await obtainCode(service, { client, visitor })
  const underWay = new Visitor()
  const page = await underWay.visit(authorizationUrl(service, client))
  const done = await underWay.post(page, 'sign-in-form', { email: 'ada@example.org', password })
  const other = await signedInVisitor(service, client, { email: 'grace@example.org' })
  t.equal((await userinfo(service, tokens.access_token)).status, 200)

  const sub = String((await userinfo(service, tokens.access_token)).body.sub)
  service.advance(1)
  await endAllTokens(service.app.ctx, sub)
  const started = performance.now()
  // Twice each: the round-robin asks the other node the second time.
  for (const _ of [1, 2]) {
    t.equal((await userinfo(service, tokens.access_token)).status, 401)
    t.equal((await userinfo(service, away.access_token)).status, 401)
    t.strictSame((await introspect(service, client, away.access_token)).body, { active: false })
    t.equal((await refresh(service, client, tokens.refresh_token)).body.error, 'invalid_grant')
    t.equal((await refresh(service, client, away.refresh_token)).body.error, 'invalid_grant')
    t.equal((await redeem(service, client, code)).body.error, 'invalid_grant')
    for (const who of [visitor, elsewhere]) t.notOk(await isSignedIn(copyOf(who)))
  }
  t.equal((await underWay.follow(done)).location, null, 'a sign-in under way is over as well')
  t.ok(performance.now() - started < 1000, `${Math.round(performance.now() - started)} ms`)
  t.ok(await isSignedIn(other), 'nobody else notices')
  service.advance(1)
  t.ok(await isSignedIn(await signIn()), 'and who knows the password signs in again')
})
