// The protocol in the raw: what an application on openid-client would never send, and answers as they came.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { agree } from './application.ts'
import { type Service, signUp } from './service.ts'
import { type Answer, Visitor } from './visitor.ts'
import { waitFor } from './wait.ts'

export type Body = {
  access_token?: string
  refresh_token?: string
  id_token?: string
  token_type?: string
  scope?: string
  error?: string
  error_description?: string
  active?: boolean
  sub?: string
  request_uri?: string
  [member: string]: unknown
}
export type Reply = { status: number; headers: Headers; body: Body; text: string }
export type Fields = Record<string, string | undefined>
type Sent = { client?: DemoClient; headers?: Record<string, string> }

/** Posts a form as a client: HTTP Basic where it has a secret, else its client_id among the fields. */
export async function post(
  service: Service,
  path: string,
  fields: Fields | URLSearchParams | string,
  { client, headers = {} }: Sent = {}
): Promise<Reply> {
  const form = fields instanceof URLSearchParams ? fields : new URLSearchParams()
  if (typeof fields === 'object' && !(fields instanceof URLSearchParams))
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.set(name, value)
  const secret = client?.client_secret
  if (client !== undefined && secret === undefined) form.set('client_id', client.client_id)
  const credentials = Buffer.from(`${client?.client_id}:${secret}`).toString('base64')
  return await toReply(
    await fetch(new URL(path, service.issuer), {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(secret === undefined ? {} : { authorization: `Basic ${credentials}` }),
        ...headers
      },
      body: typeof fields === 'string' ? fields : form.toString()
    })
  )
}

/** Posts a form but for its last byte; `finish` sends that and answers with the status. */
export async function beginPost(
  service: Service,
  path: string,
  { client, fields }: { client: DemoClient; fields: Record<string, string> }
): Promise<{ finish: () => Promise<number> }> {
  const body = new URLSearchParams(fields).toString()
  const credentials = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')
  const request = httpRequest(new URL(path, service.issuer), {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
      authorization: `Basic ${credentials}`
    }
  })
  const arrived = Promise.race(service.apps.map(({ http }) => once(http.server, 'request')))
  request.write(body.slice(0, -1))
  await arrived
  return {
    finish: async () => {
      const answered = once(request, 'response') as Promise<[IncomingMessage]>
      request.end(body.slice(-1))
      const [response] = await answered
      response.resume()
      return response.statusCode ?? 0
    }
  }
}

export async function get(
  service: Service,
  path: string,
  headers: Record<string, string> = {}
): Promise<Reply> {
  return await toReply(await fetch(new URL(path, service.issuer), { redirect: 'manual', headers }))
}

async function toReply(response: Response): Promise<Reply> {
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, body: parseBody(text) }
}

function parseBody(text: string): Body {
  try {
    return JSON.parse(text) as Body
  } catch {
    return {}
  }
}

