// What a person's browser and their application do, as HTTP: a cookie jar, the sign-in page, the way back, the code.
import { type Answer, type Connection, header, type Request } from './client.ts'

/** A server under measurement: where it is, and who is registered there. The same of both kinds of server. */
export type Target = {
  name: string
  origin: string
  /** A client for client_credentials, with the resource that its JWTs are for. */
  service: { clientId: string; clientSecret: string; resource: string; scope: string }
  /** A first-party web application. */
  web: { clientId: string; clientSecret: string; redirectUri: string; scope: string }
  people: { email: string; password: string }[]
}

export type Person = { target: Target; connection: Connection; cookies: Map<string, string>; index: number }

/** RFC 7636 appendix B. */
const codeVerifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const codeChallenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

export const basicAuth = ({ clientId, clientSecret }: { clientId: string; clientSecret: string }): string =>
  `Authorization: Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`

export const form = (fields: Record<string, string>): string => new URLSearchParams(fields).toString()

/** Sends a request with the jar's cookies, and keeps the answer's. */
export async function browse({ connection, cookies }: Person, request: Request): Promise<Answer> {
  const jar = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const headers = ['Accept: text/html', ...(jar === '' ? [] : [`Cookie: ${jar}`]), ...(request.headers ?? [])]
  const answer = await connection.send({ ...request, headers })
  for (const [, name = '', value = ''] of answer.head.matchAll(/\r\nset-cookie: ([^=]+)=([^;\r]*)/gi)) {
    if (value === '') cookies.delete(name)
    else cookies.set(name, value)
  }
  return answer
}

/** Follows redirects within the server: to a page, or to the answer that leads back to the application. */
async function follow(person: Person, answer: Answer): Promise<Answer> {
  const { origin, web } = person.target
  let current = answer
  for (let hops = 0; hops < 10; hops++) {
    const location = header(current.head, 'location')
    if (location === undefined || location.startsWith(web.redirectUri)) return current
    current = await browse(person, { method: 'GET', path: location.replace(origin, '') })
  }
  throw new Error('redirected in circles')
}

const authorizationParameters = ({ web }: Target): Record<string, string> => ({
  client_id: web.clientId,
  response_type: 'code',
  redirect_uri: web.redirectUri,
  scope: web.scope,
  state: 'af0ifjsldkj',
  nonce: 'n-0S6_WzA2Mj',
  code_challenge: codeChallenge,
  code_challenge_method: 'S256'
})

export const authorizationPath = (target: Target): string => `/auth?${form(authorizationParameters(target))}`

function codeOf(answer: Answer): string {
  const code = URL.parse(header(answer.head, 'location') ?? '')?.searchParams.get('code')
  if (typeof code !== 'string') throw new Error(`no code came back: ${answer.head}${answer.body}`)
  return code
}

/** One authorization request in a browser that is signed in. */
export async function authorizeAgain(person: Person): Promise<string> {
  return codeOf(await browse(person, { method: 'GET', path: authorizationPath(person.target) }))
}

/** The same by a pushed request (RFC 9126) for a code that only the holder of `jkt` may redeem (RFC 9449 §10). */
export async function authorizePushed(person: Person, jkt: string): Promise<string> {
  const { target, connection } = person
  const pushed = await connection.send({
    method: 'POST',
    path: '/par',
    headers: [basicAuth(target.web)],
    body: form({ ...authorizationParameters(target), dpop_jkt: jkt })
  })
  const { request_uri } = JSON.parse(pushed.body) as { request_uri: string }
  const path = `/auth?${form({ client_id: target.web.clientId, request_uri })}`
  return codeOf(await browse(person, { method: 'GET', path }))
}

export type Page = { action: string; fields: Record<string, string> }

/** The form with this id and its hidden fields. */
export function findForm({ body }: Answer, id: string): Page {
  const [, attributes = '', content = ''] =
    [...body.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].find(([, found]) => found?.includes(`id="${id}"`)) ??
    []
  const attribute = (text: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(text)?.[1]
  const action = attribute(attributes, 'action')
  if (action === undefined) throw new Error(`no form ${id} in ${body}`)
  const hidden = [...content.matchAll(/<input\b[^>]*type="hidden"[^>]*>/g)].map(([input]) => [
    attribute(input, 'name') ?? '',
    attribute(input, 'value') ?? ''
  ])
  return { action, fields: Object.fromEntries(hidden) }
}

/** Opens the sign-in page as an application's authorization request does. */
export async function openSignIn(person: Person): Promise<Answer> {
  return await follow(person, await browse(person, { method: 'GET', path: authorizationPath(person.target) }))
}

/** Posts a form of ours, and answers with what comes at once. */
export async function post(person: Person, page: Page, fields: Record<string, string>): Promise<Answer> {
  return await browse(person, {
    method: 'POST',
    path: page.action,
    headers: [`Origin: ${person.target.origin}`, 'Sec-Fetch-Site: same-origin'],
    body: form({ ...page.fields, ...fields })
  })
}

/** A browser without cookies, signed in by the page. Answers with the code. */
export async function signIn(person: Person): Promise<string> {
  person.cookies.clear()
  const page = findForm(await openSignIn(person), 'sign-in-form')
  const { email, password } = person.target.people[person.index % person.target.people.length] ?? {
    email: '',
    password: ''
  }
  return codeOf(await follow(person, await post(person, page, { email, password })))
}

export type Tokens = { access_token: string; refresh_token: string; id_token: string }

export const exchangeRequest = ({ web }: Target, code: string): Request => ({
  method: 'POST',
  path: '/token',
  headers: [basicAuth(web)],
  body: form({
    grant_type: 'authorization_code',
    code,
    redirect_uri: web.redirectUri,
    code_verifier: codeVerifier
  })
})

export async function exchange({ target, connection }: Person, code: string): Promise<Tokens> {
  const answer = await connection.send(exchangeRequest(target, code))
  const tokens = JSON.parse(answer.body) as Tokens
  if (answer.status !== 200 || tokens.refresh_token === undefined)
    throw new Error(`no tokens: ${answer.status} ${answer.body}`)
  return tokens
}
