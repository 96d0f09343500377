// RST-5: no order of forms, by whatever browser, with whatever sign-in and mail, sets a password or lets somebody in
// without the proof. FUZZ_SEED repeats a run.
import t from 'tap'
import { sendNotice } from '../../src/accounts/notice-service.ts'
import { findAccount } from '../../src/accounts/repository.ts'
import { inTransaction } from '../../src/context.ts'
import { createWorld } from '../helpers/factor-paths.ts'
import { nextCode } from '../helpers/factors.ts'
import { openSignIn } from '../helpers/forms.ts'
import { forgetGuesses } from '../helpers/guessing.ts'
import {
  awaitReset,
  type Browser,
  createFuzz,
  drawStep,
  look,
  readMails,
  type Secret,
  type Snapshot,
  type Step,
  send
} from '../helpers/reset-fuzz.ts'
import { newPassword } from '../helpers/resets.ts'
import { password, startService } from '../helpers/service.ts'

const steps = 400
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

const service = await startService(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '1000' } })
const { shop } = await createWorld(service)
const { ctx } = service.app
const fuzz = await createFuzz(service, seed)
const { random, people, browsers } = fuzz
const names = Object.keys(people)
const isPerson = (name: string) => names.includes(name)
const accountOf = async (name: string) => {
  const account = await findAccount(service.pool, people[name]?.id ?? '')
  if (account === null) throw new Error(name)
  return account
}

/** What a step was, as far as the rules ask. */
type Done = { what: string; browser: Browser; step?: Step; signedIn?: string }

const uidIn = (url: string) => /\/interaction\/([\w-]+)/.exec(url)?.[1] ?? ''

/** Begins a sign-in, and perhaps proves a password in it; a person in their own browser may also finish it. */
async function beginSignIn(browser: Browser, finish: boolean): Promise<Done> {
  const name = finish ? browser.name : random.pick(names)
  const { visitor } = browser
  const { page } = await openSignIn(service, {
    application: shop,
    visitor,
    params: { prompt: 'login consent' }
  })
  browser.uids.push(uidIn(page.url))
  const done = { what: `begins to sign in as ${name}`, browser }
  if (!page.text.includes('sign-in-form') || (!finish && random.below(3) === 0)) return done
  const { email } = await accountOf(name)
  for (const secret of [password, newPassword]) {
    const next = await visitor.submit(page, 'sign-in-form', { email, password: secret })
    if (!finish || !next.text.includes('One more step')) continue
    const holder = people[name]?.holder
    const form = await visitor.visit(`${next.url}?method=totp`)
    const code = nextCode(service, holder ?? { secret: '' })
    const consent = await visitor.submit(form, 'totp-form', { code })
    await visitor.submit(consent, 'consent-form', { decision: 'allow' })
    return { ...done, what: `${done.what}, and does`, signedIn: name }
  }
  return done
}

const moves: Record<string, (browser: Browser) => Promise<Done>> = {
  asks: async browser => {
    const name = random.pick(names)
    const { email } = await accountOf(name)
    await send(fuzz, browser, { path: '/reset-password', fields: { email }, secret: null })
    await awaitReset(fuzz, name, browser)
    return { what: `asks for a reset for ${name}`, browser }
  },
  'is told': async browser => {
    const name = random.pick(names)
    const account = await accountOf(name)
    await inTransaction(ctx, tx => sendNotice(tx, account, { kind: 'password_changed', data: {} }))
    return { what: `${name} gets a notice`, browser }
  },
  opens: async browser => {
    const [secret] = fuzz.secrets.slice(random.below(12))
    if (secret === undefined) return { what: 'opens nothing', browser }
    await browser.visitor.visit(`${service.issuer}/${secret.kind}/${secret.token}`)
    return { what: `opens ${secret.owner}'s ${secret.kind}`, browser }
  },
  'begins to sign in': browser => beginSignIn(browser, false),
  'signs in': browser => beginSignIn(browser, isPerson(browser.name)),
  'asks for another address': async browser => {
    const email = `${browser.name}-${random.below(1_000_000)}@example.org`
    if (isPerson(browser.name)) fuzz.owners[email] = browser.name
    const path = '/account/security/address'
    await send(fuzz, browser, { path, fields: { email }, secret: null })
    return { what: 'asks for another address', browser }
  },
  waits: async browser => {
    service.advance(random.pick([1, 60, 700, 86_400]))
    return { what: 'waits', browser }
  }
}

