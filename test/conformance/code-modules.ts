// Modules of the OpenID Connect plans: codes that are shown twice, and refresh tokens.
import { askForTokens, get, readJwt, redeemCode } from '../helpers/conformance.ts'
import { complete, type Finished } from './flow.ts'
import type { Module, Run } from './plan.ts'

/** A code that was redeemed is shown again, some seconds later. */
async function reuse({ t, suite, variant, register }: Run, seconds: number): Promise<Finished> {
  const finished = await complete(t, suite, { client: await register(), variant })
  suite.service.advance(seconds)
  const { status, headers, body } = await redeemCode(suite, finished.client, finished.code)
  t.equal(status, 400)
  t.match(headers.get('content-type'), /^application\/json/)
  t.equal(body.error, 'invalid_grant')
  return finished
}

export const codes = {
  'oidcc-codereuse': {
    section: 'RFC 6749 §4.1.2, §5.2',
    says: 'a code is good for one token request',
    run: async run => {
      await reuse(run, 0)
    }
  },
  'oidcc-codereuse-30seconds': {
    section: 'RFC 6749 §4.1.2',
    says: 'a code that is shown again after 30 seconds takes the tokens with it that it was given for',
    run: async run => {
      const { accessToken } = await reuse(run, 30)
      const { status } = await get(run.suite.service, '/userinfo', { authorization: `Bearer ${accessToken}` })
      run.t.equal(status, 401)
    }
  },
  'oidcc-refresh-token': {
    section: 'OpenID Connect Core 1.0 §12, RFC 6749 §6',
    says: 'a refresh token brings new tokens of the same sign-in, and only to its own client',
    run: async ({ t, suite, variant, register }) => {
      t.ok((suite.discovery.grant_types_supported as string[]).includes('refresh_token'))
      const withRefresh = async () => {
        const grants = variant.responseType === 'code' ? [] : ['implicit']
        return await register({ grant_types: ['authorization_code', ...grants, 'refresh_token'] })
      }
      const { client, tokens, accessToken, claims } = await complete(t, suite, {
        client: await withRefresh(),
        variant
      })
      t.match(tokens.refresh_token, /^[\x21-\x7e]{43,}$/, 'RFC 6749 §A.17, §10.10')
      suite.service.advance(1)
      const use = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token }
      const { status, headers, body } = await askForTokens(suite, client, use)
      t.equal(status, 200, body.error_description ?? '')
      t.match(headers.get('cache-control'), /no-store/)
      t.equal(body.token_type, 'Bearer')
      t.ok(Number(body.expires_in) > 0)
      t.not(body.access_token, accessToken)
      const { payload } = readJwt(body.id_token)
      // OpenID Connect Core 1.0 §12.2
      for (const name of ['iss', 'sub', 'aud', 'auth_time', 'azp'])
        t.strictSame(payload[name], claims[name], name)
      t.ok(Number(payload.iat) > Number(claims.iat))
      const info = await get(suite.service, '/userinfo', { authorization: `Bearer ${body.access_token}` })
      t.equal(info.status, 200)

      const other = await complete(t, suite, { client: await withRefresh(), variant })
      const refresh_token = other.tokens.refresh_token
      const stolen = await askForTokens(suite, client, { grant_type: 'refresh_token', refresh_token })
      t.equal(stolen.status, 400)
      t.equal(stolen.body.error, 'invalid_grant')
    }
  }
} satisfies Record<string, Module>
