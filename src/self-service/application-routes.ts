// The applications that the signed-in person has agreed to: what each may do, and its access taken back.
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import { PageNotFound } from '../http/errors.ts'
import { sourceOf } from '../http/security-headers.ts'
import { type Page, sendPage } from '../http/view.ts'
import { type AgreedApplication, listAgreedApplications, withdrawConsent } from '../oidc/consent-service.ts'
import type { Oidc } from '../oidc/oidc.ts'
import type { SignedIn } from './account-views.ts'
import { applicationPage, applicationsPage, type ListedApplication } from './application-views.ts'
import { type AccountVisit, createAccountPages } from './visit-routes.ts'

const all = '/account/applications'
const own = `${all}/:id`

/** Nothing here opens anything: it may be done in the day after “this wasn't me”, too. */
export function mountApplications(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const { page, changePage, form } = createAccountPages(app, service, oidc)
  page(all, async visit => {
    const applications = await listOwn(oidc, visit)
    const removed = (visit.request.query as { done?: unknown }).done === 'removed'
    return await showWithLogos(visit, applicationsPage, { data: { applications, removed }, applications })
  })
  changePage(
    own,
    async visit => {
      const application = (await listOwn(oidc, visit)).find(({ id }) => id === visit.id)
      if (application === undefined) throw new PageNotFound()
      return await showWithLogos(visit, applicationPage, {
        data: { application },
        applications: [application]
      })
    },
    { whileFrozen: true }
  )
  form(`${own}/remove`, {
    body: Type.Object({}),
    from: own,
    whileFrozen: true,
    act: async ({ ctx, session, id, reply }) => {
      const outcome = await withdrawConsent(ctx, { accountId: session.account.id, consentId: id })
      if (!outcome.ok) throw new PageNotFound()
      return reply.redirect(`${all}?done=removed`, 303)
    }
  })
}

async function listOwn(oidc: Oidc, { session }: AccountVisit): Promise<ListedApplication[]> {
  const { registry, customClaims } = oidc.current()
  const { resources } = registry
  const agreed = await listAgreedApplications(oidc, session.account.id)
  return await Promise.all(
    agreed.map(async application => ({
      ...describe(application),
      described: customClaims.scopes,
      resources: await Promise.all(
        Object.entries(application.resources).map(async ([identifier, scopes]) => ({
          name: (await resources.find(identifier))?.name ?? identifier,
          scopes
        }))
      )
    }))
  )
}

const describe = ({ client, name, ...consent }: AgreedApplication) => ({
  id: consent.id,
  name,
  host: client?.host ?? '',
  logoUrl: client?.logoUri ?? null,
  scopes: consent.scopes,
  claims: consent.claims,
  agreedAt: consent.createdAt,
  lastUsedAt: consent.lastUsedAt
})

/** Sends a page that may load the logos of the applications on it. */
async function showWithLogos<Data extends SignedIn>(
  { reply, session }: AccountVisit,
  page: Page<Data>,
  { data, applications }: { data: Omit<Data, keyof SignedIn>; applications: ListedApplication[] }
): Promise<FastifyReply> {
  const { name, email } = session.account
  const imgSrc = applications.flatMap(({ logoUrl }) => sourceOf(logoUrl ?? '') ?? [])
  return await sendPage(reply, page, { ...data, signedInAs: { name, email } } as unknown as Data, { imgSrc })
}
