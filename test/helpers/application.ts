// An application that people sign in to, on openid-client, and the ways a person goes through its sign-in.
import * as openid from 'openid-client'
import { password, type Service, signUp } from './service.ts'
import { type Answer, Visitor } from './visitor.ts'

export type Tokens = openid.TokenEndpointResponse & openid.TokenEndpointResponseHelpers

export type Finish = (location: string | null, options?: openid.DPoPOptions) => Promise<Tokens>

export type Application = {
  clientId: string
  clientSecret: string | undefined
  config: openid.Configuration
  redirectUri: string
  /** An authorization request, and how to redeem the URL that the browser comes back to. */
  begin: (params?: Record<string, string>) => Promise<{ url: string; finish: Finish }>
}

/** One of the demo clients, or any other that `service.register` returned. */
export async function createApplication(
  service: Service,
  registered: Service['clients'][string] | undefined = service.clients['demo-web'],
  proof?: openid.ClientAuth
): Promise<Application> {
  if (registered === undefined) throw new Error('there is no such client')
  const { client_id: clientId, client_secret: clientSecret, redirect_uris } = registered
  const [redirectUri = ''] = (redirect_uris ?? []) as string[]
  const secret = clientSecret === undefined ? openid.None() : openid.ClientSecretBasic(clientSecret)
  const config = await openid.discovery(new URL(service.issuer), clientId, undefined, proof ?? secret, {
    execute: [openid.allowInsecureRequests]
  })
  return {
    clientId,
    clientSecret,
    config,
    redirectUri,
    begin: async (params = {}) => {
      const pkceCodeVerifier = openid.randomPKCECodeVerifier()
      const expectedState = openid.randomState()
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: 'openid profile email offline_access',
        prompt: 'consent',
        code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256',
        state: expectedState,
        ...params
      })
      const expectedNonce = params.nonce
      return {
        url: url.href,
        finish: async (location, { DPoP } = {}) => {
          const checks = {
            pkceCodeVerifier,
            expectedState,
            ...(expectedNonce === undefined ? {} : { expectedNonce })
          }
          const proven = DPoP === undefined ? {} : { DPoP }
          return await openid.authorizationCodeGrant(config, new URL(location ?? ''), checks, {}, proven)
        }
      }
    }
  }
}

/** A new person signs up through the application, agrees, and is back there with tokens. */
export async function newcomer(
  service: Service,
  application: Application,
  { email = 'ada@example.org', params = {} }: { email?: string; params?: Record<string, string> } = {}
): Promise<{ visitor: Visitor; tokens: Tokens; email: string }> {
  const visitor = new Visitor()
  const { url, finish } = await application.begin(params)
  const page = await visitor.visit(url)
  const next = await signUp(service, visitor, { page, email })
  return { visitor, email, tokens: await finish((await agree(visitor, next)).location) }
}

/** Somebody who has an account signs in through the application with any browser. */
export async function signInAgain(
  application: Application,
  visitor: Visitor,
  { email, params = {} }: { email: string; params?: Record<string, string> }
): Promise<Tokens> {
  const { url, finish } = await application.begin(params)
  const page = await visitor.visit(url)
  const next = page.text.includes('id="sign-in-form"')
    ? await visitor.submit(page, 'sign-in-form', { email, password })
    : page
  return await finish((await agree(visitor, next)).location)
}

/** Allows what is asked, where it is asked. */
export async function agree(visitor: Visitor, page: Answer): Promise<Answer> {
  return page.text.includes('id="consent-form"')
    ? await visitor.submit(page, 'consent-form', { decision: 'allow' })
    : page
}

export { openid, password, Visitor }
