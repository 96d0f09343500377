// Python's Authlib as the application: it discovers, signs people in, checks ID tokens with its own JOSE, and refreshes,
// introspects and revokes.
import { execFile, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { agree } from '../helpers/application.ts'
import { haveInstalled } from '../helpers/debian.ts'
import { type Body, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

/** Debian's own first: its packages are for it, and another may come before it in PATH. */
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'

const installed = await haveInstalled('Authlib', async () => {
  const imported = promisify(execFile)(python, ['-c', 'import authlib, requests'])
  return await imported.then(
    () => true,
    () => false
  )
})

type Told = { error: string; description: string }
type Ask = <Result>(what: string, args?: Record<string, unknown>) => Promise<Result>

/** The application as a process: one question at a time, one answer each. */
function startApplication(t: Test, issuer: string): { ask: Ask; refusal: Ask } {
  const script = resolve(import.meta.dirname, 'authlib/application.py')
  const child = spawn(python, ['-u', script, issuer], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Loopback is safe without TLS.
    env: { ...process.env, AUTHLIB_INSECURE_TRANSPORT: '1', PYTHONDONTWRITEBYTECODE: '1' }
  })
  const ended = new Promise(resolve => child.on('exit', resolve))
  t.teardown(async () => {
    child.stdin.end()
    await ended
  })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const tell = async (what: string, args: Record<string, unknown> = {}) => {
    child.stdin.write(`${JSON.stringify({ do: what, ...args })}\n`)
    const { value, done } = await answers.next()
    if (done === true) throw new Error(`the application ended at ${what}`)
    return JSON.parse(value) as { result: unknown } | Told
  }
  return {
    ask: async <Result>(what: string, args = {}) => {
      const told = await tell(what, args)
      if ('error' in told) throw new Error(`${what}: ${JSON.stringify(told)}`)
      return told.result as Result
    },
    refusal: async <Result>(what: string, args = {}) => (await tell(what, args)) as Result
  }
}

type Signed = { token: Body; claims: { header: { alg: string }; sub: string; [claim: string]: unknown } }

t.test("Python's Authlib", { skip: !installed && 'it is not installed' }, async t => {
  const service = await startService(t)
  const { ask, refusal } = startApplication(t, service.issuer)
  const clientOf = async (metadata: Record<string, unknown> = {}) =>
    await service.register({
      client_name: 'On Authlib',
      redirect_uris: ['https://authlib.example/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      ...metadata
    })
  const web = await clientOf()
  const ada = await signedInVisitor(service, web)
  const scope = 'openid profile email offline_access'
  const signIn = async (): Promise<Signed> => {
    const url = await ask<string>('begin', { prompt: 'consent' })
    const { location } = await agree(ada, await ada.visit(url))
    return await ask<Signed>('finish', { url: location })
  }

  await t.test(
    'RFC 8414 §2, OpenID Connect Discovery 1.0 §3: both documents are what they must be',
    async t => {
      const document = await ask<Body>('discover')
      t.match(document, { issuer: service.issuer, code_challenge_methods_supported: ['S256'] })
    }
  )

  for (const id_token_signed_response_alg of ['ES256', 'RS256', 'EdDSA'])
    await t.test(
      `OpenID Connect Core 1.0 §3.1.3.7: an ID token of ${id_token_signed_response_alg}`,
      async t => {
        const client = await clientOf({ id_token_signed_response_alg })
        await ask('become', { client, scope })
        const { token, claims } = await signIn()
        t.equal(claims.header.alg, id_token_signed_response_alg)
        t.match(claims, { iss: service.issuer, aud: client.client_id })
        t.match(await ask('userinfo'), {
          status: 200,
          body: { sub: claims.sub, name: 'Ada Lovelace', email: 'ada@example.org' }
        })
        const [header = '', payload = '', signature = ''] = (token.id_token ?? '').split('.')
        const off = `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
        t.match(await refusal('verify', { id_token: off }), { error: 'bad_signature' })
        t.match(await refusal('verify', { id_token: token.id_token, nonce: 'another' }), {
          error: 'invalid_claim'
        })
      }
    )

  for (const token_endpoint_auth_method of [
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    'none'
  ])
    await t.test(
      `RFC 6749 §6, RFC 7009 §2: refreshed and revoked by ${token_endpoint_auth_method}`,
      async t => {
        const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
        const withKey = token_endpoint_auth_method === 'private_key_jwt'
        const client = await clientOf({
          token_endpoint_auth_method,
          ...(withKey ? { jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }] } } : {})
        })
        const key = withKey ? privateKey.export({ type: 'pkcs8', format: 'pem' }) : null
        await ask('become', { client, scope, key })
        const { token } = await signIn()
        const { refresh_token } = await ask<Body>('refresh', { refresh_token: token.refresh_token })
        t.not(refresh_token, token.refresh_token)
        t.equal(await ask('revoke', { token: refresh_token, hint: 'refresh_token' }), 200)
        t.match(await refusal('refresh', { refresh_token }), { error: 'invalid_grant' })
      }
    )

  await t.test(
    'RFC 6749 §4.4, RFC 7662 §2.2: a service with a key gets a token, and asks about it',
    async t => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const client = await service.register({
        client_name: 'Service on Authlib',
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }] },
        resources: ['urn:demo:api'],
        introspection: true
      })
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
      await ask('become', { client, key })
      const token = await ask<Body>('credentials', { resource: 'urn:demo:api', scope: 'api:read' })
      t.match(token, { token_type: 'Bearer', scope: 'api:read' })
      t.match(await ask('introspect', { token: token.access_token, hint: 'access_token' }), {
        active: true,
        client_id: client.client_id,
        scope: 'api:read'
      })
      t.strictSame(await ask('introspect', { token: 'another' }), { active: false })
      await ask('become', { client, key, short: false })
      t.match(await refusal('credentials'), { error: 'invalid_client' }, 'OID-9: an assertion for an hour')
      const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      await ask('become', { client, key: stranger.privateKey.export({ type: 'pkcs8', format: 'pem' }) })
      t.match(await refusal('credentials'), { error: 'invalid_client' }, "a stranger's key")
    }
  )
})
