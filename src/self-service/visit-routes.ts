// What the routes of every account page share: who is signed in, and whether that was proven lately enough to change
// how they sign in. The person comes from the session alone, never from the request.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TObject } from 'typebox'
import type { Context } from '../context.ts'
import type { FactorFacts } from '../credentials/factor-model.ts'
import { findFactors } from '../credentials/factor-repository.ts'
import { isFrozen } from '../credentials/ways-in-model.ts'
import { ownForm, requireCsrf } from '../http/csrf.ts'
import { PageNotFound, withFacts } from '../http/errors.ts'
import { requestContext } from '../http/request-context.ts'
import { type Page, sendPage } from '../http/view.ts'
import { isId } from '../lib/ids.ts'
import { hashToken } from '../lib/tokens.ts'
import { accountSignInUrl } from '../oidc/account-client.ts'
import { type AccountSession, readAccountSession } from '../oidc/account-session.ts'
import type { Oidc } from '../oidc/oidc.ts'
import type { SignedIn } from './account-views.ts'
import { acrForChanges, mayChangeFactors } from './model.ts'
import type { Done } from './security-model.ts'

export type AccountVisit = {
  request: FastifyRequest
  reply: FastifyReply
  ctx: Context
  session: AccountSession
  factors: FactorFacts
  /** The `:id` of the address; empty without one. It looks like one, and may be nobody's or somebody else's. */
  id: string
}

type Act = (visit: AccountVisit) => Promise<FastifyReply>
type Typed = Record<string, unknown>

/** `whileFrozen`: also in the day after “this wasn't me”, for it opens nothing. */
type ChangeOptions = { whileFrozen?: boolean }

export type AccountPages = {
  /** GET of a page that any signed-in person may see. */
  page: (path: string, act: Act) => void
  /** GET of a page that begins a change: a recent and sure enough sign-in is asked for first. */
  changePage: (path: string, act: Act, options?: ChangeOptions) => void
  /** POST of a form that changes something. A sign-in that is too old is renewed, and leads back to `from`. */
  form: (
    path: string,
    form: ChangeOptions & {
      body: TObject
      /** The page that the form is on, with the same `:id`. */
      from: string
      act: (visit: AccountVisit, typed: Typed) => Promise<FastifyReply>
    }
  ) => void
}

/** Where nothing can be changed for a day, the page says so; who asks for a change is sent there. */
const overview = '/account/security'

export function createAccountPages(app: FastifyInstance, service: Context, oidc: Oidc): AccountPages {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const visiting = createVisiting(service, oidc)
  return {
    page: (path, act) => void typed.get(path, visiting(path, { change: false, act })),
    changePage: (path, act, options) =>
      void typed.get(path, visiting(path, { change: true, act, ...options })),
    form: (path, { body, from, act, ...options }) => {
      const route = { ...ownForm, schema: { body }, preValidation: requireFormOf(from) }
      const change = (request: FastifyRequest) => ({
        change: true,
        act: (visit: AccountVisit) => act(visit, request.body as Typed),
        ...options
      })
      typed.post(path, route, (request, reply) => visiting(from, change(request))(request, reply))
    }
  }
}

type Wanted = ChangeOptions & { change: boolean; act: Act }

/** What stands before every page and form of `path`: who it is, and whether they may change anything now. */
function createVisiting(service: Context, oidc: Oidc) {
  const { config } = service
  const signIn = (reply: FastifyReply, path: string, factors: FactorFacts | null) => {
    const stronger =
      factors === null ? {} : { maxAgeSeconds: config.recentSignInSeconds, acr: acrForChanges(factors) }
    return reply.redirect(accountSignInUrl(config, { path, ...stronger }), 303)
  }
  return (pattern: string, { change, whileFrozen = false, act }: Wanted) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const ctx = requestContext(service, request)
      const id = idOf(request)
      const path = pattern.replace(':id', id)
      const session = await readAccountSession(oidc, request.raw, reply.raw)
      const factors = session === null ? null : await findFactors(ctx.sql, session.account.id)
      if (session === null || factors === null) return signIn(reply, path, null)
      if (change && !whileFrozen && isFrozen(factors, ctx.now())) return reply.redirect(overview, 303)
      const at = { now: ctx.now(), recentSignInSeconds: config.recentSignInSeconds }
      if (change && !mayChangeFactors(session, factors, at)) return signIn(reply, path, factors)
      return await act({ request, reply, ctx, session, factors, id })
    }
}

/** What cannot be an id is nobody's: the answer is the same as for one that is nobody's. */
function idOf(request: FastifyRequest): string {
  const { id } = request.params as { id?: string }
  if (id !== undefined && !isId(id)) throw new PageNotFound()
  return id ?? ''
}

/** A form that is out of date is not the end: its page has it anew. */
const requireFormOf = (from: string) => async (request: FastifyRequest) =>
  await requireCsrf(request).catch(error => {
    throw withFacts(error, {
      link: { href: from.replace(':id', idOf(request)), label: 'Open the page again' }
    })
  })

/** Sends a page in the frame of the account's pages. */
export async function show<Data extends SignedIn>(
  { reply, session }: AccountVisit,
  page: Page<Data>,
  data: Omit<Data, keyof SignedIn>,
  status = 200
): Promise<FastifyReply> {
  const { name, email } = session.account
  return await sendPage(reply, page, { ...data, signedInAs: { name, email } } as unknown as Data, { status })
}

/** Back to the page of everything, which says what was done. */
export const done = ({ reply }: AccountVisit, what: Done): FastifyReply =>
  reply.redirect(`${overview}?done=${what}`, 303)

/** The browser session that changes something, as what is begun in it is bound to it. */
export const boundTo = ({ session }: AccountVisit): Buffer => hashToken(session.uid)
