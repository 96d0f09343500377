// Codes and tokens bound to a key that the application proves to hold: stolen without it they are worth nothing (RFC 9449).
import t from 'tap'
import { type Application, agree, createApplication, openid } from '../helpers/application.ts'
import { get, introspect, readJwt, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

type Key = openid.DPoPHandle
type Refusal = { status: number; error?: string; cause?: unknown }

/** What the service said no with: in the body, or in `WWW-Authenticate` as a resource does. */
async function refusal(attempt: Promise<unknown>): Promise<{ status: number; error: string | undefined }> {
  const { status, error, cause } = await attempt.then<Refusal, Refusal>(
    () => ({ status: 200 }),
    thrown => thrown
  )
  const [challenge] = Array.isArray(cause) ? (cause as openid.WWWAuthenticateChallenge[]) : []
  return { status, error: error ?? challenge?.parameters.error }
}

const withProof = (key?: Key): openid.DPoPOptions => (key === undefined ? {} : { DPoP: key })

const invalidGrant = { status: 400, error: 'invalid_grant' }
const invalidToken = { status: 401, error: 'invalid_token' }
const invalidProof = { status: 400, error: 'invalid_dpop_proof' }
const useNonce = { status: 400, error: 'use_dpop_nonce' }

t.test('a key that an application proves to hold', async t => {
  const service = await startService(t)
  const registered = await registerPortal(service, { token_endpoint_auth_method: 'none' })
  const guard = await registerPortal(service, { client_name: 'Guard', resources: ['urn:demo:api'] })
  const native = await createApplication(service, registered)
  const confidential = await createApplication(service, guard)
  const visitor = await signedInVisitor(service, registered)

  const createKey = async ({ config }: Application) =>
    openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
  /** One key whose proofs can be spoiled one by one. */
  const createClumsyKey = async ({ config }: Application) => {
    let spoil: (payload: Record<string, unknown>) => void = () => {}
    const keys = await openid.randomDPoPKeyPair('ES256')
    return {
      key: openid.getDPoPHandle(config, keys, {
        [openid.modifyAssertion]: (_header, payload) => spoil(payload)
      }),
      spoilNext: (how: typeof spoil) => {
        spoil = how
      }
    }
  }
  /** A code; what comes back redeems it with a key, or with none. */
  const obtainCode = async (application: Application, params: Record<string, string> = {}) => {
    const { url, finish } = await application.begin(params)
    const { location } = await agree(visitor, await visitor.visit(url))
    return async (key?: Key) => await finish(location, withProof(key))
  }
  const refresh = async ({ config }: Application, token: string | undefined, key?: Key) =>
    await openid.refreshTokenGrant(config, token ?? '', {}, withProof(key))
  const userinfo = async (token: string, key?: Key) =>
    await openid.fetchUserInfo(native.config, token, openid.skipSubjectCheck, withProof(key))
  const boundTo = async (token: string, as = guard) => (await introspect(service, as, token)).body.cnf

  await t.test('OID-3: a code that was asked for with a key is redeemed with that key only', async t => {
    for (const application of [native, confidential]) {
      const [own, other] = await Promise.all([createKey(application), createKey(application)])
      const dpop_jkt = await own.calculateThumbprint()
      const redeem = await obtainCode(application, { dpop_jkt })
      t.strictSame(await refusal(redeem(other)), invalidGrant, 'another key')
      t.strictSame(await refusal(redeem()), invalidGrant, 'no proof')
      const tokens = await redeem(own)
      t.equal(tokens.token_type, 'dpop', 'and those attempts did not spend it')
      t.strictSame(await refusal(redeem(own)), invalidGrant, 'it is good once')
    }
  })

  await t.test('OID-3: a thief with another key who comes at the same moment gets nothing', async t => {
    const own = await createKey(native)
    const redeem = await obtainCode(native, { dpop_jkt: await own.calculateThumbprint() })
    const thieves = await Promise.all(Array.from({ length: 10 }, () => createKey(native)))
    const outcomes = await Promise.all([own, ...thieves].map(async key => await refusal(redeem(key))))
    t.equal(outcomes[0]?.status, 200)
    for (const outcome of outcomes.slice(1)) t.strictSame(outcome, invalidGrant)
  })

  await t.test('OID-3: a pushed request that comes with a proof binds its code to the key', async t => {
    const [own, other] = await Promise.all([createKey(native), createKey(native)])
    const push = async (params: Record<string, string> = {}) => {
      const { url, finish } = await native.begin(params)
      const pushed = await openid.buildAuthorizationUrlWithPAR(native.config, new URL(url).searchParams, {
        DPoP: own
      })
      const { location } = await agree(visitor, await visitor.visit(pushed.href))
      return async (key?: Key) => await finish(location, withProof(key))
    }
    const redeem = await push()
    t.strictSame(await refusal(redeem(other)), invalidGrant)
    t.strictSame(await refusal(redeem()), invalidGrant)
    t.equal((await redeem(own)).token_type, 'dpop')
    const contradiction = push({ dpop_jkt: await other.calculateThumbprint() })
    t.strictSame(await refusal(contradiction), { status: 400, error: 'invalid_request' })
  })

  await t.test('OID-3: a proof that does not fit the request proves nothing', async t => {
    const { key, spoilNext } = await createClumsyKey(native)
    const redeem = await obtainCode(native, { dpop_jkt: await key.calculateThumbprint() })
    const spoilt: Record<string, Parameters<typeof spoilNext>[0]> = {
      'another method': payload => Object.assign(payload, { htm: 'GET' }),
      'another endpoint': payload => Object.assign(payload, { htu: `${service.issuer}/userinfo` }),
      'another host': payload => Object.assign(payload, { htu: 'https://evil.example/token' }),
      'no id': payload => Object.assign(payload, { jti: undefined }),
      'no time': payload => Object.assign(payload, { iat: undefined })
    }
    for (const [name, how] of Object.entries(spoilt)) {
      spoilNext(how)
      t.strictSame(await refusal(redeem(key)), invalidProof, name)
    }
    spoilNext(() => {})
    t.equal((await redeem(key)).token_type, 'dpop')
  })

  await t.test('OID-7: a refresh token of a public application is bound to its key for good', async t => {
    const [own, other] = await Promise.all([createKey(native), createKey(native)])
    const first = await (await obtainCode(native))(own)
    t.strictSame(await refusal(refresh(native, first.refresh_token, other)), invalidGrant, 'another key')
    t.strictSame(await refusal(refresh(native, first.refresh_token)), invalidGrant, 'no proof')
    const second = await refresh(native, first.refresh_token, own)
    t.strictSame(await boundTo(second.access_token, registered), { jkt: await own.calculateThumbprint() })
    t.strictSame(await refusal(refresh(native, second.refresh_token, other)), invalidGrant, 'its successor')
    const third = await refresh(native, second.refresh_token, own)
    t.equal(third.token_type, 'dpop')

    t.strictSame(
      await refusal(refresh(native, second.refresh_token, other)),
      invalidGrant,
      'the successor is not told to another key either, though a retry would be told it now'
    )
    t.equal((await refresh(native, second.refresh_token, own)).refresh_token, third.refresh_token)
    service.advance(11)
    t.strictSame(await refusal(refresh(native, second.refresh_token, other)), invalidGrant)
    t.equal((await refresh(native, third.refresh_token, own)).token_type, 'dpop', 'a thief ends nothing')
  })

  await t.test('OID-7: a confidential application, which proves itself, may change its key', async t => {
    const [own, next] = await Promise.all([createKey(confidential), createKey(confidential)])
    const first = await (await obtainCode(confidential))(own)
    const second = await refresh(confidential, first.refresh_token, next)
    t.strictSame(await boundTo(second.access_token), { jkt: await next.calculateThumbprint() })
    t.strictSame(await boundTo(first.access_token), { jkt: await own.calculateThumbprint() })
  })

  await t.test(
    'OID-11: an access token names its key, opaque or as JWT, and introspection tells it',
    async t => {
      const own = await createKey(confidential)
      const cnf = { jkt: await own.calculateThumbprint() }
      const opaque = await (await obtainCode(confidential))(own)
      const { body } = await introspect(service, guard, opaque.access_token)
      t.match(body, { active: true, token_type: 'DPoP', cnf })

      const resource = 'urn:demo:api'
      const redeem = await obtainCode(confidential, { resource, scope: 'openid offline_access api:read' })
      const { refresh_token = '' } = await redeem(own)
      const structured = await openid.refreshTokenGrant(
        confidential.config,
        refresh_token,
        { resource },
        { DPoP: own }
      )
      t.strictSame(readJwt(structured.access_token).payload.cnf, cnf)
      t.match((await introspect(service, guard, structured.access_token)).body, { token_type: 'DPoP', cnf })
    }
  )

  await t.test('OID-11: userinfo takes a bound token from its key only, and for it alone', async t => {
    const { key: own, spoilNext } = await createClumsyKey(native)
    const redeem = await obtainCode(native)
    const { access_token: token } = await redeem(own)
    t.match(await userinfo(token, own), { email: 'ada@example.org' })
    t.strictSame(await refusal(userinfo(token)), invalidToken, 'as Bearer')
    t.strictSame(await refusal(userinfo(token, await createKey(native))), invalidToken, 'another key')
    const withoutProof = await get(service, '/userinfo', { authorization: `DPoP ${token}` })
    t.equal(withoutProof.status, 400)
    t.match(withoutProof.headers.get('www-authenticate'), /^DPoP .*algs="ES256 EdDSA Ed25519"/)

    const unbound = (await (await obtainCode(native))()).access_token
    t.strictSame(await refusal(userinfo(unbound, own)), invalidToken, 'a token of no key gains none')

    spoilNext(payload => Object.assign(payload, { jti: 'the same' }))
    await userinfo(token, own)
    t.strictSame(await refusal(userinfo(token, own)), invalidToken, 'a proof is good once')
    spoilNext(payload => Object.assign(payload, { ath: 'x'.repeat(43) }))
    t.strictSame(await refusal(userinfo(token, own)), { ...invalidProof, status: 401 }, 'for another token')
  })

  await t.test('OID-11: an application that registered for it gets no tokens without a proof', async t => {
    const strict = await createApplication(
      service,
      await registerPortal(service, { client_name: 'Strict', dpop_bound_access_tokens: true })
    )
    const own = await createKey(strict)
    const redeem = await obtainCode(strict)
    t.strictSame(await refusal(redeem()), invalidGrant)
    const { refresh_token } = await redeem(own)
    t.strictSame(await refusal(refresh(strict, refresh_token)), invalidGrant)
    t.equal((await refresh(strict, refresh_token, own)).token_type, 'dpop')
  })

  await t.test('OID-11: an application whose clock is wrong is given a nonce, and goes on', async t => {
    let proofs = 0
    const late = new openid.Configuration(native.config.serverMetadata(), native.clientId, {
      [openid.clockSkew]: -3600
    })
    const key = openid.getDPoPHandle(late, await openid.randomDPoPKeyPair('ES256'), {
      [openid.modifyAssertion]: () => void proofs++
    })
    const tokens = await (await obtainCode(native))(key)
    t.equal(proofs, 2, 'openid-client was told to use a nonce, and tried again (RFC 9449 §8)')
    t.match(await userinfo(tokens.access_token, key), { email: 'ada@example.org' })
    t.equal((await refresh(native, tokens.refresh_token, key)).token_type, 'dpop')
    t.equal(proofs, 4, 'from then on it has one at hand')
  })

  await t.test('OID-11: a nonce is ours, and of the last minutes', async t => {
    const { key, spoilNext } = await createClumsyKey(native)
    const noncesSent: unknown[] = []
    spoilNext(payload => void noncesSent.push(payload.nonce))
    const tokens = await (await obtainCode(native))(key)
    await userinfo(tokens.access_token, key)
    const [none, ours] = noncesSent
    t.equal(none, undefined)
    t.match(ours, /^[\w-]{43}$/, 'answers bring one, to be sent with the next proof')

    const present = async (nonce: unknown, token: string | undefined) => {
      spoilNext(payload => Object.assign(payload, { nonce }))
      return await refusal(refresh(native, token, key))
    }
    const { refresh_token: token } = tokens
    t.strictSame(
      await present(
        String(ours).replace(/.$/, end => (end === 'A' ? 'E' : 'A')),
        token
      ),
      useNonce
    )
    t.strictSame(await present('made up', token), useNonce)
    t.strictSame(await present(1, token), invalidProof)
    service.advance(360)
    t.strictSame(await present(ours, token), useNonce, 'an old one')
    t.equal((await present(undefined, token)).status, 200)
  })
})
