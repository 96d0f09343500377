import { decodeJwt } from 'jose'
import t from 'tap'
import { findAccountByEmailKey } from '../../src/accounts/repository.ts'
import { createRecoveryCodes } from '../../src/credentials/recovery-code-service.ts'
import {
  type Application,
  agree,
  createApplication,
  newcomer,
  password,
  Visitor
} from '../helpers/application.ts'
import { startService } from '../helpers/service.ts'
import { addAuthenticator, codeShown } from '../helpers/totp.ts'
import type { Answer } from '../helpers/visitor.ts'

const service = await startService(t)
const application = await createApplication(service)
const { ctx } = service.app
const [oneFactor, twoFactors] = ['urn:gatehouse:acr:1fa', 'urn:gatehouse:acr:mfa']
let people = 0

/** Somebody with an authenticator, whose codes `code` tells: each call the next step's. */
async function person({ authenticator = true } = {}) {
  const email = `person${people++}@example.org`
  const { visitor } = await newcomer(service, application, { email })
  const account = await findAccountByEmailKey(service.pool, email)
  if (account === null) throw new Error('nobody signed up')
  const secret = authenticator ? (await addAuthenticator(ctx, account)).secret : ''
  const code = () => {
    service.advance(31)
    return codeShown(secret, ctx.now())
  }
  return { email, account, visitor, code }
}

/** Signs in up to the page after the password. */
async function begin(email: string, { params = {}, visitor = new Visitor(), from = application } = {}) {
  const { url, finish } = await from.begin(params)
  const page = await visitor.visit(url)
  const next = page.text.includes('id="sign-in-form"')
    ? await visitor.submit(page, 'sign-in-form', { email, password })
    : page
  return { visitor, page: next, finish }
}

const claimsOf = (tokens: { id_token?: string }) => decodeJwt(tokens.id_token ?? '')
const isAt = (page: Answer, step: string) => new URL(page.url).pathname.endsWith(`/${step}`)

t.test('MFA-5: a password alone leads to the second step and nowhere else', async t => {
  const { email, code } = await person()
  const { visitor, page, finish } = await begin(email)
  t.ok(isAt(page, 'second-factor'), page.url)
  const base = page.url.replace(/\/second-factor$/, '')
  for (const step of ['', '/sign-in', '/sign-up', '/verify-email', '/consent'])
    t.ok(isAt(await visitor.visit(`${base}${step}`), 'second-factor'), `${step} leads back`)
  const wrong = await visitor.submit(page, 'totp-form', { code: '000000' })
  t.equal(wrong.status, 422)
  t.match(wrong.text, /id="code-fault" role="alert"/)
  t.notMatch(wrong.text, /value="000000"/, 'the code is not shown again')
  const tokens = await finish(
    (await agree(visitor, await visitor.submit(page, 'totp-form', { code: code() }))).location
  )
  t.match(claimsOf(tokens), { acr: twoFactors, amr: ['pwd', 'otp', 'mfa'] })
})

t.test('MFA-5: whoever has one factor is told so truly', async t => {
  const { email } = await person({ authenticator: false })
  const { visitor, page, finish } = await begin(email)
  const claims = claimsOf(await finish((await agree(visitor, page)).location))
  t.match(claims, { acr: oneFactor, amr: ['pwd'] })
  t.strictSame(claims.amr, ['pwd'])
})

t.test('a recovery code stands in for the authenticator, once', async t => {
  const { email, account } = await person()
  const made = await createRecoveryCodes(ctx, account)
  if (!made.ok) throw new Error(made.reason)
  const [first = ''] = made.codes
  const use = async () => {
    const { visitor, page, finish } = await begin(email)
    const chooser = await visitor.visit(`${page.url}?method=recovery_code`)
    return { visitor, finish, next: await visitor.submit(chooser, 'recovery-code-form', { code: first }) }
  }
  const { visitor, finish, next } = await use()
  const tokens = await finish((await agree(visitor, next)).location)
  t.match(claimsOf(tokens), { acr: twoFactors, amr: ['pwd', 'otp', 'mfa'] })
  const again = await use()
  t.equal(again.next.status, 422)
  t.match(again.next.text, 'not one of your unused recovery codes')
})

