// The demo application's server: a few addresses, no framework. The protocol is in relying-party.ts.
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createDevice, type Device } from './device.ts'
import { devicePage } from './device-page.ts'
import { problemPage, signedInPage, startPage } from './pages.ts'
import { describeProblem } from './problems.ts'
import { createRelyingParty, type DemoClient, type RelyingParty, signedOutState } from './relying-party.ts'
import {
  addPending,
  createSessions,
  expiredCookie,
  type Session,
  type Sessions,
  takePending,
  toCookie
} from './sessions.ts'

export type DemoAppOptions = { issuer: string; client: DemoClient; port: number }

type Visit = {
  url: URL
  issuer: string
  session: Session | null
  sessions: Sessions
  provider: RelyingParty
  device: Device
}

type Answer = {
  status: number
  headers?: Record<string, string>
  body?: string
}

const file = (name: string, contentType: string): Answer => ({
  status: 200,
  headers: { 'content-type': contentType, 'cache-control': 'max-age=60' },
  body: readFileSync(join(import.meta.dirname, name), 'utf8')
})
const stylesheet = file('demo.css', 'text/css; charset=utf-8')
const icon = file('icon.svg', 'image/svg+xml')

/**
 * Starts the application on http://localhost:`port` (0: any free one). The provider need not be up yet: it is asked for
 * when somebody signs in.
 */
export async function startDemoApp({
  issuer,
  client,
  port
}: DemoAppOptions): Promise<{ url: string; close: () => Promise<void> }> {
  const sessions = createSessions()
  let baseUrl = ''
  let provider: RelyingParty | null = null
  const device = createDevice(issuer)
  const server = createServer((request, response) => {
    provider ??= createRelyingParty(issuer, client, baseUrl)
    // Never a URL of the request's own: //elsewhere and http://elsewhere are paths here.
    const url = URL.parse(`${baseUrl}${request.url}`) ?? new URL('/unreadable', baseUrl)
    const session = sessions.find(request.headers.cookie)
    const visit = { url, issuer, session, sessions, provider, device }
    void answer(request, visit).then(answer => send(response, answer, issuer))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, 'localhost', resolve)
  })
  baseUrl = `http://localhost:${(server.address() as AddressInfo).port}`
  return {
    url: baseUrl,
    close: async () => {
      device.stop()
      await new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    }
  }
}

async function answer(request: IncomingMessage, visit: Visit): Promise<Answer> {
  try {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    // Other sites on localhost share our cookies: only our own pages may post.
    const { origin } = request.headers
    if (method === 'POST' && origin !== undefined && origin !== visit.url.origin) return refused
    const route = routes[`${method} ${visit.url.pathname}`]
    return route === undefined ? nowhere : await route(visit)
  } catch (error) {
    const problem = describeProblem(error, visit.issuer)
    return { status: problem.status, body: problemPage(problem) }
  }
}

const page = (title: string, explanation: string, status: number): Answer => ({
  status,
  body: problemPage({ title, explanation, status })
})
const nowhere = page('There is no such page', 'The address may be mistyped.', 404)
const refused = page('That came from another site', 'Use the buttons of this application.', 403)

const redirect = (location: string | URL, headers: Record<string, string> = {}): Answer => ({
  status: 303,
  headers: { location: String(location), ...headers }
})

const routes: Record<string, (visit: Visit) => Promise<Answer> | Answer> = {
  'GET /': ({ session, issuer, url }) => ({
    status: 200,
    body:
      session?.signedIn === null || session === null
        ? startPage({ issuer, signedOut: url.searchParams.get('state') === signedOutState })
        : signedInPage(session.signedIn)
  }),
  'GET /demo.css': () => stylesheet,
  'GET /icon.svg': () => icon,
  'GET /device': ({ session, issuer }) => ({
    status: 200,
    body: devicePage(session?.device ?? null, problem => describeProblem(problem, issuer))
  }),
  'POST /device': async ({ session, sessions, device }) => {
    const own = session ?? sessions.create()
    own.device = await device.begin()
    return redirect('/device', { 'set-cookie': toCookie(own) })
  },
  'GET /sign-in': async ({ session, sessions, provider }) => {
    const { url, pending } = await provider.beginSignIn()
    const own = session ?? sessions.create()
    addPending(own, pending)
    return redirect(url, { 'set-cookie': toCookie(own) })
  },
  'GET /callback': finishSignIn,
  'POST /refresh': refresh,
  'POST /sign-out': async ({ session, sessions, provider }) => {
    if (session === null || session.signedIn === null) return redirect(`/?state=${signedOutState}`)
    const url = await provider.signOutUrl(session.signedIn)
    sessions.remove(session)
    return redirect(url, { 'set-cookie': expiredCookie })
  }
}

async function finishSignIn({ url, session, sessions, provider }: Visit): Promise<Answer> {
  const pending = session === null ? null : takePending(session, url.searchParams.get('state') ?? '')
  if (session === null || pending === null) {
    // The back button, or a reload: there is nothing left to do but to show where one is.
    if (session !== null && session.signedIn !== null) return redirect('/')
    return page(
      'This sign-in was not begun here',
      'It may have been begun in another browser, or finished before. Begin again from the start page.',
      400
    )
  }
  session.signedIn = await provider.finishSignIn(url, pending)
  sessions.renew(session)
  return redirect('/', { 'set-cookie': toCookie(session) })
}

async function refresh({ session, provider, issuer }: Visit): Promise<Answer> {
  if (session === null || session.signedIn === null) return redirect('/')
  try {
    session.signedIn = await provider.refresh(session.signedIn)
    return redirect('/')
  } catch (error) {
    const problem = describeProblem(error, issuer)
    // The provider ended it: going on as if somebody were signed in would be a lie. An outage is no such thing.
    if (problem.status === 400) session.signedIn = null
    return { status: problem.status, body: problemPage(problem) }
  }
}

function send(response: ServerResponse, { status, headers = {}, body = '' }: Answer, issuer: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    // form-action also covers where a form is redirected to: signing out goes on at the provider.
    'content-security-policy': `default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' ${new URL(issuer).origin}; base-uri 'none'; frame-ancestors 'none'`,
    // With no-referrer a browser would write `Origin: null` on our own forms.
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    ...headers
  })
  response.end(body)
}
