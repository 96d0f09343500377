// A client on oauth4webapi: the walk of its authorization code, each answer checked by the library.
import * as oauth from 'oauth4webapi'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { agree } from './application.ts'
import { callbackOf } from './protocol.ts'
import type { Service } from './service.ts'
import type { Visitor } from './visitor.ts'

/** On every request: loopback is safe without TLS. */
export const http = { [oauth.allowInsecureRequests]: true } as const

export const discover = async (
  { issuer }: Service,
  algorithm: 'oidc' | 'oauth2' = 'oidc'
): Promise<oauth.AuthorizationServer> => {
  const url = new URL(issuer)
  return await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm, ...http }))
}

export type Party = {
  as: oauth.AuthorizationServer
  client: oauth.Client
  auth: oauth.ClientAuth
  redirectUri: string
}

/** `prove`: how it proves who it is, with the secret that it may have. */
export function createParty(
  as: oauth.AuthorizationServer,
  registered: DemoClient,
  prove: (secret: string) => oauth.ClientAuth = oauth.ClientSecretBasic
): Party {
  const { client_secret, redirect_uris, token_endpoint_auth_method: method } = registered
  return {
    as,
    client: registered as oauth.Client,
    auth: method === 'none' ? oauth.None() : prove(client_secret ?? ''),
    redirectUri: ((redirect_uris ?? []) as string[])[0] ?? ''
  }
}

export type Request = { params: Record<string, string>; verifier: string }

/** What an authorization request says, and the secrets that its answer is checked against. */
export async function createRequest({ client, redirectUri }: Party, over = {}): Promise<Request> {
  const verifier = oauth.generateRandomCodeVerifier()
  const params = {
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid profile email offline_access',
    prompt: 'consent',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    ...over
  }
  return { params, verifier }
}

/** The person follows an authorization request, agreeing where asked, back to the client. */
export async function follow({ as }: Party, visitor: Visitor, params: Record<string, string>): Promise<URL> {
  const url = new URL(as.authorization_endpoint ?? '')
  url.search = new URLSearchParams(params).toString()
  return callbackOf(await agree(visitor, await visitor.visit(url.href)))
}

type Redeeming = {
  request: Request
  callback: URLSearchParams | URL
  options?: oauth.TokenEndpointRequestOptions & oauth.JWEDecryptOptions
}

/** Redeems the code of an answer, whose `state` and `iss` are checked, for tokens, whose ID token is. */
export async function redeem(
  { as, client, auth, redirectUri }: Party,
  { request: { params, verifier }, callback, options = {} }: Redeeming
): Promise<oauth.TokenEndpointResponse> {
  const checked =
    callback instanceof URL ? oauth.validateAuthResponse(as, client, callback, params.state) : callback
  return await retryWithNonce(async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      as,
      client,
      auth,
      checked,
      redirectUri,
      verifier,
      { ...http, ...options }
    )
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
      ...options,
      expectedNonce: params.nonce ?? oauth.expectNoNonce,
      requireIdToken: true
    })
    // The library trusts TLS for what comes from the token endpoint, unless asked.
    await oauth.validateApplicationLevelSignature(as, response, http)
    return tokens
  })
}

/** A DPoP proof without the nonce that the server wants is sent again with it (RFC 9449 §8). */
export async function retryWithNonce<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return await work()
  }
}

/** What an attempt was refused with, in the body or in WWW-Authenticate; undefined when it was not. */
export async function errorOf(attempt: Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt
    return undefined
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) return (error as { error?: string }).error
    return error.cause[0]?.parameters.error
  }
}

/** A whole authorization of somebody who is signed in. */
export async function signIn(
  party: Party,
  visitor: Visitor,
  over = {}
): Promise<oauth.TokenEndpointResponse> {
  const request = await createRequest(party, over)
  return await redeem(party, { request, callback: await follow(party, visitor, request.params) })
}
