// Adding passkeys and security keys. @see Web Authentication Level 3 §7.1
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { credentialRetention } from '../../src/credentials/retention-service.ts'
import { beginRegistration, finishRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { listPasskeys } from '../../src/credentials/webauthn-repository.ts'
import { beginSecondFactor, beginSignIn } from '../../src/credentials/webauthn-sign-in-service.ts'
import { removeExpired } from '../../src/jobs/retention-service.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import {
  type AuthenticatorSettings,
  createAuthenticator,
  makeKey,
  type Wrong
} from '../helpers/authenticator.ts'
import { type Certificate, issueCertificate } from '../helpers/certificates.ts'
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
import { listQueuedMails, signedUp, verifiedAccount } from '../helpers/people.ts'

const refused = { ok: false, reason: 'refused' }

/** Ada in her session, and how she adds a passkey. */
async function adaOf(t: Test, environment: Record<string, string> = {}) {
  const ctx = await createContext(t, { environment })
  const account = await verifiedAccount(ctx)
  const ada = { account, boundTo: ownSession }
  return {
    ctx,
    account,
    ada,
    begin: () => beginRegistration(ctx, ada),
    finish: (response: unknown, name?: unknown) => finishRegistration(ctx, { ...ada, response, name })
  }
}

t.test('a passkey of every kind is added, told of and written down', async t => {
  const { ctx, account, begin, finish } = await adaOf(t)
  const kinds: AuthenticatorSettings[] = [
    { algorithm: 'ES256' },
    {
      algorithm: 'EdDSA',
      flags: { be: false, bs: false, uv: false },
      transports: ['usb', 'nonsense', 'nfc']
    },
    { algorithm: 'RS256', signCount: 7 },
    { algorithm: 'ES256', attestation: 'self' },
    { algorithm: 'EdDSA', attestation: 'self' }
  ]
  for (const kind of kinds) {
    ctx.clock.advance(1000)
    t.match(await finish(createAuthenticator(kind).create(await begin())), { ok: true }, JSON.stringify(kind))
  }
  const passkeys = await listPasskeys(ctx.sql, account.id)
  t.equal(passkeys.length, kinds.length)
  t.match(passkeys[0], { userVerified: true, backupEligible: true, backedUp: true, signCount: 0 })
  t.match(passkeys[1], {
    userVerified: false,
    backupEligible: false,
    backedUp: false,
    transports: ['nfc', 'usb'],
    name: 'Security key',
    lastUsedAt: null
  })
  t.match(passkeys[2], { signCount: 7, name: 'Passkey' })
  t.strictSame(await passkeyEvents(ctx), Array(kinds.length).fill('passkey.added'))
  const notices = (await listQueuedMails(ctx)).filter(({ kind }) => kind === 'factor_added')
  t.equal(notices.length, kinds.length)
  t.match(notices[1], { to: account.email, data: { factor: 'passkey', label: 'Security key' } })
  t.same(await countRows(ctx), { passkeys: kinds.length, challenges: 0 })
})

t.test('a passkey is called as its owner says, else by its make, else by its kind', async t => {
  const { begin, finish } = await adaOf(t)
  const nameOf = async (settings: AuthenticatorSettings, name?: unknown) => {
    const outcome = await finish(createAuthenticator(settings).create(await begin()), name)
    return outcome.ok ? outcome.passkey.name : outcome.reason
  }
  const bitwarden = 'd548826e-79b4-db40-a3d8-11116f7e8349'
  t.equal(await nameOf({ aaguid: bitwarden }, '  My vault '), 'My vault')
  t.equal(await nameOf({ aaguid: bitwarden }, ''), 'Bitwarden')
  t.equal(await nameOf({ aaguid: bitwarden }, 'see https://evil.example'), 'Bitwarden')
  t.equal(await nameOf({ aaguid: bitwarden }, ['a', 'list']), 'Bitwarden')
  t.equal(await nameOf({ aaguid: 'ee882879-721c-4913-9775-3dfcce97072a' }), 'YubiKey 5')
  t.equal(await nameOf({ transports: ['usb'] }), 'Security key')
  t.equal(await nameOf({ transports: ['hybrid', 'internal'] }), 'Passkey')
})

