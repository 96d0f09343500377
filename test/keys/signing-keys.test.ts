import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import Provider from 'oidc-provider'
import t from 'tap'
import { thumbprint } from '../../src/keys/model.ts'
import { listSigningKeys } from '../../src/keys/repository.ts'
import {
  ensureSigningKeys,
  finishRotations,
  loadSigningKeys,
  rotateSigningKey
} from '../../src/keys/service.ts'
import { createDatabase } from '../helpers/database.ts'
import { createContext } from '../helpers/registry-context.ts'

const day = 86_400

t.test('a first start makes one key for each algorithm, named by its thumbprint', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx)

  const keys = await loadSigningKeys(ctx)
  t.strictSame(keys.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA', 'RS256'])
  for (const key of keys) {
    t.equal(key.kid, thumbprint(key))
    t.equal(key.use, 'sig')
  }
  const rsa = keys.find(({ alg }) => alg === 'RS256')
  t.equal(Buffer.from(rsa?.n ?? '', 'base64url').length, 256, '2048 bits')
  t.strictSame(await ensureSigningKeys(ctx), [], 'a later start makes none')
})

t.test('the thumbprint is the one of RFC 7638 §3.1', async t => {
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
  t.equal(
    thumbprint({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' }),
    'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'
  )
})

t.test('two nodes that start at once end with one set', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const made = await Promise.all([ensureSigningKeys(ctx), ensureSigningKeys(ctx), ensureSigningKeys(ctx)])

  t.equal(made.flat().length, 3)
  t.equal((await listSigningKeys(sql)).length, 3)
})

t.test('the database holds no private half in the clear', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx)

  const [dump] = await sql<{ text: string }[]>`
    select string_agg(k::text, ' ') || string_agg(encode(private_jwk_sealed, 'escape'), ' ') as text from signing_keys k
  `
  for (const key of await loadSigningKeys(ctx)) {
    t.match(dump?.text, key.kid)
    for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
      const value = key[member] as string | undefined
      if (value === undefined) continue
      t.notOk(dump?.text.includes(value), `${key.alg} ${member}`)
      t.notOk(
        dump?.text.includes(Buffer.from(value, 'base64url').toString('hex')),
        `${key.alg} ${member} in hex`
      )
    }
  }
  for (const { publicJwk } of await listSigningKeys(sql))
    t.notOk(Object.keys(publicJwk).some(member => ['d', 'p', 'q', 'dp', 'dq', 'qi'].includes(member)))
})

t.test('another ENCRYPTION_KEY is refused with words that name the setting', async t => {
  const { sql } = await createDatabase(t)
  await ensureSigningKeys(createContext(sql))
  const stranger = createContext(sql)

  await t.rejects(loadSigningKeys(stranger), /^ENCRYPTION_KEY does not open the signing key/)
  await t.rejects(ensureSigningKeys(stranger), /ENCRYPTION_KEY/)
  await t.rejects(rotateSigningKey(stranger, 'ES256', { now: true }), /ENCRYPTION_KEY/)
  t.equal((await listSigningKeys(sql)).length, 3, 'and nothing was added')
})

t.test('a sealed half that was moved to another row does not open', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx)
  await sql`
    update signing_keys set private_jwk_sealed =
      (select private_jwk_sealed from signing_keys where alg = 'EdDSA')
    where alg = 'ES256'
  `
  await t.rejects(loadSigningKeys(ctx), /ENCRYPTION_KEY/)
})

