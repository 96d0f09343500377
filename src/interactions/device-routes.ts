// The pages on which a person lets a device in that has no keyboard: the code that it shows is typed, what it stands for
// is shown, and only then does the sign-in begin (RFC 8628 §3.3). Nothing goes on by itself, whatever a link brings along.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import { giveBack, takeCodeGuess, workAhead } from '../credentials/guess-service.ts'
import { requireCsrf } from '../http/csrf.ts'
import { PageNotFound, withFacts } from '../http/errors.ts'
import { requestContext } from '../http/request-context.ts'
import { sourceOf } from '../http/security-headers.ts'
import { takeTurn } from '../http/turns.ts'
import { sendPage } from '../http/view.ts'
import { noWaiting } from '../http/waiting.ts'
import { inOtherNetworks } from '../lib/networks.ts'
import { type AccountSession, readAccountSession } from '../oidc/account-session.ts'
import { deviceDonePath } from '../oidc/device-flow.ts'
import { confirmDevice, type DeviceRequest, denyDevice, findDeviceRequest } from '../oidc/device-service.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { routes } from '../oidc/provider.ts'
import { formatUserCode, parseUserCode } from '../oidc/user-code-model.ts'
import { type DeviceCodeData, deviceCodePage, deviceConfirmPage, deviceDonePage } from './device-views.ts'
import { asText, Field, WorkFields, waitingOf, workIn } from './visit-routes.ts'

const path = routes.code_verification
const DeviceQuery = Type.Object({ user_code: Field })
const DeviceBody = Type.Object({ user_code: Field, ...WorkFields })
const ConfirmBody = Type.Object({ user_code: Field, decision: Field, ...WorkFields })
const DoneQuery = Type.Object({ outcome: Field })

type Typed = { user_code?: unknown; challenge?: unknown; solution?: unknown }
type Device = { request: FastifyRequest; reply: FastifyReply; ctx: Context; session: AccountSession | null }

/** Mounts /device, where devices send people, and the pages behind it. */
export function mountDevice(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const visit = async (request: FastifyRequest, reply: FastifyReply): Promise<Device> => {
    // First: the library must not see the headers that tell the address behind a proxy, and they are gone after it.
    const ctx = requestContext(service, request)
    return { request, reply, ctx, session: await readAccountSession(oidc, request.raw, reply.raw) }
  }
  const form = { preValidation: [takeTurn, requireDeviceForm], config: { rateLimit: {} } }

  typed.get(path, { schema: { querystring: DeviceQuery } }, async (request, reply) => {
    const code = parseUserCode(request.query.user_code)
    const prefilled = code === null ? {} : { userCode: formatUserCode(code), prefilled: true }
    return await showCode(reply, prefilled)
  })
  typed.post(path, { schema: { body: DeviceBody }, ...form }, async (request, reply) => {
    const device = await visit(request, reply)
    const found = await lookUp(device, oidc, request.body)
    return found.ok ? await showConfirm(device, found) : await found.answer()
  })
  typed.post(`${path}/confirm`, { schema: { body: ConfirmBody }, ...form }, async (request, reply) => {
    const device = await visit(request, reply)
    const found = await lookUp(device, oidc, request.body)
    if (!found.ok) return await found.answer()
    const { userCode } = found
    if (request.body.decision === 'approve') return confirmDevice(oidc, { ...device, userCode })
    const accountId = device.session?.account.id ?? null
    const denied = await denyDevice(device.ctx, { userCode, accountId })
    return reply.redirect(`${deviceDonePath}?outcome=${denied ? 'denied' : 'used'}`, 303)
  })
  typed.get(deviceDonePath, { schema: { querystring: DoneQuery } }, async (request, reply) => {
    const state = (['approved', 'denied', 'used', 'expired'] as const).find(
      one => one === request.query.outcome
    )
    if (state === undefined) throw new PageNotFound()
    return await sendPage(reply, deviceDonePage, { state })
  })
}

type Found = { ok: true; userCode: string; found: DeviceRequest }

/** The device behind what was typed. Whoever guesses pays for each look; a right code is given back. */
async function lookUp(
  { reply, ctx, session }: Device,
  oidc: Oidc,
  typed: Typed
): Promise<Found | { ok: false; answer: () => Promise<FastifyReply> }> {
  const again = { userCode: asText(typed.user_code).slice(0, 20) }
  const refuse = (over: Partial<DeviceCodeData>, status = 422) => ({
    ok: false as const,
    answer: async () => await showCode(reply, { ...again, ...over }, status)
  })
  const userCode = parseUserCode(typed.user_code)
  if (userCode === null) return refuse({ problem: again.userCode.trim() === '' ? 'missing' : 'invalid' })

  const taken = await takeCodeGuess(ctx, {
    accountId: session?.account.id ?? null,
    proofOfWork: workIn(typed)
  })
  if (!taken.ok) {
    reply.header('retry-after', taken.retryAfterSeconds)
    return refuse({ ...waitingOf(taken), problem: taken.reason }, 429)
  }
  const outcome = await findDeviceRequest(oidc, userCode)
  if (!outcome.ok && outcome.reason === 'unknown')
    return refuse({ ...waitingOf({ challenge: workAhead(ctx, taken.guess) }), problem: 'unknown' })
  await giveBack(ctx, taken.guess)
  return outcome.ok ? { ok: true, userCode, found: outcome.request } : refuse({ problem: outcome.reason })
}

const showCode = async (reply: FastifyReply, over: Partial<DeviceCodeData>, status = 200) =>
  await sendPage(
    reply,
    deviceCodePage,
    { userCode: '', prefilled: false, problem: null, ...noWaiting, ...over },
    { status }
  )

async function showConfirm(
  { reply, ctx, session }: Device,
  { userCode, found }: Found
): Promise<FastifyReply> {
  const { client, device, askedAt } = found
  const logo = client.logoUri === null ? null : sourceOf(client.logoUri)
  const data = {
    userCode: formatUserCode(userCode),
    client: {
      name: client.name,
      host: client.host,
      logoUrl: client.logoUri,
      policyUrl: client.policyUri,
      termsUrl: client.tosUri
    },
    selfRegistered:
      client.registeredBy === 'operator'
        ? null
        : { by: client.registeredBy, returnsTo: { to: 'nowhere' as const } },
    device: { ...device, askedAt },
    elsewhere: inOtherNetworks(device.ip, ctx.request?.ip ?? null),
    account: session === null ? null : { name: session.account.name, email: session.account.email }
  }
  return await sendPage(reply, deviceConfirmPage, data, { imgSrc: logo === null ? [] : [logo] })
}

/** A form that is out of date is not the end: the page has it anew. */
async function requireDeviceForm(request: FastifyRequest): Promise<void> {
  await requireCsrf(request).catch(error => {
    throw withFacts(error, { link: { href: path, label: 'Type the code again' } })
  })
}
