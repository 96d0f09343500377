// What is measured. Each flow is driven by lanes: connections that take one step after the other.
import type { Answer, Request } from './client.ts'
import { dpopProof, thumbprint } from './dpop.ts'
import {
  authorizeAgain,
  authorizePushed,
  basicAuth,
  exchange,
  exchangeRequest,
  form,
  type Person,
  signIn,
  type Target,
  type Tokens
} from './person.ts'

/** A connection and what was made for it in advance. */
export type Lane = Person & { tokens?: Tokens; codes: string[] }

export type Flow = {
  title: string
  /** The bare library has no such thing. */
  gatehouseOnly?: true
  /** Made outside the measured time, before each round. `steps`: how many a lane may take at most. */
  prepare?: (lane: Lane, steps: number) => Promise<void>
  /** False when what was prepared is used up. */
  step: (lane: Lane) => Promise<boolean>
}

function expect(answer: Answer, text: string): true {
  if (answer.status === 200 && answer.body.includes(text)) return true
  throw new Error(`${answer.status} without ${text}: ${answer.head}${answer.body}`)
}

/** The same request each time, made once a target. */
function repeated(makeRequest: (target: Target) => Request, text: string): Flow['step'] {
  const requests = new Map<string, Request>()
  return async ({ target, connection }) => {
    const request = requests.get(target.name) ?? makeRequest(target)
    requests.set(target.name, request)
    return expect(await connection.send(request), text)
  }
}

const clientCredentials = (fields: Record<string, string>) =>
  repeated(
    ({ service }) => ({
      method: 'POST',
      path: '/token',
      headers: [basicAuth(service)],
      body: form({ grant_type: 'client_credentials', ...fields })
    }),
    '"access_token"'
  )

const document = (path: string, text: string) => repeated(() => ({ method: 'GET', path }), text)

async function haveTokens(lane: Lane): Promise<void> {
  lane.tokens ??= await exchange(lane, await signIn(lane))
}

async function haveSession(lane: Lane): Promise<void> {
  if (lane.cookies.size === 0) await signIn(lane)
}

const resource = { resource: 'urn:demo:api', scope: 'api:read' }

export const flows: Record<string, Flow> = {
  'cc-opaque': { title: 'client_credentials, opaque', step: clientCredentials({}) },
  'cc-jwt': { title: 'client_credentials, ES256 JWT', step: clientCredentials(resource) },
  code: {
    title: 'code exchange',
    prepare: async (lane, steps) => {
      await haveSession(lane)
      // A code lives for a minute: those of the round before are not used.
      lane.codes = []
      while (lane.codes.length < steps) lane.codes.push(await authorizeAgain(lane))
    },
    step: async lane => {
      const code = lane.codes.pop()
      if (code === undefined) return false
      return expect(await lane.connection.send(exchangeRequest(lane.target, code)), '"refresh_token"')
    }
  },
  refresh: {
    title: 'refresh with rotation',
    prepare: haveTokens,
    step: async lane => {
      const { web } = lane.target
      const answer = await lane.connection.send({
        method: 'POST',
        path: '/token',
        headers: [basicAuth(web)],
        body: form({ grant_type: 'refresh_token', refresh_token: lane.tokens?.refresh_token ?? '' })
      })
      expect(answer, '"refresh_token"')
      lane.tokens = JSON.parse(answer.body) as Tokens
      return true
    }
  },
  exchange: {
    title: 'token exchange, ES256 JWT',
    gatehouseOnly: true,
    prepare: haveTokens,
    step: async ({ target, connection, tokens }) => {
      const answer = await connection.send({
        method: 'POST',
        path: '/token',
        headers: [basicAuth(target.web)],
        body: form({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: tokens?.access_token ?? '',
          subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          resource: target.service.resource
        })
      })
      return expect(answer, '"issued_token_type"')
    }
  },
  introspection: {
    title: 'introspection',
    prepare: haveTokens,
    step: async ({ target, connection, tokens }) => {
      const answer = await connection.send({
        method: 'POST',
        path: '/introspect',
        headers: [basicAuth(target.web)],
        body: form({ token: tokens?.access_token ?? '' })
      })
      return expect(answer, '"active":true')
    }
  },
  userinfo: {
    title: 'userinfo',
    prepare: haveTokens,
    step: async ({ connection, tokens }) => {
      const headers = [`Authorization: Bearer ${tokens?.access_token}`]
      return expect(await connection.send({ method: 'GET', path: '/userinfo', headers }), '"email"')
    }
  },
  discovery: { title: 'discovery', step: document('/.well-known/openid-configuration', '"issuer"') },
  jwks: { title: 'JWKS', step: document('/jwks', '"keys"') },
  sso: {
    title: 'authorization in an SSO session',
    prepare: haveSession,
    step: async lane => {
      await authorizeAgain(lane)
      return true
    }
  },
  'par-dpop': {
    title: 'PAR, authorization, DPoP-bound exchange',
    prepare: haveSession,
    step: async lane => {
      const { target, connection } = lane
      const request = exchangeRequest(target, await authorizePushed(lane, thumbprint))
      const headers = [...(request.headers ?? []), dpopProof(`${target.origin}/token`)]
      return expect(await connection.send({ ...request, headers }), '"token_type":"DPoP"')
    }
  },
  'sign-in': {
    title: 'password sign-in',
    step: async lane => {
      await exchange(lane, await signIn(lane))
      return true
    }
  }
}