t.test('a rotation publishes first, signs a day later, and keeps the old key for its tokens', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx, ['ES256'])
  const [before] = await loadSigningKeys(ctx)

  const published = await rotateSigningKey(ctx, 'ES256')
  t.match(published, { step: 'published', signsFrom: new Date('2026-11-22T12:00:00Z') })
  t.equal((await loadSigningKeys(ctx))[0]?.kid, before?.kid, 'the old key still signs')
  t.match(await rotateSigningKey(ctx, 'ES256'), { step: 'waiting', kid: published.kid })
  t.equal((await loadSigningKeys(ctx)).length, 2, 'asking again makes no third key')

  ctx.pass(day - 1)
  t.strictSame(await finishRotations(ctx), { promoted: [], removed: [] })
  ctx.pass(1)
  t.strictSame(await finishRotations(ctx), { promoted: [published.kid], removed: [] })
  t.strictSame(
    (await loadSigningKeys(ctx)).map(({ kid }) => kid),
    [published.kid, before?.kid]
  )

  ctx.pass(ctx.config.sessionAbsoluteSeconds - 1)
  t.strictSame((await finishRotations(ctx)).removed, [])
  ctx.pass(1)
  t.strictSame((await finishRotations(ctx)).removed, [before?.kid])
  t.equal((await loadSigningKeys(ctx)).length, 1)
})

t.test('a rotation can be had at once, and a leaked key taken back', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx)
  const kept = await rotateSigningKey(ctx, 'RS256', { now: true })
  t.match(kept, { step: 'promoted', revoked: false })
  t.equal((await loadSigningKeys(ctx)).filter(({ alg }) => alg === 'RS256').length, 2)

  const leaked = kept.kid
  t.match(await rotateSigningKey(ctx, 'RS256', { revoke: true }), {
    step: 'promoted',
    retiredKid: leaked,
    revoked: true
  })
  t.notOk((await loadSigningKeys(ctx)).some(({ kid }) => kid === leaked))
  t.equal((await loadSigningKeys(ctx)).filter(({ alg }) => alg !== 'RS256').length, 2, 'the others stay')
})

t.test('two rotations at once are one', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx, ['EdDSA'])
  const steps = await Promise.all([rotateSigningKey(ctx, 'EdDSA'), rotateSigningKey(ctx, 'EdDSA')])

  t.strictSame(steps.map(({ step }) => step).sort(), ['published', 'waiting'])
  t.equal(steps[0]?.kid, steps[1]?.kid)
})

t.test('every change is told to the other nodes when it commits', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const told: string[] = []
  const subscription = await sql.listen('gatehouse_keys', kid => void told.push(kid))
  t.teardown(() => subscription.unlisten())

  await ensureSigningKeys(ctx, ['ES256'])
  const outcome = await rotateSigningKey(ctx, 'ES256', { now: true })
  await sql`select 1`
  await new Promise(resolve => setTimeout(resolve, 50))
  t.ok(told.includes(outcome.kid))
  t.ok(told.length >= 3)
})

t.test('the keys sign, and the protocol library takes them in this order', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx)
  await rotateSigningKey(ctx, 'ES256')
  const keys = await loadSigningKeys(ctx)

  const message = Buffer.from('signed')
  for (const key of keys) {
    const digest = key.alg === 'EdDSA' ? null : 'sha256'
    const signature = sign(digest, message, createPrivateKey({ key, format: 'jwk' }))
    const [stored] = (await listSigningKeys(sql)).filter(({ kid }) => kid === key.kid)
    if (stored === undefined) throw new Error('every key that is loaded is stored')
    t.ok(
      verify(digest, message, createPublicKey({ key: stored.publicJwk, format: 'jwk' }), signature),
      key.alg
    )
  }

  const provider = new Provider('http://localhost:3000', {
    jwks: { keys: keys as never },
    cookies: { keys: [createHash('sha256').update('test').digest('hex')] },
    features: { devInteractions: { enabled: false } }
  })
  t.type(provider.callback(), 'function')
})

t.test('making a key and letting it sign are written down', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await ensureSigningKeys(ctx, ['ES256'])
  const rotated = await rotateSigningKey(ctx, 'ES256', { now: true })
  const events = await sql`select type, details from audit_events order by type, details ->> 'state'`
  t.match(events, [
    { type: 'signing_key.created', details: { alg: 'ES256', state: 'active' } },
    { type: 'signing_key.created', details: { kid: rotated.kid, state: 'next' } },
    { type: 'signing_key.promoted', details: { kid: rotated.kid, revoked: false } }
  ])
  t.equal(events.length, 3)
})
