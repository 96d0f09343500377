// The pages' script for passkeys in a real browser with a virtual authenticator, against the real ceremonies: each form
// here is the one that pages include, with nothing else around it.
import { createServer } from 'node:net'
import type { FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { signalsOf } from '../../src/credentials/webauthn-model.ts'
import { beginRegistration, finishRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { listPasskeys } from '../../src/credentials/webauthn-repository.ts'
import { beginSignIn, finishSignIn } from '../../src/credentials/webauthn-sign-in-service.ts'
import { loadAssets } from '../../src/http/assets.ts'
import { csrfToken, requireCsrf } from '../../src/http/csrf.ts'
import { answerScript } from '../../src/http/script-answer.ts'
import { openBrowser } from '../helpers/browser.ts'
import { createContext } from '../helpers/context.ts'
import { createPagesApp } from '../helpers/pages.ts'
import { ownSession } from '../helpers/passkeys.ts'
import { verifiedAccount } from '../helpers/people.ts'
import { giveDevice, openPerson, type PersonOptions, type Tab } from '../helpers/person.ts'
import { waitFor } from '../helpers/wait.ts'

const port = await new Promise<number>(resolve => {
  const server = createServer().listen(0, 'localhost', () => {
    const { port } = server.address() as { port: number }
    server.close(() => resolve(port))
  })
})
const site = `http://localhost:${port}`
const ctx = await createContext(t, { environment: { ISSUER: site } })
const account = await verifiedAccount(ctx)
const boundTo = ownSession
const browser = await openBrowser(t)

const registration = {
  id: 'add-passkey',
  action: '/registration',
  optionsUrl: '/registration/options',
  ceremony: 'registration',
  label: 'Add a passkey'
}
const signIn = {
  id: 'use-passkey',
  action: '/sign-in',
  optionsUrl: '/sign-in/options',
  ceremony: 'authentication',
  label: 'Sign in with a passkey'
}

const assets = loadAssets(ctx.config)
const scripts = ['gatehouse.js', 'simplewebauthn.js', 'passkeys.js']
  .map(name => `<script src="${assets.get(name)?.path}" defer></script>`)
  .join('')

const app = await createPagesApp(t, ctx.config, app => {
  const page = async (reply: FastifyReply, body: string) => {
    return await reply
      .type('text/html; charset=utf-8')
      .send(`<!doctype html><title>Test</title>${scripts}<h1>Test</h1>${body}`)
  }
  const form = async (reply: FastifyReply, passkey: object) =>
    await app.view('partials/passkey-form', { passkey, csrfToken: () => csrfToken(reply) })
  const field =
    '<label for="email">Email</label><input id="email" name="email" autocomplete="username webauthn">'
  const signals = async (reply: FastifyReply, data: object) =>
    await page(
      reply,
      `<p id="outcome">told</p>${await app.view('partials/passkey-signals', { signals: data })}`
    )
  const post = { preValidation: requireCsrf }

  app.get('/registration', async (_, reply) => await page(reply, await form(reply, registration)))
  app.post('/registration/options', post, async (_, reply) =>
    answerScript(reply, await beginRegistration(ctx, { account, boundTo }))
  )
  app.post('/registration', post, async (request, reply) => {
    const { response } = request.body as { response: unknown }
    const outcome = await finishRegistration(ctx, { account, boundTo, response })
    return await page(reply, `<p id="outcome">${outcome.ok ? 'added' : outcome.reason}</p>`)
  })
  app.get('/sign-in', async (_, reply) => await page(reply, await form(reply, signIn)))
  app.get(
    '/autofill',
    async (_, reply) => await page(reply, `${field}${await form(reply, { ...signIn, autofill: true })}`)
  )
  app.get(
    '/over',
    async (_, reply) => await page(reply, await form(reply, { ...signIn, optionsUrl: '/over/options' }))
  )
  app.post('/over/options', post, async (_, reply) => answerScript(reply, null))
  app.post('/sign-in/options', post, async (_, reply) =>
    answerScript(reply, await beginSignIn(ctx, { boundTo }))
  )
  app.post('/sign-in', post, async (request, reply) => {
    const { response } = request.body as { response: unknown }
    const outcome = await finishSignIn(ctx, { boundTo, response })
    if (!outcome.ok && outcome.reason === 'unknown_credential') {
      const { rpId } = ctx.config.webauthn
      return await signals(reply, { unknownCredential: { rpId, credentialId: outcome.credentialId } })
    }
    return await page(reply, `<p id="outcome">${outcome.ok ? 'signed in' : outcome.reason}</p>`)
  })
  app.get('/signals', async (_, reply) => {
    const passkeys = await listPasskeys(ctx.sql, account.id)
    const renamed = { ...account, name: 'Ada, Countess of Lovelace' }
    return await signals(reply, { accepted: signalsOf(ctx.config, renamed, passkeys) })
  })
})
await app.listen({ host: 'localhost', port })

/** A person whose device has a place for passkeys, and what is in it. */
async function personWithDevice(t: Test, options: PersonOptions = {}) {
  const person = await openPerson(t, browser, options)
  return { ...person, ...(await giveDevice(person)) }
}

const outcomeOf = async (tab: Tab) => await tab.locator('#outcome').innerText()
const add = async (tab: Tab) => {
  await tab.goto(`${site}/registration`)
  await tab.click('#add-passkey')
  return await outcomeOf(tab)
}

t.test(
  'a passkey is added, offered in the address field, used, and forgotten after it is removed',
  async t => {
    const { tab, held, faults } = await personWithDevice(t)
    t.equal(await add(tab), 'added')
    t.equal((await held()).length, 1)

    await tab.goto(`${site}/sign-in`)
    await tab.click('#use-passkey')
    t.equal(await outcomeOf(tab), 'signed in')

    await tab.goto(`${site}/autofill`)
    t.equal(await outcomeOf(tab), 'signed in', 'without a press')

    const name = async () => (await held())[0]?.userDisplayName
    t.equal(await name(), account.name)
    await tab.goto(`${site}/signals`)
    await t.resolves(
      waitFor(async () => (await name()) === 'Ada, Countess of Lovelace'),
      'the name of today'
    )
    t.equal((await held()).length, 1, 'a good one is kept')

    await ctx.sql`delete from webauthn_credentials`
    await tab.goto(`${site}/sign-in`)
    await tab.click('#use-passkey')
    t.equal(await outcomeOf(tab), 'told')
    await t.resolves(
      waitFor(async () => (await held()).length === 0),
      'the device forgot it'
    )
    t.strictSame(faults, [])
  }
)

t.test('a device is told which passkeys are still good', async t => {
  const { tab, held } = await personWithDevice(t)
  t.equal(await add(tab), 'added')
  await ctx.sql`delete from webauthn_credentials`
  await tab.goto(`${site}/signals`)
  await t.resolves(waitFor(async () => (await held()).length === 0))
})

t.test('what goes wrong is said in words, and can be tried again', async t => {
  const { tab, device, authenticatorId } = await personWithDevice(t, { expected: [409] })
  const problem = tab.locator('form [role="alert"]')
  await tab.goto(`${site}/sign-in`)
  t.notOk(await problem.isVisible())
  await device.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
  await tab.click('#use-passkey')
  await problem.waitFor({ timeout: 20_000 })
  t.match(await problem.innerText(), 'You can try again')

  await device.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true })
  t.equal(await add(tab), 'added')
  await tab.goto(`${site}/registration`)
  await tab.click('#add-passkey')
  await problem.waitFor()
  t.match(await problem.innerText(), 'This device has a passkey of your account already.')

  await tab.goto(`${site}/over`)
  await tab.click('#use-passkey')
  await problem.waitFor()
  t.match(await problem.innerText(), 'This page is out of date')
})

t.test('where there are no passkeys or no script, none are offered', async t => {
  const { tab } = await openPerson(t, browser, { script: false })
  await tab.goto(`${site}/sign-in`)
  t.notOk(await tab.locator('#use-passkey').isVisible())
  const old = await openPerson(t, browser)
  await old.tab.addInitScript('delete window.PublicKeyCredential')
  await old.tab.goto(`${site}/sign-in`)
  t.notOk(await old.tab.locator('#use-passkey').isVisible())
  t.strictSame(old.faults, [])
})
