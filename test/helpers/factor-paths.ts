// Every path that leads to a session, walked by people with whatever ways to sign in they have.
import { decodeJwt, type JWTPayload } from 'jose'
import { type Application, createApplication, openid, type Tokens } from './application.ts'
import {
  type Holder,
  newAddress,
  type Proved,
  proving,
  type SetUp,
  typePassword,
  type Walk,
  walkOn
} from './factors.ts'
import { lastConfirmation } from './forms.ts'
import { askForReset, lastReset, newPassword, resetByLink } from './resets.ts'
import { password, type Service } from './service.ts'
import { type Answer, pageText, Visitor } from './visitor.ts'

/** The applications that people sign in to. */
export type World = {
  service: Service
  shop: Application
  /** The operator's own. */
  portal: Application
  /** Demands two factors. */
  ledger: Application
  /** Demands a proof that cannot be passed on to a false page. */
  vault: Application
}

export const [oneFactor, twoFactors, phishingResistant] = ['1fa', 'mfa', 'phr'].map(
  level => `urn:gatehouse:acr:${level}`
) as [string, string, string]

export async function createWorld(service: Service): Promise<World> {
  const register = async (name: string, facts: Record<string, unknown>) =>
    await createApplication(
      service,
      await service.register({
        client_name: name,
        redirect_uris: [`https://${name}.example/callback`],
        grant_types: ['authorization_code', 'refresh_token'],
        scope: 'openid profile email offline_access',
        ...facts
      })
    )
  return {
    service,
    shop: await createApplication(service),
    portal: await register('portal', { first_party: true }),
    ledger: await register('ledger', { required_acr: twoFactors }),
    vault: await register('vault', { required_acr: phishingResistant })
  }
}

/** What a path's tokens say, beside what was truly proved for the session. */
export type Outcome = { claims: JWTPayload; proved: Proved[]; firstProvedAt: [number, number] }

export type Path = {
  /** What is proved first; `own`: whatever the person has. Null: the path is not for them. */
  first: 'own' | 'password' | ((facts: SetUp) => Proved | null)
  /** The application, or the request, wants more than one factor. */
  demands?: 'two' | 'phishing_resistant'
  /** The acr that was named, where more than that is true: tokens tell the one that was named. */
  tells?: string
  trusted?: boolean
  second?: 'recovery_code'
  /** Begins without an account. */
  newcomer?: boolean
  go: (world: World, walk: Walk) => Promise<Outcome>
}

type Request = { from: Application; params?: Record<string, string> }

/** Signs in from the beginning of a request to its tokens. */
export async function signIn(walk: Walk, { from, params = {} }: Request): Promise<Outcome> {
  const { tokens } = await obtain(walk, { from, params })
  return told(walk, tokens)
}

async function obtain(walk: Walk, { from, params = {} }: Request): Promise<{ tokens: Tokens }> {
  const { url, finish } = await from.begin(params)
  const end = await walkOn(walk, await walk.visitor.visit(url))
  if (end.location === null) throw new Error(`the sign-in ends at ${end.url}: ${pageText(end.text)}`)
  return { tokens: await finish(end.location) }
}

const told = ({ proved, firstProvedAt }: Walk, { id_token }: Tokens): Outcome => ({
  claims: decodeJwt(id_token ?? ''),
  proved,
  firstProvedAt
})

/** The same person, who proves everything anew. */
const anew = (walk: Walk): Walk => ({ ...walk, proved: [], firstProvedAt: [0, 0] })

/** Signs in to the browser, and asks for trust as soon as it is offered. */
async function trustBrowser(world: World, walk: Walk): Promise<void> {
  for (let times = 0; times < 2; times++)
    await signIn({ ...anew(walk), trust: true }, { from: world.shop, params: { prompt: 'login consent' } })
}

/** Half a sign-in: what is first is proved, and nothing else. */
async function begin(walk: Walk, { from }: Request) {
  const { url, finish } = await from.begin()
  const form = await walk.visitor.visit(url)
  const half =
    walk.first === 'password'
      ? await proving(walk, 'password', () => typePassword(walk.visitor, form, walk.holder))
      : form
  return { half, finish }
}

async function confirm({ service, holder, visitor }: Walk, waiting: Answer, by: 'code' | 'link') {
  const { link, code } = await lastConfirmation(service, holder.email)
  if (by === 'code') return await visitor.submit(waiting, 'verify-form', { code })
  return await visitor.submit(await visitor.visit(link), 'verify-form')
}

const signUpBy =
  (by: 'code' | 'link', { withPasskey = false } = {}): Path['go'] =>
  async ({ shop }, walk) => {
    const { visitor, holder } = walk
    holder.email = newAddress()
    const { url, finish } = await shop.begin()
    const form = await visitor.visit((await visitor.visit(url)).url.replace('/sign-in', '/sign-up'))
    const typed = { email: holder.email, name: 'Ada' }
    const submit = (fields: Record<string, string>) =>
      visitor.submit(form, 'sign-up-form', { ...typed, ...fields })
    const waiting = withPasskey
      ? await submit({ way: 'passkey' })
      : await proving(walk, 'password', () => submit({ password }))
    const next = withPasskey
      ? await proving(walk, 'mail', () => confirm(walk, waiting, by))
      : await confirm(walk, waiting, by)
    return told(walk, await finish((await walkOn(walk, next)).location))
  }