/** Posts any form; answers that send a mail are waited for, so that one seed is one order. */
async function postForm(browser: Browser): Promise<Done> {
  const step = await drawStep(fuzz)
  const answer = await send(fuzz, browser, step)
  const done = { what: `posts ${step.path} with ${JSON.stringify(step.fields)}`, browser, step }
  if (answer.status >= 500) throw new Error(`${done.what}: ${answer.status}`)
  if (answer.location?.includes('/reset-password/sent') === true) {
    const asked = step.path === '/reset-password' ? fuzz.owners[step.fields.email ?? ''] : step.secret?.owner
    if (asked !== undefined && isPerson(asked)) await awaitReset(fuzz, asked, browser)
  }
  const uid = uidIn(step.path)
  if (uid === '') return done
  const page = await browser.visitor.visit(`${service.issuer}/interaction/${uid}`)
  for (const name of names)
    if (page.text.includes('consent-form') && page.text.includes((await accountOf(name)).email))
      throw new Error(`${done.what}: it goes on as ${name}`)
  return done
}

const isLinkOf = (step: Step, { kind, token }: Secret) => step.path.split('?')[0] === `/${kind}/${token}`
const used = new Set<string>()
const seen = new Map<string, number>()

/** Whether this step held what may change the password, or the address, of somebody. */
function mayChange(name: string, { step, browser }: Done, what: 'password' | 'email'): boolean {
  const secret = step?.secret ?? null
  if (step === undefined || secret === null || secret.owner !== name || used.has(secret.token)) return false
  const { kind, askedBy } = secret
  const byLink = isLinkOf(step, secret)
  if (what === 'email' && kind === 'account/security/address')
    return browser.name === name && (byLink || step.path === `/${kind}/sent`)
  if (what === 'email') return byLink && kind === 'undo-address'
  if (kind === 'reset-password')
    return byLink || (step.path === '/reset-password/sent' && askedBy === browser.name)
  return byLink && (kind === 'not-me' || kind === 'undo-address')
}

function check(
  name: string,
  before: Snapshot,
  { after, done }: { after: Snapshot; done: Done }
): string | null {
  for (const what of ['password', 'email'] as const) {
    if (after[what] === before[what]) continue
    if (!mayChange(name, done, what)) return `${name}'s ${what} changed`
    const { kind = '', token = '' } = done.step?.secret ?? {}
    seen.set(kind, (seen.get(kind) ?? 0) + 1)
    if (kind !== 'undo-address') used.add(token)
  }
  if (after.factors !== before.factors)
    return `${name}'s factors changed: ${before.factors} → ${after.factors}`
  if (after.sessions > before.sessions && done.signedIn !== name) return `somebody is signed in as ${name}`
  return null
}

t.test(`RST-5: ${steps} forms at random change and open nothing without the proof`, async t => {
  let before = await Promise.all(names.map(name => look(fuzz, people[name] ?? never())))
  for (let step = 0; step < steps; step++) {
    await forgetGuesses(service.pool)
    const browser = random.pick(browsers)
    const move = random.below(3) === 0 ? random.pick(Object.values(moves)) : postForm
    const done = await move(browser)
    await readMails(fuzz)
    const after = await Promise.all(names.map(name => look(fuzz, people[name] ?? never())))
    const faults = names.map((name, index) =>
      check(name, before[index] ?? never(), { after: after[index] ?? never(), done })
    )
    const strangers = await service.pool`
      select from sessions s join accounts a on a.id = s.account_id where a.email_verified_at is null`
    const fault =
      faults.find(fault => fault !== null) ?? (strangers.length > 0 ? 'a session of nobody' : null)
    if (fault !== null)
      return void t.fail(`seed ${seed}, step ${step}, ${browser.name} ${done.what}: ${fault}`)
    before = after
  }
  t.comment(JSON.stringify(Object.fromEntries(seen)))
  for (const kind of ['reset-password', 'not-me'])
    t.ok((seen.get(kind) ?? 0) > 0, `seed ${seed}: ${kind} did what it is for, so the others could have`)
})

function never(): never {
  throw new Error('nobody')
}
