// Signing in with passkeys and security keys, and what becomes of them. @see Web Authentication Level 3 §7.2
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import t, { type Test } from 'tap'
import { signalsOf } from '../../src/credentials/webauthn-model.ts'
import { beginRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { listPasskeys } from '../../src/credentials/webauthn-repository.ts'
import { removePasskey, renamePasskey } from '../../src/credentials/webauthn-service.ts'
import {
  beginSecondFactor,
  beginSignIn,
  finishSecondFactor,
  finishSignIn
} from '../../src/credentials/webauthn-sign-in-service.ts'
import { createId } from '../../src/lib/ids.ts'
import {
  type Algorithm,
  type AuthenticatorSettings,
  createAuthenticator,
  makeKey,
  type Wrong
} from '../helpers/authenticator.ts'
import { createContext } from '../helpers/context.ts'
import {
  addedPasskey,
  countRows,
  freeze,
  otherSession,
  ownSession,
  passkeyEvents,
  withoutPassword
} from '../helpers/passkeys.ts'
import { listQueuedMails, verifiedAccount } from '../helpers/people.ts'

const refused = { ok: false, reason: 'refused' }
const boundTo = ownSession

/** Ada with a passkey, and both ways to use it. */
async function adaOf(
  t: Test,
  settings: AuthenticatorSettings = {},
  environment: Record<string, string> = {}
) {
  const ctx = await createContext(t, { environment })
  const account = await verifiedAccount(ctx)
  const { authenticator, passkey } = await addedPasskey(ctx, account, settings)
  const accountId = account.id
  const second = async (): Promise<PublicKeyCredentialRequestOptionsJSON> => {
    const options = await beginSecondFactor(ctx, { accountId, boundTo })
    if (options === null) throw new Error('there is no second factor')
    return options
  }
  const ways = {
    alone: {
      begin: () => beginSignIn(ctx, { boundTo }),
      finish: (response: unknown) => finishSignIn(ctx, { boundTo, response })
    },
    'as second factor': {
      begin: second,
      finish: (response: unknown) => finishSecondFactor(ctx, { accountId, boundTo, response })
    }
  }
  const stored = async () => (await listPasskeys(ctx.sql, accountId))[0]
  return {
    ctx,
    account,
    accountId,
    authenticator,
    passkey,
    ways,
    ...ways.alone,
    second: ways['as second factor'],
    stored
  }
}

for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as Algorithm[])
  t.test(`a passkey signs in alone and as second factor: ${algorithm}`, async t => {
    const deviceBound = algorithm === 'EdDSA'
    const { ctx, account, authenticator, ways, stored } = await adaOf(t, {
      algorithm,
      flags: { be: !deviceBound, bs: false }
    })
    ctx.clock.advance(60_000)
    const at = ctx.now().toISOString()
    const changed: Wrong = { flags: { bs: !deviceBound } }
    t.strictSame(await ways.alone.finish(authenticator.get(await ways.alone.begin(), changed)), {
      ok: true,
      accountId: account.id,
      proof: { method: 'passkey', at, userVerified: true, deviceBound }
    })
    t.match(await stored(), { lastUsedAt: ctx.now(), backedUp: !deviceBound, signCount: 0 })

    const second = ways['as second factor']
    t.strictSame(await second.finish(authenticator.get(await second.begin(), { flags: { uv: false } })), {
      ok: true,
      proof: { method: 'security_key', at, userVerified: false, deviceBound }
    })
    t.same(await countRows(ctx), { passkeys: 1, challenges: 0 })
  })

t.test('WAN-7: options to sign in are the same whoever asks, and name no passkey', async t => {
  const { ctx, begin } = await adaOf(t)
  const { challenge: _, ...here } = await begin()
  const nobody = await createContext(t)
  const { challenge: __, ...there } = await beginSignIn(nobody, { boundTo })
  t.strictSame(here, there)
  t.match(here, { rpId: 'localhost', allowCredentials: [], userVerification: 'required', timeout: 300_000 })
  const bob = await verifiedAccount(ctx, { email: 'bob@example.org', interactionUid: 'i2' })
  t.equal(await beginSecondFactor(ctx, { accountId: bob.id, boundTo }), null, 'a person without a key')
})

