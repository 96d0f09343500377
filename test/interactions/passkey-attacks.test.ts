// Passkeys at the pages of a sign-in, as somebody with tools of their own uses them.
import t, { type Test } from 'tap'
import { type Authenticator, makeKey, type Wrong } from '../helpers/authenticator.ts'
import { createWalk, createWorld } from '../helpers/factor-paths.ts'
import { createHolder, newKey, optionsOf, stepOf, typePassword, walkOn } from '../helpers/factors.ts'
import { openSignIn } from '../helpers/forms.ts'
import { startService, Visitor } from '../helpers/service.ts'
import { type Answer, findForm } from '../helpers/visitor.ts'

const service = await startService(t)
const { shop } = await createWorld(service)
const { pool } = service
type Holder = Awaited<ReturnType<typeof createHolder>> & { key: Authenticator }
type At = { visitor: Visitor; page: Answer }

async function createKeyHolder(facts: Parameters<typeof createHolder>[1] = {}): Promise<Holder> {
  const { key, ...holder } = await createHolder(service, { key: 'passkey', ...facts })
  if (key === null) throw new Error('no key')
  return { ...holder, key }
}

const openAnew = (visitor = new Visitor()): Promise<At> => openSignIn(service, { application: shop, visitor })

/** A browser at the second step. */
async function halfway(holder: Holder): Promise<At> {
  const { visitor, page } = await openAnew()
  return { visitor, page: await typePassword(visitor, page, holder) }
}

const optionsAt = async ({ visitor, page }: At) => JSON.parse((await optionsOf(visitor, page)).text)
const post = ({ visitor, page }: At, response: string): Promise<Answer> =>
  visitor.post(page, 'passkey-form', { response })
const isSignedIn = async ({ visitor }: At): Promise<boolean> =>
  stepOf(await visitor.visit(`${service.issuer}/account/security`)) !== 'sign-in'

/** One clear message, and nobody is signed in. */
async function checkRefused(t: Test, at: At, response: string, what: string): Promise<void> {
  const answer = await post(at, response)
  t.equal(answer.status, 422, what)
  t.match(answer.text, 'role="alert"', what)
  t.equal(await isSignedIn(at), false, what)
}

t.test('WAN-7: the options of a sign-in are the same whoever is meant, and name nobody', async t => {
  const [keyHolder, plain] = [await createKeyHolder(), await createHolder(service)]
  const seen = []
  for (const email of [keyHolder.email, plain.email, 'nobody@example.org', '']) {
    const { visitor, page } = await openSignIn(service, { application: shop, params: { login_hint: email } })
    await visitor.post(page, 'sign-in-form', { email, password: 'wrong horse battery staple' })
    const { action, fields } = findForm(page, 'passkey-form')
    const body = new URLSearchParams({ ...fields, email, username: email, accountId: keyHolder.account.id })
    const answer = await visitor.request(`${action}/options`, { method: 'POST', body })
    const { challenge, ...options } = JSON.parse(answer.text)
    t.ok(Buffer.from(challenge, 'base64url').length >= 16)
    seen.push({ status: answer.status, ...options })
  }
  t.match(seen[0], { status: 200, allowCredentials: [], userVerification: 'required' })
  for (const options of seen) t.strictSame(options, seen[0])
})

t.test('WAN-7: the keys of somebody are named once their password is proved, and not before', async t => {
  const holder = await createKeyHolder()
  const { visitor, page } = await openAnew()
  const { fields } = findForm(page, 'sign-in-form')
  for (const path of ['second-factor', 'set-up', 'passkey']) {
    const url = page.url.replace(/\/sign-in$/, `/${path}/passkey/options`)
    const answer = await visitor.request(url, { method: 'POST', body: new URLSearchParams(fields) })
    t.equal(answer.status, 303, path)
    t.notMatch(answer.text, holder.key.credentialId)
  }
  const { allowCredentials } = await optionsAt(await halfway(holder))
  t.strictSame(
    allowCredentials.map(({ id }: { id: string }) => id),
    [holder.key.credentialId]
  )
})

t.test('WAN-1: a challenge is good in the sign-in that it was made for, once', async t => {
  const { key } = await createKeyHolder()
  const [own, other] = [await openAnew(), await openAnew()]
  const response = key.get(await optionsAt(own))
  await checkRefused(t, other, response, 'in another browser')
  const secondTab = await openAnew(own.visitor)
  await checkRefused(t, secondTab, response, 'in another sign-in of the same browser')
  const answer = await post(own, response)
  t.equal(answer.status, 303, 'which spends nothing: in its own it is good')
  for (const at of [await openAnew(), own]) {
    const again = await post(at, response)
    t.not(await isSignedIn(at), true, 'again')
    t.ok(again.status === 422 || at === own)
  }
})

