// People with whatever ways to sign in a test gives them, who go through the pages of a sign-in and remember what they proved.
import type { Account } from '../../src/accounts/model.ts'
import { findAccount } from '../../src/accounts/repository.ts'
import { createRecoveryCodes } from '../../src/credentials/recovery-code-service.ts'
import { beginRegistration, finishRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { grantRole } from '../../src/roles/service.ts'
import { type Authenticator, createAuthenticator } from './authenticator.ts'
import { ownSession } from './passkeys.ts'
import { createPerson } from './resets.ts'
import { password, type Service } from './service.ts'
import { addAuthenticator, codeShown } from './totp.ts'
import { type Answer, findForm, type Visitor } from './visitor.ts'

export type KeyKind = 'security_key' | 'passkey'

export type SetUp = {
  /** Default: yes. */
  password?: boolean
  totp?: boolean
  /** A security key does not verify the person and never leaves its device; a passkey does both. */
  key?: KeyKind
  recoveryCodes?: boolean
  role?: string
}

/** What somebody has at hand. What is set up on the way is added. */
export type Holder = {
  email: string
  password: string
  secret: string
  key: Authenticator | null
  keyKind: KeyKind
  recoveryCodes: string[]
}

let people = 0

export const newAddress = (): string => `holder${people++}@example.org`

export async function createHolder(
  service: Service,
  { password: hasPassword = true, totp = false, key, recoveryCodes = false, role }: SetUp = {}
): Promise<Holder & { account: Account }> {
  const { app, pool } = service
  const email = newAddress()
  const id = await createPerson(service, { email, passwordless: !hasPassword })
  const account = await findAccount(pool, id)
  if (account === null) throw new Error('nobody was made')
  const secret = totp ? (await addAuthenticator(app.ctx, account)).secret : ''
  const holder = { email, password, secret, keyKind: key ?? 'passkey', account }
  if (role !== undefined) await grantRole(app.ctx, { accountId: id, role })
  return {
    ...holder,
    key: key === undefined ? null : await addKey(service, account, key),
    recoveryCodes: recoveryCodes ? await codesOf(service, account) : []
  }
}

async function codesOf({ app }: Service, account: Account): Promise<string[]> {
  const made = await createRecoveryCodes(app.ctx, account)
  if (!made.ok) throw new Error(made.reason)
  return made.codes
}

/** A security key, or a passkey as telephones keep them. */
export const newKey = ({ issuer: origin }: Service, kind: KeyKind): Authenticator =>
  createAuthenticator({
    origin,
    ...(kind === 'passkey' ? {} : { flags: { uv: false, be: false, bs: false } })
  })

export async function addKey(service: Service, account: Account, kind: KeyKind): Promise<Authenticator> {
  const { ctx } = service.app
  const key = newKey(service, kind)
  const registering = { account, boundTo: ownSession }
  const response = key.create(await beginRegistration(ctx, registering))
  const outcome = await finishRegistration(ctx, { ...registering, response })
  if (!outcome.ok) throw new Error(outcome.reason)
  return key
}

/** The code that the authenticator shows next, half a minute later. */
export function nextCode(service: Service, { secret }: Pick<Holder, 'secret'>): string {
  service.advance(31)
  return codeShown(secret, service.app.ctx.now())
}

/** What the page's script is answered when it asks for a ceremony. */
export async function optionsOf(visitor: Visitor, page: Answer, form = 'passkey-form'): Promise<Answer> {
  const url = new RegExp(`id="${form}"[^>]* data-options-url="([^"]+)"`).exec(page.text)?.[1] ?? ''
  return await visitor.request(new URL(url, page.url).href, {
    method: 'POST',
    body: new URLSearchParams({ _csrf: findForm(page, form).fields._csrf ?? '' }),
    headers: { accept: 'application/json' }
  })
}

/** Makes a passkey at a page, or proves one there, as the page's script does. */
export async function useKey(
  visitor: Visitor,
  page: Answer,
  { key, trust }: { key: Authenticator; trust?: boolean }
): Promise<Answer> {
  const options = JSON.parse((await optionsOf(visitor, page)).text)
  const creates = /id="passkey-form"[^>]* data-ceremony="registration"/.test(page.text)
  const response = creates ? key.create(options) : key.get(options)
  return await visitor.submit(page, 'passkey-form', { response, ...(trust ? { trust: 'yes' } : {}) })
}

/** Types address and password. */
export const typePassword = async (
  visitor: Visitor,
  page: Answer,
  { email, password }: Holder
): Promise<Answer> => await visitor.submit(page, 'sign-in-form', { email, password })

export type Proved = 'password' | 'mail' | 'passkey' | 'totp' | 'security_key' | 'recovery_code'

export type Walk = {
  service: Service
  visitor: Visitor
  holder: Holder
  first: 'password' | 'passkey'
  /** How the second step is proved; default: the strongest way there is. */
  second?: 'totp' | 'recovery_code'
  trust?: boolean
  /** In order. */
  proved: Proved[]
  /** Between which seconds the first of them was. */
  firstProvedAt: [number, number]
}

/** Notes a proof with the moment around it. */
export async function proving<T>(walk: Walk, how: Proved, act: () => Promise<T>): Promise<T> {
  const seconds = () => Math.floor(walk.service.app.ctx.now().getTime() / 1000)
  const before = seconds()
  const answer = await act()
  if (walk.proved.length === 0) walk.firstProvedAt = [before, seconds()]
  walk.proved.push(how)
  return answer
}

type Step = (walk: Walk, page: Answer) => Promise<Answer>

const signIn: Step = (walk, page) => {
  const { visitor, holder, first } = walk
  const { key } = holder
  return proving(walk, first, () =>
    first === 'passkey' && key !== null ? useKey(visitor, page, { key }) : typePassword(visitor, page, holder)
  )
}

const secondFactor: Step = async (walk, page) => {
  const { service, visitor, holder, trust = false } = walk
  const method = walk.second ?? (holder.key === null ? 'totp' : 'passkey')
  const chosen = await visitor.visit(`${page.url.split('?')[0]}?method=${method}`)
  const { key, recoveryCodes } = holder
  const kept = trust ? { trust: 'yes' } : {}
  if (method === 'passkey' && key !== null)
    return await proving(walk, holder.keyKind, () => useKey(visitor, chosen, { key, trust }))
  if (method === 'recovery_code')
    return await proving(walk, method, () =>
      visitor.submit(chosen, 'recovery-code-form', { code: recoveryCodes.pop() ?? '', ...kept })
    )
  const code = nextCode(service, holder)
  return await proving(walk, 'totp', () => visitor.submit(chosen, 'totp-form', { code, ...kept }))
}

/** An authenticator app where there is a choice, a passkey else. */
const setUp: Step = async (walk, page) => {
  const { service, visitor, holder } = walk
  if (!page.text.includes('id="set-up-totp"')) return await createPasskey(walk, page)
  const form = await visitor.visit(`${page.url}?method=totp`)
  holder.secret = secretIn(form).replaceAll(' ', '')
  const code = codeShown(holder.secret, service.app.ctx.now())
  const done = await proving(walk, 'totp', () => visitor.submit(form, 'totp-set-up-form', { code }))
  return await pastCodes(walk, done)
}

const createPasskey: Step = async (walk, page) => {
  const key = newKey(walk.service, 'passkey')
  Object.assign(walk.holder, { key, keyKind: 'passkey' })
  const done = await proving(walk, 'passkey', () => useKey(walk.visitor, page, { key }))
  return await pastCodes(walk, done)
}

/** By way of the page that shows the recovery codes, where it comes. */
const pastCodes: Step = async ({ visitor, holder }, page) => {
  const onward = /id="continue" href="([^"]+)"/.exec(page.text)?.[1]
  if (onward === undefined) return page
  holder.recoveryCodes = recoveryCodesIn(page)
  return await visitor.visit(new URL(onward, page.url).href)
}

export const secretIn = ({ text }: Answer): string => /id="secret">([A-Z2-7 ]+)</.exec(text)?.[1] ?? ''
export const recoveryCodesIn = ({ text }: Answer): string[] =>
  [...text.matchAll(/<li><code>([^<]+)<\/code>/g)].map(match => match[1] ?? '')

const steps: Record<string, Step> = {
  'sign-in': signIn,
  'second-factor': secondFactor,
  'set-up': setUp,
  passkey: createPasskey,
  consent: ({ visitor }, page) => visitor.submit(page, 'consent-form', { decision: 'allow' })
}

/** The step of a sign-in that a page is of; undefined for any other page. */
export const stepOf = ({ url }: Answer): string | undefined =>
  /\/interaction\/[\w-]+\/([\w-]+)/.exec(new URL(url).pathname)?.[1]

/** Goes on from page to page until there is no next step; each page may come twice at most. */
export async function walkOn(walk: Walk, page: Answer): Promise<Answer> {
  let current = page
  for (let pages = 0; pages < 8; pages++) {
    const step = current.location === null ? steps[stepOf(current) ?? ''] : undefined
    if (step === undefined) return current
    current = await step(walk, current)
  }
  throw new Error(`the sign-in does not end: ${current.url}`)
}