t.test('the browser is asked for what the account needs', async t => {
  const { ctx, account, begin } = await adaOf(t, { BRAND_NAME: 'Example Ltd' })
  const { authenticator } = await addedPasskey(ctx, account, { transports: ['usb'] })
  const options = await begin()
  t.match(options, {
    rp: { id: 'localhost', name: 'Example Ltd' },
    user: {
      id: Buffer.from(account.id.replaceAll('-', ''), 'hex').toString('base64url'),
      name: account.email,
      displayName: account.name
    },
    timeout: 300_000,
    attestation: 'none',
    excludeCredentials: [{ id: authenticator.credentialId, type: 'public-key', transports: ['usb'] }],
    authenticatorSelection: { residentKey: 'preferred', userVerification: 'preferred' }
  })
  t.strictSame(
    options.pubKeyCredParams.map(({ alg }) => alg),
    [-7, -8, -257]
  )
  await withoutPassword(ctx, account)
  t.match((await begin()).authenticatorSelection, { residentKey: 'required', userVerification: 'required' })
})

t.test('WAN-1: a challenge is 32 random bytes, of which the database has the hash alone', async t => {
  const { ctx, begin } = await adaOf(t)
  const [one, other] = [await begin(), await begin()]
  t.equal(Buffer.from(one.challenge, 'base64url').length, 32)
  t.not(one.challenge, other.challenge)
  const rows =
    await ctx.sql`select * from webauthn_challenges where challenge_hash = ${hashToken(one.challenge)}`
  t.equal(rows.length, 1)
  t.notMatch(JSON.stringify(rows), one.challenge)
  t.notMatch(JSON.stringify(rows), Buffer.from(one.challenge, 'base64url').toString('hex'))
})

t.test('WAN-1: one answer sent twenty times at once adds one passkey', async t => {
  const { ctx, begin, finish } = await adaOf(t)
  const response = createAuthenticator().create(await begin())
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => finish(response)))
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  t.same(await countRows(ctx), { passkeys: 1, challenges: 0 })
})

t.test(
  'WAN-1: an answer counts once, in its own session, for its own account and ceremony, for five minutes',
  async t => {
    const { ctx, account, ada, begin, finish } = await adaOf(t)
    const bob = await verifiedAccount(ctx, { email: 'bob@example.org', interactionUid: 'i2' })
    const response = createAuthenticator().create(await begin())
    t.same(await finishRegistration(ctx, { account, boundTo: otherSession, response }), refused)
    t.same(await finishRegistration(ctx, { account: bob, boundTo: ownSession, response }), refused)
    t.match(await finish(response), { ok: true })
    t.same(await finish(response), refused, 'replayed')

    const options = await begin()
    const swaps = [
      await beginSignIn(ctx, { boundTo: ownSession }),
      await beginSecondFactor(ctx, { accountId: account.id, boundTo: ownSession })
    ]
    for (const swapped of swaps) {
      const { challenge = '' } = swapped ?? {}
      t.same(await finish(createAuthenticator().create({ ...options, challenge })), refused, 'swapped')
    }
    const last = options.challenge.at(-1) === 'A' ? 'E' : 'A'
    const oneOff = `${options.challenge.slice(0, -1)}${last}`
    t.same(await finish(createAuthenticator().create({ ...options, challenge: oneOff })), refused, 'one off')

    const late = createAuthenticator().create(await beginRegistration(ctx, ada))
    ctx.clock.advance(300_000)
    t.same(await finish(late), refused, 'five minutes old')
    const inTime = createAuthenticator().create(await begin())
    ctx.clock.advance(299_000)
    t.match(await finish(inTime), { ok: true })
    t.equal((await countRows(ctx)).passkeys, 2)
  }
)