t.test('WAN-1: of twenty that send one answer at once, one is looked at', async t => {
  const holder = await createKeyHolder()
  const second = await halfway(holder)
  const response = holder.key.get(await optionsAt(second))
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(second, response)))
  const led = answers.filter(({ status }) => status === 303).length
  const refused = await pool`
    select from audit_events where type = 'passkey.refused' and account_id = ${holder.account.id}`
  t.equal(answers.filter(({ status }) => status === 422).length, refused.length)
  t.ok(led >= 1 && led + refused.length === 20, `${led} are led on`)
  const [{ proofs } = { proofs: 0 }] = await pool<{ proofs: number }[]>`
    select jsonb_array_length(progress -> 'proofs') as proofs from interactions where account_id = ${holder.account.id}`
  t.equal(proofs, 2)
})

t.test('WAN-1: a challenge is good for its ceremony alone', async t => {
  const holder = await createKeyHolder()
  const { key } = holder
  const signIn = await openAnew()
  const secondStep = await halfway(holder)
  await checkRefused(t, secondStep, key.get(await optionsAt(signIn)), 'of a sign-in, at the second step')
  const again = await openAnew()
  await checkRefused(t, again, key.get(await optionsAt(secondStep)), 'of the second step, at a sign-in')

  // The same sign-in, from its first to its second step.
  const own = await openAnew()
  const early = key.get(await optionsAt(own))
  const next = { ...own, page: await typePassword(own.visitor, own.page, holder) }
  t.equal(stepOf(next.page), 'second-factor')
  await checkRefused(t, next, early, 'of the first step, at the second one')
  t.equal((await post(next, key.get(await optionsAt(next)))).status, 303)

  const member = await createKeyHolder()
  const walk = createWalk(service, member, 'password')
  const page = await walkOn(walk, await walk.visitor.visit(`${service.issuer}/account/security/passkeys/add`))
  const creation = JSON.parse((await optionsOf(walk.visitor, page, 'add-passkey-form')).text)
  const asRequest = { challenge: creation.challenge, rpId: creation.rp.id }
  await checkRefused(t, await openAnew(), member.key.get(asRequest), 'of a registration, at a sign-in')
  const made = newKey(service, 'passkey').create(creation)
  await checkRefused(t, await openAnew(), made, 'and what was made, too')
})

t.test('WAN-1: a challenge is good for five minutes', async t => {
  const { key } = await createKeyHolder()
  const at = await openAnew()
  const response = key.get(await optionsAt(at))
  service.advance(301)
  await checkRefused(t, at, response, 'later')
})

const falsified: Record<string, Wrong> = {
  'WAN-3: nobody was verified': { flags: { uv: false } },
  'nobody was there': { flags: { up: false, uv: false } },
  'of another origin': { clientData: { origin: 'https://gatehouse.example' } },
  'of another relying party': { rpId: 'gatehouse.example' },
  'of a frame': { clientData: { crossOrigin: true } },
  'of another type': { clientData: { type: 'webauthn.create' } },
  'signed by another key': { signedBy: makeKey('ES256').privateKey },
  'over other data': { signatureOver: Buffer.from('other data') },
  'id ≠ rawId': { answer: { rawId: 'AAAA' } }
}

t.test('WAN-2, WAN-3: what is false in one place signs nobody in', async t => {
  const { key } = await createKeyHolder()
  for (const [what, wrong] of Object.entries(falsified)) {
    const at = await openAnew()
    await checkRefused(t, at, key.get(await optionsAt(at), wrong), what)
    t.equal((await post(at, key.get(await optionsAt(at)))).status, 303, 'then with what is true')
  }
})

t.test('WAN-3: a security key that verifies nobody does not sign in alone, whatever it says', async t => {
  const holder = await createKeyHolder({ key: 'security_key' })
  const at = await openAnew()
  await checkRefused(t, at, holder.key.get(await optionsAt(at)), 'as it is')
  const lying = { flags: { uv: true } }
  await checkRefused(t, at, holder.key.get(await optionsAt(at), lying), 'with a PIN that its finder set')
})

t.test('WAN-4: a passkey is its owner’s, whoever it says it is of', async t => {
  const [ada, bob] = [await createKeyHolder(), await createKeyHolder()]
  const handleOf = ({ account }: Holder) =>
    Buffer.from(account.id.replaceAll('-', ''), 'hex').toString('base64url')
  const at = await openAnew()
  for (const userHandle of [bob.key.export().userHandle, handleOf(bob), '', 'AAAA'])
    await checkRefused(t, at, ada.key.get(await optionsAt(at), { response: { userHandle } }), userHandle)

  const second = await halfway(ada)
  await checkRefused(t, second, bob.key.get(await optionsAt(second)), 'another person’s key')
  const asAda = { response: { userHandle: ada.key.export().userHandle } }
  await checkRefused(t, second, bob.key.get(await optionsAt(second), asAda), 'under her name')
  const asHerKey = { answer: { id: ada.key.credentialId, rawId: ada.key.credentialId } }
  await checkRefused(t, second, bob.key.get(await optionsAt(second), asHerKey), 'as her key')
  const ofBob = { response: { userHandle: bob.key.export().userHandle } }
  await checkRefused(t, second, ada.key.get(await optionsAt(second), ofBob), 'her key, under his name')
  t.equal((await post(second, ada.key.get(await optionsAt(second)))).status, 303)
})
