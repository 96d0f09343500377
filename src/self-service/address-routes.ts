// Changing the address, signed in: asking, waiting for the mail, and its link.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import {
  confirmAddressChangeByCode,
  confirmAddressChangeByLink,
  readAddressAskedFor,
  readAddressLink,
  requestAddressChange
} from '../accounts/address-service.ts'
import { asText, Field } from '../http/form-fields.ts'
import { sendPage } from '../http/view.ts'
import {
  type AddressLinkData,
  type AddressSentData,
  addressLinkPage,
  addressSentPage,
  type ChangeAddressData,
  changeAddressPage
} from './address-views.ts'
import type { AccountPages, AccountVisit } from './visit-routes.ts'

const path = '/account/security/address'
const sentPath = `${path}/sent`
const donePath = '/account/security?notice=address-changed'
const ChangeBody = Type.Object({ email: Field })
const CodeBody = Type.Object({ code: Field })

export function mountAddress(pages: AccountPages): void {
  mountChange(pages)
  mountSent(pages)
  mountLink(pages)
}

function mountChange({ changePage, form }: AccountPages): void {
  const show = async ({ reply, session }: AccountVisit, over: Partial<ChangeAddressData> = {}) => {
    const currentEmail = session.account.email
    const fresh = {
      action: path,
      backUrl: '/account/security',
      currentEmail,
      email: '',
      fault: null,
      problem: null
    }
    const data = { ...fresh, ...over }
    return await sendPage(reply, changeAddressPage, data, { status: data.fault || data.problem ? 422 : 200 })
  }
  changePage(path, show)
  form(path, {
    body: ChangeBody,
    from: path,
    act: async (visit, { email: newEmail }) => {
      const { account, uid: askedBy } = visit.session
      const outcome = await requestAddressChange(visit.ctx, { account, newEmail, askedBy })
      const email = asText(newEmail)
      if (!outcome.ok) {
        const { reason } = outcome
        return await show(visit, {
          email,
          ...(reason === 'frozen' ? { problem: reason } : { fault: reason })
        })
      }
      const waiting = await readAddressAskedFor(visit.ctx, askedBy)
      if (outcome.mail === 'capped' && waiting !== outcome.email)
        return await show(visit, { email, problem: 'capped' })
      return visit.reply.redirect(sentPath, 303)
    }
  })
}

function mountSent({ page, form }: AccountPages): void {
  const show = async (
    { reply }: AccountVisit,
    over: Pick<AddressSentData, 'email'> & Partial<AddressSentData>
  ) => {
    const data = { action: sentPath, startOverUrl: path, fault: null, problem: null, ...over }
    return await sendPage(reply, addressSentPage, data, { status: data.fault || data.problem ? 422 : 200 })
  }
  const whileWaiting =
    (act: (visit: AccountVisit, waiting: { email: string; code: unknown }) => Promise<FastifyReply>) =>
    async (visit: AccountVisit, { code }: Record<string, unknown> = {}) => {
      const email = await readAddressAskedFor(visit.ctx, visit.session.uid)
      return email === null ? visit.reply.redirect(path, 303) : await act(visit, { email, code })
    }
  page(
    sentPath,
    whileWaiting((visit, { email }) => show(visit, { email }))
  )
  form(sentPath, {
    body: CodeBody,
    from: sentPath,
    act: whileWaiting(async (visit, { email, code }) => {
      if (code === undefined || code === '') return await show(visit, { email, fault: 'missing' })
      const { account, uid: askedBy } = visit.session
      const outcome = await confirmAddressChangeByCode(visit.ctx, { askedBy, code, accountId: account.id })
      if (outcome.ok) return visit.reply.redirect(donePath, 303)
      const { reason } = outcome
      if (reason === 'taken' || reason === 'frozen') return await show(visit, { email, problem: reason })
      return await show(visit, { email, fault: reason === 'other_account' ? 'invalid' : reason })
    })
  })
}

function mountLink({ page, form }: AccountPages): void {
  const linkPath = `${path}/:token`
  const tokenOf = ({ request }: AccountVisit) => (request.params as { token: string }).token
  const show = async ({ request, reply }: AccountVisit, over: Pick<AddressLinkData, 'email' | 'state'>) =>
    await sendPage(
      reply,
      addressLinkPage,
      { action: request.url, startOverUrl: path, ...over },
      { status: over.state === 'ready' ? 200 : 410 }
    )
  page(
    linkPath,
    async visit => {
      const link = { token: tokenOf(visit), accountId: visit.session.account.id }
      const read = await readAddressLink(visit.ctx, link)
      return await show(
        visit,
        read.ok ? { email: read.email, state: 'ready' } : { email: '', state: read.reason }
      )
    },
    sentPath
  )
  form(linkPath, {
    body: Type.Object({}),
    from: sentPath,
    act: async visit => {
      const link = { token: tokenOf(visit), accountId: visit.session.account.id }
      const outcome = await confirmAddressChangeByLink(visit.ctx, link)
      if (outcome.ok) return visit.reply.redirect(donePath, 303)
      return await show(visit, { email: '', state: outcome.reason })
    }
  })
}