const { privateKey: strangersKey } = makeKey('ES256')
const faults: Record<string, Wrong> = {
  'another type': { clientData: { type: 'webauthn.get' } },
  'another origin': { clientData: { origin: 'https://evil.example' } },
  'an origin that begins alike': { clientData: { origin: 'http://localhost:3000.evil.example' } },
  'a frame of another site': { clientData: { crossOrigin: true } },
  'a frame that says it is none': { clientData: { topOrigin: 'https://evil.example' } },
  'no challenge': { clientData: { challenge: undefined } },
  'a list as challenge': { clientData: { challenge: ['a'] } },
  'client data that is no object': { clientDataText: 'null' },
  'client data that is no JSON': { clientDataText: '{' },
  'another RP ID': { rpId: 'evil.example' },
  'nobody present': { flags: { up: false } },
  'backed up though it cannot be': { flags: { be: false, bs: true } },
  'bytes too many': { trailing: Buffer.of(0) },
  'rawId other than id': { answer: { rawId: 'AAAA' } },
  'an id that was not attested': { answer: { id: 'AAAA', rawId: 'AAAA' } },
  'another attested id': { attestedId: Buffer.alloc(32) },
  'another kind of credential': { answer: { type: 'password' } },
  'no id': { answer: { id: undefined } },
  'an algorithm that was not asked for': { claimedAlgorithm: -65535 },
  'another attestation format': { format: 'nonsense' },
  'an attestation object that is none': { response: { attestationObject: 'AAAA' } },
  'an attestation object of another type': { response: { attestationObject: 5 } },
  'no attestation object': { response: { attestationObject: undefined } },
  'client data that is no base64url': { response: { clientDataJSON: '???' } },
  'transports that are no texts': { response: { transports: [{}] } }
}

t.test('WAN-2: whatever is wrong in an answer, nothing is added, and it cannot be mended', async t => {
  const { ctx, begin, finish } = await adaOf(t)
  for (const [what, wrong] of Object.entries(faults)) {
    const options = await begin()
    const outcome = await finish(createAuthenticator().create(options, wrong))
    t.match(outcome, { ok: false, reason: /^(refused|not_allowed)$/ }, what)
    t.match((await passkeyEvents(ctx)).at(-1), /^passkey\.refused \w+$/, what)
  }
  const selfSigned = createAuthenticator({ attestation: 'self' })
  t.same(await finish(selfSigned.create(await begin(), { signedBy: strangersKey })), refused, 'attestation')
  for (const text of [undefined, null, '', '{', '[]', 'null', '"x"', 5, {}, ['a'], '{"id":"a"}'])
    t.same(await finish(text), refused, String(text))

  const options = await begin()
  const authenticator = createAuthenticator()
  t.same(
    await finish(authenticator.create(options, { clientData: { origin: 'https://evil.example' } })),
    refused
  )
  t.same(await finish(authenticator.create(options)), refused, 'the challenge is spent')
  t.equal((await countRows(ctx)).passkeys, 0)
  t.match(await finish(authenticator.create(await begin())), { ok: true })
})

t.test('WAN-2: pages of related origins may add passkeys', async t => {
  const { begin, finish } = await adaOf(t, { WEBAUTHN_RELATED_ORIGINS: 'https://shop.example' })
  const shop = createAuthenticator({ origin: 'https://shop.example' })
  t.match(await finish(shop.create(await begin())), { ok: true })
})

t.test('WAN-3: a person must be verified where that is demanded, whatever the browser says', async t => {
  const unverified = { flags: { uv: false } }
  await t.test('by the setting', async t => {
    const { begin, finish } = await adaOf(t, { WEBAUTHN_USER_VERIFICATION: 'required' })
    t.equal((await begin()).authenticatorSelection?.userVerification, 'required')
    t.same(await finish(createAuthenticator(unverified).create(await begin())), refused)
    t.match(await finish(createAuthenticator().create(await begin())), { ok: true })
  })
  await t.test('for an account without a password', async t => {
    const { ctx, account, begin, finish } = await adaOf(t)
    const options = await begin()
    await withoutPassword(ctx, account)
    t.same(await finish(createAuthenticator(unverified).create(options)), refused)
    t.match(await finish(createAuthenticator().create(await begin())), { ok: true })
  })
})

