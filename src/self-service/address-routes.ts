// Changing one's email address. The mail's code counts in the session that asked, its link in any that is signed in to
// the account.
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Type } from 'typebox'
import {
  confirmAddressChangeByCode,
  confirmAddressChangeByLink,
  readAddressAskedFor,
  readAddressLink,
  requestAddressChange
} from '../accounts/address-service.ts'
import { PageNotFound } from '../http/errors.ts'
import { asText, Field, remember } from '../http/form-fields.ts'
import { hostCookieName } from '../lib/cookies.ts'
import { type AddressSentData, addressPage, addressSentPage, confirmAddressPage } from './address-views.ts'
import { type AccountPages, type AccountVisit, done, show } from './visit-routes.ts'

const path = '/account/security/address'
const sent = `${path}/sent`
const confirm = `${path}/confirm`

export function mountAddress({ changePage, form }: AccountPages): void {
  changePage(path, visit => show(visit, addressPage, { email: '', problem: null, faults: {} }))
  form(path, { body: Type.Object({ email: Field }), from: path, act: request })
  changePage(sent, async visit => {
    const { notice } = visit.request.query as { notice?: unknown }
    return await showSent(visit, { notice: notice === 'capped' ? notice : null })
  })
  form(sent, { body: Type.Object({ code: Field }), from: sent, act: confirmByCode })
  changePage(confirm, showLink)
  form(confirm, { body: Type.Object({}), from: confirm, act: confirmByLink })
}

/**
 * Where the mail's link leads. Its token goes into a cookie at once: the sign-in that may come first writes the address
 * that it leads back to into the database.
 */
export function mountAddressLink(app: FastifyInstance): void {
  app.get(`${path}/:token`, async (request, reply) => {
    const { token } = request.params as { token: string }
    if (!/^[\w-]{43}$/.test(token)) throw new PageNotFound()
    remember(reply, cookieName(app.csrf.origin), token)
    return reply.redirect(confirm, 303)
  })
}

const cookieName = (issuer: string) => hostCookieName(issuer, 'new_address')
const askedBy = ({ session }: AccountVisit) => session.uid

async function request(visit: AccountVisit, { email }: Record<string, unknown>): Promise<FastifyReply> {
  const { account } = visit.session
  const outcome = await requestAddressChange(visit.ctx, {
    account,
    newEmail: email,
    askedBy: askedBy(visit)
  })
  if (!outcome.ok) {
    const { reason } = outcome
    const told =
      reason === 'frozen' ? { problem: reason, faults: {} } : { problem: null, faults: { email: reason } }
    return await show(visit, addressPage, { email: asText(email), ...told }, 422)
  }
  if (outcome.mail === 'queued') return visit.reply.redirect(sent, 303)
  // The mail that is waited for may have gone to another address, if any did.
  const waiting = await readAddressAskedFor(visit.ctx, askedBy(visit))
  if (waiting === outcome.email) return visit.reply.redirect(`${sent}?notice=capped`, 303)
  return await show(visit, addressPage, { email: asText(email), problem: 'capped', faults: {} }, 422)
}

async function confirmByCode(visit: AccountVisit, { code }: Record<string, unknown>): Promise<FastifyReply> {
  if (code === undefined || code === '') return await showSent(visit, { faults: { code: 'missing' } })
  const outcome = await confirmAddressChangeByCode(visit.ctx, {
    askedBy: askedBy(visit),
    code,
    accountId: visit.session.account.id
  })
  if (outcome.ok) return done(visit, 'address-changed')
  switch (outcome.reason) {
    case 'invalid':
    case 'expired':
    case 'no_attempts_left':
      return await showSent(visit, { faults: { code: outcome.reason } })
    default:
      return await showSent(visit, { problem: outcome.reason })
  }
}

/** Waiting for the proof. Where nothing is waited for, it is asked for anew. */
async function showSent(
  visit: AccountVisit,
  over: Partial<Pick<AddressSentData, 'notice' | 'problem' | 'faults'>>
): Promise<FastifyReply> {
  const newEmail = await readAddressAskedFor(visit.ctx, askedBy(visit))
  if (newEmail === null) return visit.reply.redirect(path, 303)
  const data = { newEmail, notice: null, problem: null, faults: {}, ...over }
  const failed = data.problem !== null || Object.keys(data.faults).length > 0
  return await show(visit, addressSentPage, data, failed ? 422 : 200)
}

async function showLink(visit: AccountVisit): Promise<FastifyReply> {
  const link = await readAddressLink(visit.ctx, linkOf(visit))
  const data = link.ok ? { newEmail: link.email, problem: null } : { newEmail: null, problem: link.reason }
  return await show(visit, confirmAddressPage, data, link.ok ? 200 : 410)
}

async function confirmByLink(visit: AccountVisit): Promise<FastifyReply> {
  const outcome = await confirmAddressChangeByLink(visit.ctx, linkOf(visit))
  if (!outcome.ok)
    return await show(visit, confirmAddressPage, { newEmail: null, problem: outcome.reason }, 410)
  const { secure } = visit.reply.server.csrf
  const options = { path: '/', httpOnly: true, sameSite: 'lax' as const, secure }
  visit.reply.clearCookie(cookieName(visit.ctx.config.issuer), options)
  return done(visit, 'address-changed')
}

const linkOf = ({ request, session, ctx }: AccountVisit) => ({
  token: request.cookies[cookieName(ctx.config.issuer)] ?? '',
  accountId: session.account.id
})