export function createVerifier(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

/** One of the demo clients. */
export function clientOf({ clients }: Service, id: string): DemoClient {
  const client = clients[id]
  if (client === undefined) throw new Error(`there is no client ${id}`)
  return client
}

export const redirectUriOf = (client: DemoClient): string => (client.redirect_uris as string[])[0] ?? ''

/** An authorization request; a parameter that is undefined is left out. */
export function authorizationUrl(service: Service, client: DemoClient, params: Fields = {}): string {
  const url = new URL('/auth', service.issuer)
  const asked: Fields = {
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: redirectUriOf(client),
    scope: 'openid',
    state: 'state-1',
    code_challenge: createVerifier().challenge,
    code_challenge_method: 'S256',
    ...params
  }
  for (const [name, value] of Object.entries(asked))
    if (value !== undefined) url.searchParams.set(name, value)
  return url.href
}

export type Ask = { client: DemoClient; visitor: Visitor; params?: Fields }
export type Code = { code: string; verifier: string; redirectUri: string; callback: URL }

/** Somebody who is signed in goes through an authorization, agreeing where asked; the code that came of it. */
export async function obtainCode(service: Service, { client, visitor, params = {} }: Ask): Promise<Code> {
  const { verifier, challenge } = createVerifier()
  const url = authorizationUrl(service, client, { code_challenge: challenge, ...params })
  const answer = await agree(visitor, await visitor.visit(url))
  const callback = callbackOf(answer)
  return {
    code: callback.searchParams.get('code') ?? '',
    verifier,
    redirectUri: params.redirect_uri ?? redirectUriOf(client),
    callback
  }
}

/** Where an authorization ended at the application. */
export function callbackOf(answer: Answer): URL {
  if (answer.location === null)
    throw new Error(`no way back to the application from ${answer.url} (${answer.status}): ${answer.text}`)
  return new URL(answer.location)
}

export const redeem = async (
  service: Service,
  client: DemoClient,
  { code, verifier, redirectUri }: Pick<Code, 'code' | 'verifier' | 'redirectUri'>,
  over: Fields = {}
): Promise<Reply> =>
  await post(
    service,
    '/token',
    {
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
      ...over
    },
    { client }
  )

export const refresh = async (
  service: Service,
  client: DemoClient,
  refreshToken: string | undefined,
  over: Fields = {}
): Promise<Reply> =>
  await post(
    service,
    '/token',
    { grant_type: 'refresh_token', refresh_token: refreshToken, ...over },
    { client }
  )

export const introspect = async (
  service: Service,
  client: DemoClient,
  token: string | undefined
): Promise<Reply> => await post(service, '/introspect', { token }, { client })

export const userinfo = async (service: Service, token: string | undefined): Promise<Reply> =>
  await get(service, '/userinfo', { authorization: `Bearer ${token}` })

/** The operator's own application: nobody is asked for consent, so an authorization in a session is one request. */
export const registerPortal = async (
  service: Service,
  over: Record<string, unknown> = {}
): Promise<DemoClient> =>
  await service.register({
    client_name: 'Portal',
    redirect_uris: ['https://portal.example/callback'],
    post_logout_redirect_uris: ['https://portal.example/signed-out'],
    grant_types: ['authorization_code', 'refresh_token'],
    first_party: true,
    ...over
  })

/** A new person, signed in to the service in a browser of their own. */
export async function signedInVisitor(
  service: Service,
  client: DemoClient,
  { email = 'ada@example.org', name = 'Ada Lovelace' } = {}
): Promise<Visitor> {
  const visitor = new Visitor()
  const page = await visitor.visit(authorizationUrl(service, client))
  await agree(visitor, await signUp(service, visitor, { page, email, name }))
  return visitor
}

/** A whole authorization: tokens for somebody who is signed in. `offline_access` needs `prompt: 'consent'`. */
export async function obtainTokens(service: Service, ask: Ask): Promise<Body> {
  const { status, body } = await redeem(service, ask.client, await obtainCode(service, ask))
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body
}

export const offline: Fields = { scope: 'openid email offline_access', prompt: 'consent' }

export const atOnce = async <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  await Promise.all(Array.from({ length: count }, (_, index) => work(index)))

/**
 * As `atOnce`, and surely so: nothing goes on before all of the requests have come, because a table that each of them
 * needs is locked until then.
 */
export async function whileLocked<T>(
  service: Service,
  table: string,
  { count, work }: { count: number; work: (index: number) => Promise<T> }
): Promise<T[]> {
  let arrived = 0
  const arrive = () => void arrived++
  const servers = service.apps.map(({ http }) => http.server)
  for (const server of servers) server.on('request', arrive)
  const racing = await service.pool.begin(async tx => {
    await tx.unsafe(`lock table ${table} in access exclusive mode`)
    const requests = atOnce(count, work)
    await waitFor(() => arrived >= count)
    // In an object: a bare promise would be waited for here, with the lock held.
    return { requests }
  })
  for (const server of servers) server.off('request', arrive)
  return await racing.requests
}

/** How often each status came. */
export function countStatuses(replies: { status: number }[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** The header and payload of a JWT, unchecked. */
export function readJwt(jwt: string | undefined): {
  header: Record<string, unknown>
  payload: Record<string, unknown>
} {
  const [header = '', payload = ''] = (jwt ?? '').split('.')
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString() || '{}')
  return { header: parse(header), payload: parse(payload) }
}

/** A copy of a browser's cookies: what a thief has, or a request that was sent a moment ago. */
export function copyOf(visitor: Visitor): Visitor {
  const copy = new Visitor()
  for (const [key, cookie] of visitor.cookies) copy.cookies.set(key, cookie)
  return copy
}

/** Whether this browser gets a code without being asked anything. */
export async function isSignedIn(service: Service, client: DemoClient, visitor: Visitor): Promise<boolean> {
  const answer = await visitor.visit(authorizationUrl(service, client, { prompt: 'none' }))
  return callbackOf(answer).searchParams.has('code')
}