t.test('after the first factor the options name the own keys', async t => {
  const { authenticator, second } = await adaOf(t, { transports: ['usb', 'nfc'] })
  const options = await second.begin()
  t.match(options, { userVerification: 'preferred', rpId: 'localhost' })
  t.strictSame(options.allowCredentials, [
    { id: authenticator.credentialId, type: 'public-key', transports: ['nfc', 'usb'] }
  ])
})

t.test('WAN-1: one answer sent twenty times at once signs in once', async t => {
  const { authenticator, ways } = await adaOf(t)
  for (const [way, { begin, finish }] of Object.entries(ways)) {
    const response = authenticator.get(await begin())
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => finish(response)))
    t.equal(outcomes.filter(({ ok }) => ok).length, 1, way)
    t.equal(outcomes.filter(outcome => !outcome.ok && outcome.reason === 'refused').length, 19, way)
  }
})

t.test('WAN-1: an answer counts once, in its own sign-in and ceremony, for five minutes', async t => {
  const { ctx, account, accountId, authenticator, ways, begin, finish, second } = await adaOf(t)
  const bob = await verifiedAccount(ctx, { email: 'bob@example.org', interactionUid: 'i2' })
  const alone = authenticator.get(await begin())
  t.same(await finishSignIn(ctx, { boundTo: otherSession, response: alone }), refused)
  t.same(await second.finish(alone), refused, 'made to sign in, used as second factor')
  t.match(await finish(alone), { ok: true })
  t.same(await finish(alone), refused, 'replayed')

  const beside = authenticator.get(await second.begin())
  t.same(await finishSecondFactor(ctx, { accountId, boundTo: otherSession, response: beside }), refused)
  t.same(await finishSecondFactor(ctx, { accountId: bob.id, boundTo, response: beside }), refused)
  t.same(await finish(beside), refused, 'made as second factor, used to sign in')
  t.match(await second.finish(beside), { ok: true })
  t.same(await second.finish(beside), refused, 'replayed')

  for (const [way, { begin, finish }] of Object.entries(ways)) {
    const { challenge } = await beginRegistration(ctx, { account, boundTo })
    t.same(await finish(authenticator.get({ ...(await begin()), challenge })), refused, `${way}: swapped`)
    const options = await begin()
    const last = options.challenge.at(-1) === 'A' ? 'E' : 'A'
    const oneOff = `${options.challenge.slice(0, -1)}${last}`
    t.same(await finish(authenticator.get({ ...options, challenge: oneOff })), refused, `${way}: one off`)
    const late = authenticator.get(await begin())
    ctx.clock.advance(300_000)
    t.same(await finish(late), refused, `${way}: five minutes old`)
    const inTime = authenticator.get(await begin())
    ctx.clock.advance(299_000)
    t.match(await finish(inTime), { ok: true }, way)
  }
})

const { privateKey: strangersKey } = makeKey('ES256')
const faults: Record<string, Wrong> = {
  'another type': { clientData: { type: 'webauthn.create' } },
  'another origin': { clientData: { origin: 'https://evil.example' } },
  'an origin that begins alike': { clientData: { origin: 'http://localhost:3000.evil.example' } },
  'another port': { clientData: { origin: 'http://localhost:3001' } },
  'a frame of another site': { clientData: { crossOrigin: true } },
  'a frame, said oddly': { clientData: { crossOrigin: 'true' } },
  'a frame that says it is none': { clientData: { topOrigin: 'https://evil.example' } },
  'no challenge': { clientData: { challenge: undefined } },
  'client data that is no object': { clientDataText: '"x"' },
  'another RP ID': { rpId: 'evil.example' },
  'nobody present': { flags: { up: false } },
  'synced though it cannot be': { flags: { be: false, bs: true } },
  'not able to be synced any more': { flags: { be: false, bs: false } },
  'bytes too many': { trailing: Buffer.of(0) },
  "a stranger's signature": { signedBy: strangersKey },
  'a signature over something else': { signatureOver: Buffer.from('something else') },
  'no signature': { response: { signature: undefined } },
  'an empty signature': { response: { signature: '' } },
  'a signature that is none': { response: { signature: 'AAAA' } },
  'authenticator data that is too short': { response: { authenticatorData: 'AAAA' } },
  'authenticator data of another type': { response: { authenticatorData: { length: 37 } } },
  'rawId other than id': { answer: { rawId: 'AAAA' } },
  'another kind of credential': { answer: { type: 'password' } },
  'no id': { answer: { id: undefined } },
  'an id with padding': { answer: { id: 'AAA=', rawId: 'AAA=' } },
  'a user handle of another type': { response: { userHandle: {} } }
}

