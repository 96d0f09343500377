// What the routes of every step share: who visits which sign-in, whether the step is theirs, and how its page is shown.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type TObject, Type } from 'typebox'
import { ownClientId } from '../clients/model.ts'
import type { Context } from '../context.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import type { ProofOfWork } from '../credentials/proof-of-work-model.ts'
import { ownForm, requireCsrf } from '../http/csrf.ts'
import { InteractionExpired, withFacts } from '../http/errors.ts'
import { asText, Field, remember } from '../http/form-fields.ts'
import { requestContext } from '../http/request-context.ts'
import { sourceOf } from '../http/security-headers.ts'
import { takeTurn } from '../http/turns.ts'
import { type Page, sendPage } from '../http/view.ts'
import type { Waiting } from '../http/waiting.ts'
import { deviceCookie, hostCookieName } from '../lib/cookies.ts'
import { hashToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { applicationCookie, homeOf, type Interaction, readInteraction } from '../oidc/service.ts'
import { deviceDays } from '../sessions/device-model.ts'
import type { Application } from './application-views.ts'
import { mayShow, type StepPage } from './model.ts'
import { goOn, type Onward, progressOf } from './service.ts'

export { homeOf } from '../oidc/service.ts'
export { asText, Field, remember }

export const InteractionParams = Type.Object({ uid: Type.String() })
type Typed = Record<string, unknown>

export type Visit = { request: FastifyRequest; reply: FastifyReply; ctx: Context; interaction: Interaction }

export type Steps = {
  /** GET of a step's page. Whose step is another one is sent there. */
  page: (path: StepPage, show: (visit: Visit) => Promise<FastifyReply>) => void
  /** POST of a form of `step`; null: allowed at any step. */
  form: (
    path: string,
    form: { step: StepPage | null; body: TObject; act: (visit: Visit, typed: Typed) => Promise<FastifyReply> }
  ) => void
  goOn: (visit: Visit) => Promise<FastifyReply>
}

export function createSteps(app: FastifyInstance, service: Context, oidc: Oidc): Steps {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const goOnFrom = async ({ reply, ctx, interaction }: Visit) =>
    redirect(reply, await goOn(ctx, oidc, interaction))
  const isTheirs = (step: StepPage | null, { interaction }: Visit) =>
    step === null || mayShow(step, progressOf(interaction, service.config, service.now()))
  return {
    goOn: goOnFrom,
    page: (path, show) => {
      typed.get(
        `/interaction/:uid/${path}`,
        { schema: { params: InteractionParams } },
        async (request, reply) => {
          const visit = await visitOf({ service, oidc }, request, reply)
          return await (isTheirs(path, visit) ? show : goOnFrom)(visit)
        }
      )
    },
    form: (path, { step, body, act }) => {
      const options = {
        ...ownForm,
        schema: { params: InteractionParams, body },
        preValidation: [takeTurn, requireOwnForm]
      }
      typed.post(`/interaction/:uid/${path}`, options, async (request, reply) => {
        const visit = await visitOf({ service, oidc }, request, reply)
        return isTheirs(step, visit) ? await act(visit, request.body as Typed) : await goOnFrom(visit)
      })
    }
  }
}

type Parts = { service: Context; oidc: Oidc }

/** The sign-in that the URL and the browser's cookie agree on. Throws `InteractionExpired` without one. */
export async function visitOf(
  { service, oidc }: Parts,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<Visit> {
  const { uid } = request.params as { uid: string }
  // First: the library must not see the headers that tell the address behind a proxy, and they are gone after it.
  const ctx = requestContext(service, request)
  const device = ctx.request?.deviceToken
  const interaction = await readInteraction(oidc, uid, {
    request: request.raw,
    response: reply.raw,
    deviceHash: device === undefined ? null : hashToken(device)
  })
  if (interaction === null) throw await expired(oidc, request)
  if (interaction.client.clientId !== ownClientId)
    remember(reply, applicationCookie(oidc.issuer), interaction.client.clientId)
  return { request, reply, ctx, interaction }
}

/** The name of the cookie that tells which sign-in of this browser waits for a mail: its link needs no other proof here. */
export const waitingCookie = (issuer: URL): string => hostCookieName(issuer, 'waiting')

/** Never a dead end: the page leads back to the application. */
async function expired(oidc: Oidc, request: FastifyRequest): Promise<Error> {
  const home = await homeOf(oidc, request)
  const error = new InteractionExpired()
  return home === null ? error : withFacts(error, { link: { href: home.url, label: `Go to ${home.name}` } })
}

/** A form that is out of date is not the end: the sign-in has it anew. */
async function requireOwnForm(request: FastifyRequest): Promise<void> {
  const href = `/interaction/${encodeURIComponent((request.params as { uid: string }).uid)}`
  await requireCsrf(request).catch(error => {
    throw withFacts(error, { link: { href, label: 'Go on with the sign-in' } })
  })
}

export function redirect(reply: FastifyReply, { url, deviceToken }: Onward): FastifyReply {
  if (deviceToken !== undefined) keepDeviceCookie(reply, deviceToken)
  return reply.redirect(url, 303)
}

/** By this cookie the browser is known again, for as long as browsers allow: each sign-in renews it. */
function keepDeviceCookie(reply: FastifyReply, token: string): void {
  const { secure, origin } = reply.server.csrf
  const maxAge = deviceDays * 86_400
  reply.setCookie(deviceCookie(origin), token, { path: '/', httpOnly: true, sameSite: 'lax', secure, maxAge })
}

/** The proof of work in a form, where its page asked for it. */
export const WorkFields = { challenge: Field, solution: Field }
export const waitingOf = (outcome: Partial<Waiting>): Waiting => ({
  retryAfterSeconds: outcome.retryAfterSeconds ?? 0,
  challenge: outcome.challenge ?? null
})
export const workIn = ({ challenge, solution }: Typed): ProofOfWork => ({ challenge, solution })

export async function unlessBusy<T>(work: Promise<T>): Promise<T | HashingBusy> {
  try {
    return await work
  } catch (error) {
    if (error instanceof HashingBusy) return error
    throw error
  }
}

/** What pages show of the application. */
export const applicationOf = ({ client }: Interaction): Application => ({
  name: client.name,
  host: client.host,
  logoUrl: client.logoUri,
  policyUrl: client.policyUri,
  termsUrl: client.tosUri
})

/** Chrome holds redirects after a form to form-action, and the last of them goes to the application. */
export async function show<Data extends object>(
  { reply, interaction }: Visit,
  page: Page<Data>,
  data: Data,
  status = 200
): Promise<FastifyReply> {
  const sources = (uri: string | null) =>
    [uri === null ? null : sourceOf(uri)].filter(source => source !== null)
  return await sendPage(reply, page, data, {
    status,
    formAction: sources(interaction.redirectUri),
    imgSrc: sources(interaction.client.logoUri)
  })
}

/** The page again, for who is refused: 429 where they have to wait or to work first. */
export async function showRefused<Data extends Waiting>(
  visit: Visit,
  page: Page<Data>,
  data: Data
): Promise<FastifyReply> {
  if (data.retryAfterSeconds === 0) return await show(visit, page, data, 422)
  visit.reply.header('retry-after', data.retryAfterSeconds)
  return await show(visit, page, data, 429)
}

export async function showBusy<Data extends object>(
  visit: Visit,
  busy: HashingBusy,
  page: Page<Data>,
  data: Data
): Promise<FastifyReply> {
  visit.reply.header('retry-after', Math.ceil(busy.retryAfterSeconds))
  return await show(visit, page, data, 503)
}
