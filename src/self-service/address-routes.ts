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
import {
  type AddressLinkData,
  type AddressSentData,
  addressLinkPage,
  addressSentPage,
  type ChangeAddressData,
  changeAddressPage
} from './address-views.ts'
import { type AccountPages, type AccountVisit, done, show } from './visit-routes.ts'

const path = '/account/security/address'
const sentPath = `${path}/sent`
const ChangeBody = Type.Object({ email: Field })
const CodeBody = Type.Object({ code: Field })

export function mountAddress(pages: AccountPages): void {
  mountChange(pages)
  mountSent(pages)
  mountLink(pages)
}

function mountChange({ changePage, form }: AccountPages): void {
  const showForm = async (visit: AccountVisit, over: Partial<ChangeAddressData> = {}) => {
    const data = { action: path, email: '', fault: null, problem: null, ...over }
    return await show(visit, changeAddressPage, data, data.fault || data.problem ? 422 : 200)
  }
  changePage(path, visit => showForm(visit))
  form(path, {
    body: ChangeBody,
    from: path,
    act: async (visit, { email: newEmail }) => {
      const { account, uid: askedBy } = visit.session
      const outcome = await requestAddressChange(visit.ctx, { account, newEmail, askedBy })
      const email = asText(newEmail)
      if (!outcome.ok) {
        const { reason } = outcome
        return await showForm(visit, {
          email,
          ...(reason === 'frozen' ? { problem: reason } : { fault: reason })
        })
      }
      const waiting = await readAddressAskedFor(visit.ctx, askedBy)
      if (outcome.mail === 'capped' && waiting !== outcome.email)
        return await showForm(visit, { email, problem: 'capped' })
      return visit.reply.redirect(sentPath, 303)
    }
  })
}

function mountSent({ page, form }: AccountPages): void {
  const showWaiting = async (
    visit: AccountVisit,
    over: Pick<AddressSentData, 'email'> & Partial<AddressSentData>
  ) => {
    const data = { action: sentPath, startOverUrl: path, fault: null, problem: null, ...over }
    return await show(visit, addressSentPage, data, data.fault || data.problem ? 422 : 200)
  }
  const whileWaiting =
    (act: (visit: AccountVisit, waiting: { email: string; code: unknown }) => Promise<FastifyReply>) =>
    async (visit: AccountVisit, { code }: Record<string, unknown> = {}) => {
      const email = await readAddressAskedFor(visit.ctx, visit.session.uid)
      return email === null ? visit.reply.redirect(path, 303) : await act(visit, { email, code })
    }
  page(
    sentPath,
    whileWaiting((visit, { email }) => showWaiting(visit, { email }))
  )
  form(sentPath, {
    body: CodeBody,
    from: sentPath,
    act: whileWaiting(async (visit, { email, code }) => {
      if (code === undefined || code === '') return await showWaiting(visit, { email, fault: 'missing' })
      const { account, uid: askedBy } = visit.session
      const outcome = await confirmAddressChangeByCode(visit.ctx, { askedBy, code, accountId: account.id })
      if (outcome.ok) return done(visit, 'address-changed')
      const { reason } = outcome
      if (reason === 'taken' || reason === 'frozen')
        return await showWaiting(visit, { email, problem: reason })
      return await showWaiting(visit, { email, fault: reason === 'other_account' ? 'invalid' : reason })
    })
  })
}

function mountLink({ page, form }: AccountPages): void {
  const linkPath = `${path}/:token`
  const tokenOf = ({ request }: AccountVisit) => (request.params as { token: string }).token
  const showLink = async (visit: AccountVisit, over: Pick<AddressLinkData, 'email' | 'state'>) => {
    const data = { action: visit.request.url, startOverUrl: path, ...over }
    return await show(visit, addressLinkPage, data, over.state === 'ready' ? 200 : 410)
  }
  page(
    linkPath,
    async visit => {
      const link = { token: tokenOf(visit), accountId: visit.session.account.id }
      const read = await readAddressLink(visit.ctx, link)
      return await showLink(
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
      if (outcome.ok) return done(visit, 'address-changed')
      return await showLink(visit, { email: '', state: outcome.reason })
    }
  })
}
