// The protocol's own moments as pages: its errors, and signing out.
import type { FastifyInstance } from 'fastify'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { type ErrorPageData, errorPage } from '../http/error-page.ts'
import { pageContentSecurityPolicy, sourceOf } from '../http/security-headers.ts'
import { type Page, renderPage } from '../http/view.ts'
import { applicationCookie, applicationHome } from './application-home.ts'
import type { ProtocolPages } from './provider.ts'
import { currentUnit } from './unit-of-work.ts'
import { signedOutPage, signOutPage } from './views.ts'

/** Texts for what the protocol refuses; the code and description are for whoever develops the application. */
export function createProtocolPages(app: FastifyInstance): ProtocolPages {
  const answer = async <Data extends object>(
    ctx: KoaContextWithOIDC,
    page: Page<Data>,
    { data, formAction = [] }: { data: Data; formAction?: string[] }
  ) => {
    ctx.set('content-security-policy', pageContentSecurityPolicy({ formAction }))
    ctx.type = 'html'
    ctx.body = await renderPage(app, page, data)
  }
  return {
    renderError: async (ctx, out, error) => {
      const { id: requestId = '' } = ctx.req as { id?: string }
      const link = await wayBack(ctx, error)
      await answer(ctx, errorPage, {
        data: { status: ctx.status, ...words(out, error), link, requestId }
      })
    },
    renderSignOut: async ctx => {
      const { session, client, params } = ctx.oidc
      const account =
        session?.accountId === undefined ? undefined : currentUnit().accounts.get(session.accountId)
      const redirect =
        typeof params?.post_logout_redirect_uri === 'string'
          ? sourceOf(params.post_logout_redirect_uri)
          : null
      await answer(ctx, signOutPage, {
        data: {
          action: ctx.oidc.urlFor('end_session_confirm'),
          xsrf: String(session?.state?.secret ?? ''),
          clientName: client?.clientName ?? null,
          accountName: account?.name ?? null
        },
        formAction: redirect === null ? [] : [redirect]
      })
    },
    renderSignedOut: async ctx => {
      const { client } = ctx.oidc
      await answer(ctx, signedOutPage, {
        data: { clientName: client?.clientName ?? null, clientUri: client?.clientUri ?? null }
      })
    }
  }
}

/**
 * A link to the application that sent the person here; when a sign-in is over, to the one they came from last. None
 * where the request named no application that is known: another one's would mislead.
 */
async function wayBack({ oidc, cookies }: KoaContextWithOIDC, error: Error): Promise<ErrorPageData['link']> {
  const over = error.name === 'SessionNotFound'
  const remembered = over
    ? cookies.get(applicationCookie(new URL(oidc.issuer)), { signed: false })
    : undefined
  const client = oidc?.client ?? (await oidc?.provider.Client.find(remembered ?? ''))
  const home = client === undefined ? null : applicationHome(client, oidc.provider.issuer)
  return home === null ? null : { href: home.url, label: `Go to ${home.name}` }
}

type Words = Pick<ErrorPageData, 'title' | 'explanation' | 'nextStep'>

function words(
  { error, error_description: description }: { error: string; error_description?: string | undefined },
  cause: Error
): Words {
  if (cause.name === 'SessionNotFound')
    return {
      title: 'This sign-in has ended',
      explanation: 'It was finished already, stayed open for too long, or was begun in another browser.',
      nextStep: 'Go back to the application that you want to use and sign in from there.'
    }
  if (cause.name === 'DeviceCodeTaken')
    return {
      title: 'This code was used already',
      explanation: 'Somebody has confirmed or refused it in the meantime, perhaps you in another window.',
      nextStep: 'Look at your device. If it still waits, have it show a new code.'
    }
  if (error === 'server_error' || error === 'temporarily_unavailable')
    return {
      title: 'Something went wrong here',
      explanation: 'The fault is ours, and it has been recorded. Nothing that you typed was at fault.',
      nextStep: 'Try again in a minute. If it happens again, send the request number below to your support.'
    }
  return {
    title: 'The application sent something that we cannot accept',
    explanation: `You did nothing wrong: the application's request has a fault (${error}${description === undefined ? '' : `: ${description}`}).`,
    nextStep:
      'Go back to the application and try again. If it happens again, send the request number below to the people who run it.'
  }
}
