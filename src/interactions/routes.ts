// The pages of a sign-in, below /interaction/:uid, and of the mail's link.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseEmail } from '../accounts/model.ts'
import type { Context } from '../context.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { requireCsrf } from '../http/csrf.ts'
import { InteractionExpired, withFacts } from '../http/errors.ts'
import { requestContext } from '../http/request-context.ts'
import { sourceOf } from '../http/security-headers.ts'
import { type Page, sendPage } from '../http/view.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { findApplicationHome, type Interaction, readInteraction } from '../oidc/service.ts'
import { rememberWaiting } from './email-link-routes.ts'
import { mayShow, type Step } from './model.ts'
import {
  allow,
  cancel,
  goOn,
  type Onward,
  progressOf,
  resend,
  signInWithPassword,
  signUpAndWait,
  verifyByCode
} from './service.ts'
import { consentPage, resumedElsewherePage, signInPage, signUpPage, verifyEmailPage } from './views.ts'

type Params = { uid: string }
type Body = Record<string, unknown>
type Visit = { request: FastifyRequest; reply: FastifyReply; ctx: Context; interaction: Interaction }

/** Which application the person came from, to lead them back when a sign-in is over. */
const applicationCookie = 'application'

export function mountInteractions(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const get = (path: string, page: Step | 'sign-up' | null, show: (visit: Visit) => Promise<FastifyReply>) =>
    app.get<{ Params: Params }>(`/interaction/:uid${path}`, async (request, reply) => {
      const visit = await visitOf(request, reply)
      if (page !== null && !mayShow(page, progressOf(visit.interaction)))
        return redirect(reply, await goOn(visit.ctx, oidc, visit.interaction))
      return await show(visit)
    })
  const post = (path: string, act: (visit: Visit, body: Body) => Promise<FastifyReply>) =>
    app.post<{ Params: Params; Body: Body | null }>(
      `/interaction/:uid${path}`,
      { preHandler: requireCsrf, config: { rateLimit: {} } },
      async (request, reply) => await act(await visitOf(request, reply), request.body ?? {})
    )

  async function visitOf(request: FastifyRequest, reply: FastifyReply): Promise<Visit> {
    const { uid } = request.params as Params
    // First: the library is not let see the headers that tell the address behind a proxy, and they are gone after it.
    const ctx = requestContext(service, request)
    const interaction = await readInteraction(oidc, uid, { request: request.raw, response: reply.raw })
    if (interaction === null) throw await expired(request)
    reply.setCookie(applicationCookie, interaction.client.clientId, {
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure: request.server.csrf.secure,
      maxAge: 86_400
    })
    return { request, reply, ctx, interaction }
  }

  async function homeOf(request: FastifyRequest): Promise<{ name: string; url: string } | null> {
    const clientId = request.cookies[applicationCookie]
    return clientId === undefined ? null : await findApplicationHome(oidc, clientId)
  }

  /** Never a dead end: the page leads back to the application. */
  async function expired(request: FastifyRequest): Promise<Error> {
    const home = await homeOf(request)
    const error = new InteractionExpired()
    return home === null ? error : withFacts(error, { link: { href: home.url, label: `Go to ${home.name}` } })
  }

  app.get<{ Params: Params; Querystring: { start?: string; confirmed?: string } }>(
    '/interaction/:uid',
    async (request, reply) => {
      const { uid } = request.params
      if (request.query.start !== undefined)
        return reply.redirect(`/interaction/${encodeURIComponent(uid)}/sign-in`, 303)
      const ctx = requestContext(service, request)
      const interaction = await readInteraction(oidc, uid, { request: request.raw, response: reply.raw })
      if (interaction === null && request.query.confirmed !== undefined)
        return await sendPage(reply, resumedElsewherePage, { application: await homeOf(request) })
      if (interaction === null) throw await expired(request)
      return redirect(reply, await goOn(ctx, oidc, interaction))
    }
  )

  get('/sign-in', 'sign-in', visit => show(visit, signInPage, signInData(visit, {})))
  post('/sign-in', async (visit, body) => {
    if (!mayShow('sign-in', progressOf(visit.interaction)))
      return redirect(visit.reply, await goOn(visit.ctx, oidc, visit.interaction))
    const { email, password } = body
    const typed = parseEmail(email)
    const faults = {
      ...(typed.ok
        ? {}
        : { email: typed.reason === 'missing' ? ('missing' as const) : ('invalid' as const) }),
      ...(password === undefined || password === '' ? { password: 'missing' as const } : {})
    }
    const again = { email: asText(email), faults }
    if (Object.keys(faults).length > 0) return await show(visit, signInPage, signInData(visit, again), 422)
    const outcome = await unlessBusy(
      signInWithPassword(visit.ctx, { oidc, interaction: visit.interaction, email, password })
    )
    if (outcome instanceof HashingBusy)
      return await showBusy(visit, outcome, signInPage, signInData(visit, { ...again, problem: 'busy' }))
    if (outcome.ok) return redirect(visit.reply, outcome)
    return await show(visit, signInPage, signInData(visit, { ...again, problem: outcome.reason }), 422)
  })

  get('/sign-up', 'sign-up', visit => show(visit, signUpPage, signUpData(visit, {})))
  post('/sign-up', async (visit, { email, name, password }) => {
    if (!mayShow('sign-up', progressOf(visit.interaction)))
      return redirect(visit.reply, await goOn(visit.ctx, oidc, visit.interaction))
    const again = { email: asText(email), name: asText(name) }
    const outcome = await unlessBusy(
      signUpAndWait(visit.ctx, { oidc, interaction: visit.interaction, email, name, password })
    )
    if (outcome instanceof HashingBusy)
      return await showBusy(visit, outcome, signUpPage, signUpData(visit, { ...again, problem: 'busy' }))
    if (outcome.ok) return redirect(visit.reply, outcome)
    return await show(visit, signUpPage, signUpData(visit, { ...again, faults: outcome.faults }), 422)
  })

  get('/verify-email', 'verify-email', async visit => {
    rememberWaiting(visit.reply, visit.interaction.uid)
    return await show(visit, verifyEmailPage, verifyData(visit, {}))
  })
  post('/verify-email', async (visit, { code }) => {
    if (!mayShow('verify-email', progressOf(visit.interaction)))
      return redirect(visit.reply, await goOn(visit.ctx, oidc, visit.interaction))
    if (code === undefined || code === '')
      return await show(visit, verifyEmailPage, verifyData(visit, { problem: 'missing' }), 422)
    const outcome = await verifyByCode(visit.ctx, { oidc, interaction: visit.interaction, code })
    if (outcome.ok) return redirect(visit.reply, outcome)
    return await show(visit, verifyEmailPage, verifyData(visit, { problem: outcome.reason }), 422)
  })
  post('/verify-email/resend', async visit => {
    if (!mayShow('verify-email', progressOf(visit.interaction)))
      return redirect(visit.reply, await goOn(visit.ctx, oidc, visit.interaction))
    return await show(
      visit,
      verifyEmailPage,
      verifyData(visit, { notice: await resend(visit.ctx, visit.interaction) })
    )
  })

  get('/consent', 'consent', async visit => await showConsent(visit, oidc))
  post('/consent', async ({ reply, ctx, interaction }, { decision }) =>
    redirect(reply, await (decision === 'allow' ? allow : cancel)(ctx, oidc, interaction))
  )
  post('/cancel', async ({ reply, ctx, interaction }) =>
    redirect(reply, await cancel(ctx, oidc, interaction))
  )
}