t.test('WAN-5: one credential belongs to one account, however many claim it at once', async t => {
  const { ctx, account, begin, finish } = await adaOf(t)
  const bob = await verifiedAccount(ctx, { email: 'bob@example.org', interactionUid: 'i2' })
  const id = Buffer.alloc(16, 7)
  const claim = async (owner: typeof account) => {
    const registering = { account: owner, boundTo: ownSession }
    const response = createAuthenticator().create(await beginRegistration(ctx, registering), {}, id)
    return () => finishRegistration(ctx, { ...registering, response })
  }
  const claims = [await claim(account), await claim(bob), await claim(account), await claim(bob)]
  const outcomes = await Promise.all(claims.map(finishClaim => finishClaim()))
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  for (const outcome of outcomes.filter(({ ok }) => !ok))
    t.same(outcome, { ok: false, reason: 'already_registered' })
  t.same(await finish(createAuthenticator().create(await begin(), {}, id)), {
    ok: false,
    reason: 'already_registered'
  })
  t.equal((await countRows(ctx)).passkeys, 1)
})

t.test('an account has twenty passkeys at most, also when many are added at once', async t => {
  const { ctx, account, begin, finish } = await adaOf(t)
  for (let index = 0; index < 18; index++)
    await ctx.sql`
      insert into webauthn_credentials (id, account_id, credential_id, public_key, sign_count, aaguid, name,
        backup_eligible, backed_up, user_verified, created_at)
      values (gen_random_uuid(), ${account.id}, ${Buffer.of(index)}, ${Buffer.of(0)}, 0, gen_random_uuid(), 'x',
        true, true, true, ${ctx.now()})`
  const responses = await Promise.all(
    Array.from({ length: 6 }, async () => createAuthenticator().create(await begin()))
  )
  const outcomes = await Promise.all(responses.map(response => finish(response)))
  t.equal(outcomes.filter(({ ok }) => ok).length, 2)
  for (const outcome of outcomes.filter(({ ok }) => !ok)) t.same(outcome, { ok: false, reason: 'too_many' })
  t.equal((await countRows(ctx)).passkeys, 20)
})

t.test(
  'nothing is added while changes are frozen, nor to an account that nobody proved to be theirs',
  async t => {
    const { ctx, account, begin, finish } = await adaOf(t)
    await freeze(ctx, account)
    const attempt = async () => await finish(createAuthenticator().create(await begin()))
    t.same(await attempt(), { ok: false, reason: 'frozen' })
    ctx.clock.advance(86_400_000)
    t.match(await attempt(), { ok: true })
    await ctx.sql`update accounts set disabled_at = now() where id = ${account.id}`
    t.same(await attempt(), refused)

    const { accountId } = await signedUp(ctx, { email: 'eve@example.org', interactionUid: 'i2' })
    const eve = { account: { id: accountId, email: 'eve@example.org', name: 'Eve' }, boundTo: ownSession }
    const response = createAuthenticator().create(await beginRegistration(ctx, eve))
    t.same(await finishRegistration(ctx, { ...eve, response }), refused)
    t.equal((await countRows(ctx)).passkeys, 1)
  }
)

const model = '12345678-1234-1234-1234-123456789abc'

async function withAttestation(t: Test, root: Certificate, extra: Record<string, string> = {}) {
  const path = join(t.testdir(), 'roots.pem')
  writeFileSync(path, `${issueCertificate('Another root', { ca: true }).pem}${root.pem}`)
  return await adaOf(t, {
    WEBAUTHN_ATTESTATION: 'required',
    WEBAUTHN_ATTESTATION_ROOTS: path,
    ...extra
  })
}