const afterReset =
  (by: 'code' | 'link'): Path['go'] =>
  async ({ service, shop }, walk) => {
    const { holder } = walk
    const { visitor, page } = await askForReset(service, holder.email)
    const { link, code } = await lastReset(service, holder.email)
    if (by === 'link') await resetByLink(link, newPassword, visitor)
    else await visitor.submit(page, 'reset-code-form', { code, password: newPassword })
    holder.password = newPassword
    return await signIn({ ...walk, visitor }, { from: shop })
  }

/** In a session that is there already, everything is asked again. */
const again =
  (params: Record<string, string>): Path['go'] =>
  async ({ service, shop }, walk) => {
    await signIn(anew(walk), { from: shop })
    service.advance(120)
    return await signIn(walk, { from: shop, params })
  }

/** In a session of one factor, or as many as are asked for anyway, the missing one is asked for. */
const stepUp =
  (acr: string): Path['go'] =>
  async (world, walk) => {
    await trustBrowser(world, walk)
    await signIn(walk, { from: world.shop, params: { prompt: 'login consent' } })
    world.service.advance(120)
    return await signIn(walk, { from: world.shop, params: { acr_values: acr } })
  }

const silently = async ({ portal }: World, walk: Walk): Promise<Outcome> => {
  const { url, finish } = await portal.begin({ prompt: 'none', scope: 'openid' })
  const { location } = await walk.visitor.visit(url)
  return told(walk, await finish(location))
}

export const paths: Record<string, Path> = {
  'whatever they have': { first: 'own', go: ({ shop }, walk) => signIn(walk, { from: shop }) },
  'a passkey alone': {
    first: ({ key }) => (key === 'passkey' ? 'passkey' : null),
    go: ({ shop }, walk) => signIn(walk, { from: shop })
  },
  'a sign-up and its code': { first: 'password', newcomer: true, go: signUpBy('code') },
  'a sign-up and its link': { first: 'password', newcomer: true, go: signUpBy('link') },
  'a sign-up with a passkey': {
    first: () => 'mail',
    newcomer: true,
    go: signUpBy('code', { withPasskey: true })
  },
  'a sign-up with a passkey, and its link': {
    first: () => 'mail',
    newcomer: true,
    go: signUpBy('link', { withPasskey: true })
  },
  'a reset by link': { first: 'password', go: afterReset('link') },
  'a reset by code': { first: 'password', go: afterReset('code') },
  'prompt=login': { first: 'own', go: again({ prompt: 'login consent' }) },
  max_age: { first: 'own', go: again({ max_age: '60' }) },
  'acr_values, two factors': {
    first: 'own',
    demands: 'two',
    tells: twoFactors,
    go: stepUp(twoFactors)
  },
  'acr_values, phishing-resistant': {
    first: 'own',
    demands: 'phishing_resistant',
    go: stepUp(phishingResistant)
  },
  'a second tab': {
    first: 'own',
    go: async ({ shop }, walk) => {
      const other = anew(walk)
      const [first, second] = [await begin(other, { from: shop }), await begin(walk, { from: shop })]
      await first.finish((await walkOn(other, first.half)).location)
      const { url } = second.half
      const next = await walk.visitor.visit(url.slice(0, url.lastIndexOf('/')))
      return told(walk, await second.finish((await walkOn(walk, next)).location))
    }
  },
  'a sign-in begun anew halfway': {
    first: 'own',
    go: async ({ shop }, walk) => {
      await begin(anew(walk), { from: shop })
      return await signIn(walk, { from: shop })
    }
  },
  'a trusted browser': {
    first: 'own',
    trusted: true,
    go: async (world, walk) => {
      await trustBrowser(world, walk)
      return await signIn(walk, { from: world.shop, params: { prompt: 'login consent' } })
    }
  },
  'a trusted browser, where two factors are demanded': {
    first: 'own',
    trusted: true,
    demands: 'two',
    go: async (world, walk) => {
      await trustBrowser(world, walk)
      return await signIn(walk, { from: world.ledger, params: { prompt: 'login consent' } })
    }
  },
  'a recovery code': {
    first: ({ recoveryCodes, password = true }) => (recoveryCodes && password ? 'password' : null),
    second: 'recovery_code',
    go: ({ shop }, walk) => signIn({ ...walk, second: 'recovery_code' }, { from: shop })
  },
  "the operator's own application": {
    first: 'own',
    go: ({ portal }, walk) => signIn(walk, { from: portal, params: { prompt: 'login' } })
  },
  'an application that demands two factors, and a request for less': {
    first: 'own',
    demands: 'two',
    tells: twoFactors,
    go: ({ ledger }, walk) => signIn(walk, { from: ledger, params: { acr_values: oneFactor } })
  },
  'an application that demands a phishing-resistant proof': {
    first: 'own',
    demands: 'phishing_resistant',
    go: ({ vault }, walk) => signIn(walk, { from: vault })
  },
  'a refresh token': {
    first: 'own',
    go: async ({ service, shop }, walk) => {
      const { tokens } = await obtain(walk, { from: shop })
      service.advance(120)
      return told(walk, await openid.refreshTokenGrant(shop.config, tokens.refresh_token ?? ''))
    }
  },
  "the account's pages": {
    first: 'own',
    go: async (world, walk) => {
      const page = await walk.visitor.visit(`${world.service.issuer}/account/security`)
      const landed = await walkOn(walk, page)
      if (new URL(landed.url).pathname !== '/account/security') throw new Error(landed.url)
      return await silently(world, walk)
    }
  }
}

export function createWalk(service: Service, holder: Holder, first: 'password' | 'passkey'): Walk {
  return { service, visitor: new Visitor(), holder, first, proved: [], firstProvedAt: [0, 0] }
}