t.test('WAN-2: whatever is wrong in an answer, nobody is signed in, and it cannot be mended', async t => {
  const { ctx, authenticator, ways, stored } = await adaOf(t)
  const before = await stored()
  for (const [way, { begin, finish }] of Object.entries(ways)) {
    for (const [what, wrong] of Object.entries(faults)) {
      t.same(await finish(authenticator.get(await begin(), wrong)), refused, `${way}: ${what}`)
      t.match((await passkeyEvents(ctx)).at(-1), /^passkey\.refused \w+$/, `${way}: ${what}`)
    }
    for (const text of [undefined, null, '', '{', '[]', 'null', 5, {}, ['a'], '{"id":"a"}'])
      t.same(await finish(text), refused, `${way}: ${String(text)}`)
    const options = await begin()
    t.same(await finish(authenticator.get(options, { rpId: 'evil.example' })), refused)
    t.same(await finish(authenticator.get(options)), refused, `${way}: the challenge is spent`)
  }
  t.strictSame(await stored(), before, 'nothing was written')
  for (const { begin, finish } of Object.values(ways))
    t.match(await finish(authenticator.get(await begin())), { ok: true })
})

t.test('WAN-2: another spelling of an id is not that id', async t => {
  const { authenticator, begin, finish } = await adaOf(t)
  const id = authenticator.credentialId
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const other = `${id.slice(0, -1)}${alphabet[alphabet.indexOf(id.slice(-1)) + 1]}`
  t.ok(Buffer.from(other, 'base64url').equals(Buffer.from(id, 'base64url')), 'it names the same bytes')
  t.same(await finish(authenticator.get(await begin(), { answer: { id: other, rawId: other } })), refused)
})

t.test('WAN-3: a person must be verified where that is demanded, whatever the browser says', async t => {
  const unverified: Wrong = { flags: { uv: false } }
  await t.test('always, where the passkey is the only thing needed', async t => {
    const { authenticator, begin, finish, second } = await adaOf(t)
    const lowered = { ...(await begin()), userVerification: 'discouraged' as const }
    t.same(await finish(authenticator.get(lowered, unverified)), refused)
    t.match(await second.finish(authenticator.get(await second.begin(), unverified)), { ok: true })
  })
  await t.test('by the setting, as second factor', async t => {
    const { authenticator, second } = await adaOf(t, {}, { WEBAUTHN_USER_VERIFICATION: 'required' })
    t.equal((await second.begin()).userVerification, 'required')
    t.same(await second.finish(authenticator.get(await second.begin(), unverified)), refused)
    t.match(await second.finish(authenticator.get(await second.begin())), { ok: true })
  })
})

t.test('WAN-3: a key found without a PIN opens nothing by itself after its finder sets one', async t => {
  const { ctx, authenticator, begin, finish, second, stored } = await adaOf(t, { flags: { uv: false } })
  const withPin: Wrong = { flags: { uv: true } }
  t.same(await finish(authenticator.get(await begin(), withPin)), refused)
  t.equal((await passkeyEvents(ctx)).at(-1), 'passkey.refused user_verification')
  t.equal((await stored())?.userVerified, false)

  // Its owner sets one and proves the password beside it.
  t.match(await second.finish(authenticator.get(await second.begin(), withPin)), { ok: true })
  t.match(await finish(authenticator.get(await begin(), withPin)), { ok: true })
})