t.test('where attestation is required, only keys of makers that are trusted are let in', async t => {
  const root = issueCertificate('Root', { ca: true })
  const intermediate = issueCertificate('Intermediate', { ca: true, issuer: root })
  const leaf = issueCertificate('Batch', { issuer: intermediate })
  const key = (...certificates: Certificate[]) =>
    createAuthenticator({ aaguid: model, attestation: { certificates } })
  const { ctx, begin, finish } = await withAttestation(t, root)
  t.equal((await begin()).attestation, 'direct')

  t.match(await finish(key(leaf, intermediate).create(await begin())), { ok: true })
  t.match(await finish(key(issueCertificate('Direct', { issuer: root })).create(await begin())), { ok: true })

  const homemade = issueCertificate('Root', { ca: true })
  const past = { from: new Date('2020-01-01'), to: new Date('2021-01-01') }
  const expired = issueCertificate('Expired', { ca: true, issuer: root, ...past })
  const strangers: Record<string, ReturnType<typeof createAuthenticator>> = {
    'no attestation': createAuthenticator({ aaguid: model }),
    'its own word': createAuthenticator({ aaguid: model, attestation: 'self' }),
    'a certificate made at home': key(issueCertificate('Batch', { issuer: homemade }), homemade),
    'one that signed itself': key(issueCertificate('Batch')),
    'a chain with a link missing': key(leaf),
    'a chain in which a key of another maker signs': key(
      issueCertificate('Forged', { issuer: leaf }),
      leaf,
      intermediate
    ),
    'a maker whose own certificate is too old': key(issueCertificate('Batch', { issuer: expired }), expired)
  }
  for (const [what, stranger] of Object.entries(strangers))
    t.same(await finish(stranger.create(await begin())), { ok: false, reason: 'not_allowed' }, what)
  const forged = key(leaf, intermediate).create(await begin(), { signedBy: strangersKey })
  t.same(await finish(forged), refused, 'signed by another key')
  t.equal((await countRows(ctx)).passkeys, 2)
})

t.test('attestation is not demanded before somebody is trusted to vouch', async t => {
  const faultOf = (roots: Record<string, string>) => {
    const environment = { WEBAUTHN_ATTESTATION: 'required', ...roots }
    const outcome = loadConfig(environment, { writeSecrets: false })
    return outcome.ok ? null : outcome.faults[0]?.setting
  }
  const path = join(t.testdir(), 'roots.pem')
  t.equal(faultOf({}), 'WEBAUTHN_ATTESTATION_ROOTS')
  for (const text of ['', 'nonsense', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----']) {
    writeFileSync(path, text)
    t.equal(faultOf({ WEBAUTHN_ATTESTATION_ROOTS: path }), 'WEBAUTHN_ATTESTATION_ROOTS', text)
  }
  t.equal(faultOf({ WEBAUTHN_ATTESTATION_ROOTS: `${path}.gone` }), 'WEBAUTHN_ATTESTATION_ROOTS')
  writeFileSync(path, issueCertificate('Root', { ca: true }).pem)
  t.equal(faultOf({ WEBAUTHN_ATTESTATION_ROOTS: path }), null)
})

t.test('where makes are named, others are not let in', async t => {
  const root = issueCertificate('Root', { ca: true })
  const certificates = [issueCertificate('Batch', { issuer: root })]
  const { begin, finish } = await withAttestation(t, root, { WEBAUTHN_ALLOWED_AAGUIDS: model.toUpperCase() })
  const other = createAuthenticator({ attestation: { certificates } })
  t.same(await finish(other.create(await begin())), { ok: false, reason: 'not_allowed' })
  const named = createAuthenticator({ aaguid: model, attestation: { certificates } })
  t.match(await finish(named.create(await begin())), { ok: true })
})

t.test('where no attestation is asked for, certificates are not even read', async t => {
  const { begin, finish } = await adaOf(t)
  const certificates = [issueCertificate('Batch')]
  const chatty = createAuthenticator({ attestation: { certificates } })
  t.same(await finish(chatty.create(await begin())), { ok: false, reason: 'not_allowed' })
})

t.test('challenges that nobody answered are forgotten', async t => {
  const { ctx, begin } = await adaOf(t)
  await begin()
  await removeExpired(ctx, credentialRetention)
  t.equal((await countRows(ctx)).challenges, 1)
  ctx.clock.advance(300_000)
  await removeExpired(ctx, credentialRetention)
  t.equal((await countRows(ctx)).challenges, 0)
})