t.test('MFA-11: acr_values asks a session for the missing step alone, and auth_time stays true', async t => {
  const { email, visitor, account } = await person({ authenticator: false })
  const { secret } = await addAuthenticator(ctx, account)
  service.advance(120)
  const before = Math.floor(ctx.now().getTime() / 1000)
  const { url, finish } = await application.begin({ prompt: '', acr_values: twoFactors } as never)
  const page = await visitor.visit(url.replace('prompt=&', ''))
  t.ok(isAt(page, 'second-factor'), 'no password is asked for')
  t.match(page.text, email)
  service.advance(31)
  const next = await visitor.submit(page, 'totp-form', { code: codeShown(secret, ctx.now()) })
  const claims = claimsOf(await finish((await agree(visitor, next)).location))
  t.match(claims, { acr: twoFactors, amr: ['pwd', 'otp', 'mfa'] })
  t.ok(Number(claims.auth_time) < before - 60, 'the password is as old as it was')

  const silent = await application.begin({ prompt: 'none', acr_values: twoFactors })
  const back = await visitor.visit(silent.url)
  t.match(claimsOf(await silent.finish(back.location)), { acr: twoFactors }, 'the session has it now')
})

t.test(
  'MFA-11: prompt=none in a session of one factor answers login_required to a demand for two',
  async t => {
    const { visitor } = await person({ authenticator: false })
    const { url } = await application.begin({ prompt: 'none', acr_values: twoFactors })
    const { location } = await visitor.visit(url)
    t.equal(new URL(location ?? '').searchParams.get('error'), 'login_required')
  }
)

t.test(
  'a stronger session satisfies a weaker demand, and the token tells the value that was asked for',
  async t => {
    const { email, code } = await person()
    const { visitor, page, finish } = await begin(email)
    await finish((await agree(visitor, await visitor.submit(page, 'totp-form', { code: code() }))).location)
    const weak = await application.begin({ prompt: 'none', acr_values: oneFactor })
    const claims = claimsOf(await weak.finish((await visitor.visit(weak.url)).location))
    t.equal(claims.acr, oneFactor)
  }
)

t.test('an essential acr that nobody here knows is refused; a known one is asked for', async t => {
  const { visitor } = await person({ authenticator: false })
  const essential = (values: string[]) => JSON.stringify({ id_token: { acr: { essential: true, values } } })
  const unknown = await application.begin({ claims: essential(['urn:example:loa:4']) })
  const answer = await visitor.visit(unknown.url)
  t.equal(new URL(answer.location ?? '').searchParams.get('error'), 'unmet_authentication_requirements')
  const known = await application.begin({ claims: essential([twoFactors]) })
  t.notOk(isAt(await visitor.visit(known.url), 'consent'))
})

t.test('an application that requires two factors is not reached with one, whatever it asks for', async t => {
  const registered = await service.register({
    client_name: 'Ledger',
    redirect_uris: ['https://ledger.example/callback'],
    required_acr: twoFactors
  })
  const ledger: Application = await createApplication(service, registered)
  const { email, code } = await person()
  const first = await begin(email)
  t.ok(isAt(first.page, 'second-factor'))
  const trusted = await begin(email, { from: ledger, params: { scope: 'openid', acr_values: oneFactor } })
  t.ok(isAt(trusted.page, 'second-factor'))
  const next = await trusted.visitor.submit(trusted.page, 'totp-form', { code: code() })
  t.match(claimsOf(await trusted.finish((await agree(trusted.visitor, next)).location)).amr, [
    'pwd',
    'otp',
    'mfa'
  ])
})

t.test('MFA-1: of twenty sign-ins with the same code at once, one gets through', async t => {
  const { email, code } = await person()
  const waiting: Awaited<ReturnType<typeof begin>>[] = []
  for (let browser = 0; browser < 20; browser++) waiting.push(await begin(email))
  const shown = code()
  const answers = await Promise.all(
    waiting.map(({ visitor, page }) => visitor.post(page, 'totp-form', { code: shown }))
  )
  t.equal(answers.filter(({ status }) => status === 303).length, 1)
})

t.test('who gives up at the second step is nobody’s guest', async t => {
  const { email } = await person()
  const { visitor, page } = await begin(email)
  const { location } = await visitor.post(page, 'cancel-form')
  const back = await visitor.visit(location ?? '')
  t.equal(new URL(back.location ?? '').searchParams.get('error'), 'access_denied')
  t.notOk(visitor.cookie('session'), 'no session was made')
})