t.test("WAN-4: a passkey speaks for its owner alone, whatever the answer's user handle", async t => {
  const { ctx, accountId, authenticator, begin, finish, second } = await adaOf(t)
  const bob = await verifiedAccount(ctx, { email: 'bob@example.org', interactionUid: 'i2' })
  const bobs = await addedPasskey(ctx, bob)
  const handleOf = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
  const as = (userHandle: unknown): Wrong => ({ response: { userHandle } })
  for (const handle of [handleOf(bob.id), handleOf(createId(ctx.now())), undefined, null, ''])
    t.same(await finish(authenticator.get(await begin(), as(handle))), refused, `alone: ${handle}`)
  t.match(await finish(authenticator.get(await begin(), as(handleOf(accountId)))), { ok: true, accountId })

  t.same(await second.finish(authenticator.get(await second.begin(), as(handleOf(bob.id)))), refused)
  t.same(await second.finish(bobs.authenticator.get(await second.begin())), refused, "Bob's own key")
  const disguised = bobs.authenticator.get(await second.begin(), as(handleOf(accountId)))
  t.same(await second.finish(disguised), refused, "Bob's key with Ada's handle")
  t.equal((await passkeyEvents(ctx)).at(-1), 'passkey.refused other_account')
  t.match(await second.finish(authenticator.get(await second.begin(), as(undefined))), { ok: true })
})

t.test(
  'a passkey that is gone is told apart for the page alone, one of a disabled person is not',
  async t => {
    const { ctx, accountId, authenticator, begin, finish } = await adaOf(t)
    await ctx.sql`update accounts set disabled_at = now() where id = ${accountId}`
    t.same(await finish(authenticator.get(await begin())), refused)
    t.equal((await passkeyEvents(ctx)).at(-1), 'passkey.refused account')
    await ctx.sql`delete from webauthn_credentials`
    t.same(await finish(authenticator.get(await begin())), {
      ok: false,
      reason: 'unknown_credential',
      credentialId: authenticator.credentialId
    })
    t.equal((await passkeyEvents(ctx)).at(-1), 'passkey.refused unknown_credential')
  }
)

t.test('WAN-5: a copied key is noticed when its counter falls behind', async t => {
  const { ctx, authenticator, ways, begin, finish, stored } = await adaOf(t, { signCount: 10 })
  const copy = createAuthenticator({ signCount: 10 })
  copy.clone(authenticator)
  t.match(await finish(authenticator.get(await begin())), { ok: true })
  t.match(await stored(), { signCount: 11, signCountRegressedAt: null })

  for (const { begin, finish } of Object.values(ways)) {
    copy.setSignCount(10)
    t.same(await finish(copy.get(await begin())), refused, 'the same count again')
    copy.setSignCount(null)
    t.same(await finish(copy.get(await begin())), refused, 'a counter that stopped')
  }
  t.match(await stored(), { signCount: 11, signCountRegressedAt: ctx.now() })
  t.strictSame((await passkeyEvents(ctx)).slice(-2), [
    'passkey.sign_count_regressed',
    'passkey.refused sign_count'
  ])
  const first = ctx.now()
  ctx.clock.advance(1000)
  t.match(await finish(authenticator.get(await begin())), { ok: true }, 'the owner still gets in')
  t.match(await stored(), { signCount: 12, signCountRegressedAt: first }, 'and sees that there was something')
})

t.test('WAN-5: of two uses with one count at once, one counts', async t => {
  const { authenticator, ways, stored } = await adaOf(t, { signCount: 1 })
  for (const { begin, finish } of Object.values(ways)) {
    const signCount = ((await stored())?.signCount ?? 0) + 1
    const answers = [await begin(), await begin()].map(options => authenticator.get(options, { signCount }))
    const outcomes = await Promise.all(answers.map(answer => finish(answer)))
    t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  }
})