const asText = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 1000) : '')
const redirect = (reply: FastifyReply, { url }: Onward): FastifyReply => reply.redirect(url, 303)

async function unlessBusy<T>(work: Promise<T>): Promise<T | HashingBusy> {
  try {
    return await work
  } catch (error) {
    if (error instanceof HashingBusy) return error
    throw error
  }
}

/** Chrome holds redirects after a form to form-action, and the last of them goes to the application. */
async function show<Data extends object>(
  { reply, interaction }: Visit,
  page: Page<Data>,
  data: Data,
  status = 200
): Promise<FastifyReply> {
  const source = sourceOf(interaction.redirectUri)
  return await sendPage(reply, page, data, { status, formAction: source === null ? [] : [source] })
}

async function showBusy<Data extends object>(
  visit: Visit,
  busy: HashingBusy,
  page: Page<Data>,
  data: Data
): Promise<FastifyReply> {
  visit.reply.header('retry-after', Math.ceil(busy.retryAfterSeconds))
  return await show(visit, page, data, 503)
}

type SignInData = Parameters<typeof sendPage<(typeof signInPage)['samples'][string]>>[2]
const signInData = (
  { interaction: { uid, client, likelyEmail } }: Visit,
  over: Partial<SignInData>
): SignInData => ({
  action: `/interaction/${uid}/sign-in`,
  signUpUrl: `/interaction/${uid}/sign-up`,
  cancelAction: `/interaction/${uid}/cancel`,
  clientName: client.name,
  email: likelyEmail,
  problem: null,
  faults: {},
  ...over
})

type SignUpData = (typeof signUpPage)['samples'][string]
const signUpData = (
  { interaction: { uid, client, likelyEmail }, ctx }: Visit,
  over: Partial<SignUpData>
): SignUpData => ({
  action: `/interaction/${uid}/sign-up`,
  signInUrl: `/interaction/${uid}/sign-in`,
  clientName: client.name,
  email: likelyEmail,
  name: '',
  problem: null,
  faults: {},
  passwordMinLength: ctx.config.passwordMinLength,
  ...over
})

type VerifyData = (typeof verifyEmailPage)['samples'][string]
const verifyData = (
  { interaction: { uid, client, progress, account, authenticated } }: Visit,
  over: Partial<VerifyData>
): VerifyData => ({
  action: `/interaction/${uid}/verify-email`,
  resendAction: `/interaction/${uid}/verify-email/resend`,
  startOverUrl: `/interaction/${uid}/sign-up`,
  clientName: client.name,
  // The account may be somebody else's while nobody is proven: only what was typed here is shown.
  email: progress.pendingEmail ?? (authenticated ? (account?.email ?? '') : ''),
  problem: null,
  notice: null,
  ...over
})

async function showConsent({ reply, interaction }: Visit, oidc: Oidc): Promise<FastifyReply> {
  const { client, account, consentNeeded, uid } = interaction
  const resources = await Promise.all(
    Object.entries(consentNeeded?.resources ?? {}).map(async ([identifier, scopes]) => ({
      name: (await oidc.current().registry.resources.find(identifier))?.name ?? identifier,
      scopes
    }))
  )
  const source = sourceOf(interaction.redirectUri)
  const logoSource = client.logoUri === null ? null : sourceOf(client.logoUri)
  const data = {
    action: `/interaction/${uid}/consent`,
    client: {
      name: client.name,
      host: client.host,
      logoUrl: client.logoUri,
      policyUrl: client.policyUri,
      termsUrl: client.tosUri
    },
    accountName: account?.name ?? '',
    accountEmail: account?.email ?? '',
    scopes: consentNeeded?.scopes ?? [],
    resources
  }
  return await sendPage(reply, consentPage, data, {
    formAction: source === null ? [] : [source],
    imgSrc: logoSource === null ? [] : [logoSource]
  })
}