t.test('a passkey is renamed by its owner alone, and not while changes are frozen', async t => {
  const { ctx, account, accountId, passkey, stored } = await adaOf(t)
  const bob = await verifiedAccount(ctx, { email: 'bob@example.org', interactionUid: 'i2' })
  const { id } = passkey
  t.same(await renamePasskey(ctx, { accountId: bob.id, id, name: 'Mine' }), {
    ok: false,
    reason: 'not_found'
  })
  t.same(await renamePasskey(ctx, { accountId, id: 'x', name: 'Mine' }), { ok: false, reason: 'not_found' })
  t.same(await renamePasskey(ctx, { accountId, id, name: ' ' }), { ok: false, reason: 'missing' })
  t.same(await renamePasskey(ctx, { accountId, id, name: 'a\nb' }), { ok: false, reason: 'invalid' })
  t.same(await renamePasskey(ctx, { accountId, id, name: 'Laptop' }), { ok: true, name: 'Laptop' })
  t.equal((await stored())?.name, 'Laptop')
  t.equal((await passkeyEvents(ctx)).at(-1), 'passkey.renamed')
  await freeze(ctx, account)
  t.same(await renamePasskey(ctx, { accountId, id, name: 'Phone' }), { ok: false, reason: 'frozen' })
})

t.test(
  'WAN-6: a passkey is removed by its owner alone, who is told by mail; what it was is forgotten',
  async t => {
    const { ctx, account, accountId, authenticator, passkey, begin, finish } = await adaOf(t)
    const bob = await verifiedAccount(ctx, { email: 'bob@example.org', interactionUid: 'i2' })
    const { id } = passkey
    const remove = (owner: string, secondFactorRequired = false) =>
      removePasskey(ctx, { accountId: owner, id, secondFactorRequired })
    t.same(await remove(bob.id), { ok: false, reason: 'not_found' })
    t.same(await removePasskey(ctx, { accountId, id: 'x', secondFactorRequired: false }), {
      ok: false,
      reason: 'not_found'
    })
    t.same(await remove(accountId, true), { ok: false, reason: 'second_factor_required' })
    await freeze(ctx, account)
    t.same(await remove(accountId), { ok: false, reason: 'frozen' })
    ctx.clock.advance(86_400_000)
    t.equal((await countRows(ctx)).passkeys, 1)

    const outcomes = await Promise.all([remove(accountId), remove(accountId)])
    t.equal(outcomes.filter(({ ok }) => ok).length, 1)
    t.equal((await passkeyEvents(ctx)).at(-1), 'passkey.removed')
    const notices = (await listQueuedMails(ctx)).filter(({ kind }) => kind === 'factor_removed')
    t.match(notices, [{ to: account.email, data: { factor: 'passkey', label: passkey.name } }])
    t.equal(notices.length, 1)
    t.match(await finish(authenticator.get(await begin())), { ok: false, reason: 'unknown_credential' })
  }
)

t.test('WAN-6: the last way in stays, also when two are removed at once', async t => {
  const { ctx, account, accountId, passkey } = await adaOf(t)
  const other = await addedPasskey(ctx, account)
  const plain = await addedPasskey(ctx, account, { flags: { uv: false } })
  await withoutPassword(ctx, account)
  const remove = (id: string) => removePasskey(ctx, { accountId, id, secondFactorRequired: false })
  const outcomes = await Promise.all([remove(passkey.id), remove(other.passkey.id)])
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  t.same(
    outcomes.find(({ ok }) => !ok),
    { ok: false, reason: 'last_way_in' }
  )
  t.same(await remove(plain.passkey.id), { ok: true }, 'a key that cannot stand alone may go')
  t.equal((await countRows(ctx)).passkeys, 1)
})

t.test('authenticators are told which passkeys are still good, under the name of today', async t => {
  const { ctx, account, authenticator } = await adaOf(t)
  ctx.clock.advance(1000)
  const { authenticator: other } = await addedPasskey(ctx, account)
  const signals = signalsOf(ctx.config, account, await listPasskeys(ctx.sql, account.id))
  const options = await beginRegistration(ctx, { account, boundTo })
  t.strictSame(signals, {
    rpId: 'localhost',
    userId: options.user.id,
    name: account.email,
    displayName: account.name,
    credentialIds: `${authenticator.credentialId} ${other.credentialId}`
  })
})
