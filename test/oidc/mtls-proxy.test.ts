// Client certificates that a proxy took and hands on in a header: believed of a trusted proxy, of nobody else (RFC 8705, RFC 9440).
import t from 'tap'
import { openid } from '../helpers/application.ts'
import { issueCertificate } from '../helpers/certificates.ts'
import type { Started } from '../helpers/devices.ts'
import { clientOf, get, post } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { send } from '../helpers/tls.ts'

type Headers = Record<string, string | string[]>

const environment = { MTLS_CERTIFICATE_HEADER: 'Client-Cert', MTLS_VERIFIED_HEADER: 'X-Client-Verify' }
const robot = {
  client_name: 'Robot',
  grant_types: ['client_credentials'],
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_san_dns: 'robot.example'
}
const certificate = issueCertificate('robot', { names: ['DNS:robot.example'] })
const handedOn = `:${certificate.der.toString('base64')}:`
const verified = { 'x-client-verify': 'SUCCESS' }
const dayMs = 86_400_000

t.test('behind a trusted proxy', async t => {
  const service = await startService(t, {
    environment: {
      ...environment,
      TRUSTED_PROXIES: '127.0.0.0/8,::1',
      MTLS_BASE_URL: 'https://mtls.example'
    }
  })
  const { client_id } = await service.register(robot)
  const present = async (headers: Headers, path = '/token', clientId = client_id) =>
    await send(new URL(path, service.issuer).href, {
      method: 'POST',
      headers: {
        host: 'mtls.example',
        'content-type': 'application/x-www-form-urlencoded',
        ...headers
      },
      body: `grant_type=client_credentials&client_id=${clientId}`
    })

  await t.test('where certificates have a host of their own, no header is believed at another', async t => {
    const headers = { 'client-cert': handedOn, ...verified }
    const { host } = new URL(service.issuer)
    for (const other of [host, 'evil.example', 'mtls.example.evil', 'mtls.example:1', 'Xmtls.example'])
      t.equal((await present({ ...headers, host: other })).status, 401, other)
    const claimed = { host, 'x-forwarded-host': 'mtls.example', forwarded: 'host=mtls.example' }
    t.equal((await present({ ...headers, ...claimed })).status, 401, 'in another header')
    t.equal((await present(headers)).status, 200)
  })

  await t.test('RFC 9440 §2.1: the certificate comes in base64, or as percent-encoded PEM', async t => {
    for (const value of [
      handedOn,
      encodeURIComponent(certificate.pem),
      encodeURIComponent(certificate.pem.trim())
    ])
      t.equal((await present({ 'client-cert': value, ...verified })).status, 200)
  })

  await t.test('anything else is no certificate', async t => {
    const expired = issueCertificate('robot', {
      names: ['DNS:robot.example'],
      from: new Date(Date.now() - 9 * dayMs),
      to: new Date(Date.now() - dayMs)
    })
    const other = issueCertificate('robot', { names: ['DNS:other.example'] })
    const attempts: Record<string, Headers> = {
      'no headers': {},
      'no certificate': verified,
      'not verified': { 'client-cert': handedOn },
      'verification failed': { 'client-cert': handedOn, 'x-client-verify': 'FAILED:expired' },
      'not quite verified': { 'client-cert': handedOn, 'x-client-verify': 'success' },
      'verified twice over': { 'client-cert': handedOn, 'x-client-verify': ['SUCCESS', 'FAILED'] },
      'two certificates': { 'client-cert': [handedOn, handedOn], ...verified },
      'two certificates, one of them another': {
        'client-cert': [handedOn, `:${other.der.toString('base64')}:`],
        ...verified
      },
      'two in one': { 'client-cert': `${handedOn}, ${handedOn}`, ...verified },
      'two in one PEM': { 'client-cert': encodeURIComponent(certificate.pem + other.pem), ...verified },
      'of another': { 'client-cert': `:${other.der.toString('base64')}:`, ...verified },
      expired: { 'client-cert': `:${expired.der.toString('base64')}:`, ...verified },
      'bare base64': { 'client-cert': certificate.der.toString('base64'), ...verified },
      'cut short': { 'client-cert': `:${certificate.der.subarray(0, 80).toString('base64')}:`, ...verified },
      'bad percent-encoding': {
        'client-cert': `%E0%A4%A${encodeURIComponent(certificate.pem)}`,
        ...verified
      },
      nonsense: { 'client-cert': 'nonsense', ...verified },
      empty: { 'client-cert': '', ...verified }
    }
    for (const [what, headers] of Object.entries(attempts)) {
      const answer = await present(headers)
      t.equal(answer.status, 401, what)
      t.match(await answer.json(), { error: 'invalid_client' }, what)
    }
    const { signed = '' } = { signed: certificate.der.toString('base64') }
    const flipped = `${signed.slice(0, -8)}${signed.at(-8) === 'A' ? 'B' : 'A'}${signed.slice(-7)}`
    t.equal((await present({ 'client-cert': `:${flipped}:` })).status, 401, 'one character off, unverified')
  })

  await t.test(
    'RFC 8705 §5: the metadata says where certificates are taken, and proofs are made for that address',
    async t => {
      const { body } = await get(service, '/.well-known/oauth-authorization-server')
      t.match(body, {
        mtls_endpoint_aliases: {
          token_endpoint: 'https://mtls.example/token',
          userinfo_endpoint: 'https://mtls.example/userinfo',
          pushed_authorization_request_endpoint: 'https://mtls.example/par',
          introspection_endpoint: 'https://mtls.example/introspect',
          revocation_endpoint: 'https://mtls.example/revoke'
        },
        token_endpoint: `${service.issuer}/token`
      })
      t.notOk('authorization_endpoint' in (body.mtls_endpoint_aliases as object))
      const bound = await service.register({ ...robot, dpop_bound_access_tokens: true })
      const config = new openid.Configuration({ issuer: service.issuer }, bound.client_id)
      openid.allowInsecureRequests(config)
      const keys = await openid.randomDPoPKeyPair('ES256')
      const proofFor = async (url: string) => {
        let proof = ''
        const dpop = openid.getDPoPHandle(config, keys)
        config[openid.customFetch] = async (_url, { headers }) => {
          proof = headers.dpop ?? ''
          return new Response('{}')
        }
        await openid.fetchProtectedResource(config, 'x', new URL(url), 'POST', null, new Headers(), {
          DPoP: dpop
        })
        return proof
      }
      const there = { host: 'mtls.example', 'client-cert': handedOn, ...verified }
      const attempt = async (headers: Headers, url: string) =>
        (await present({ ...headers, dpop: await proofFor(url) }, '/token', bound.client_id)).status
      t.equal(await attempt(there, 'https://mtls.example/token'), 200)
      t.equal(await attempt(there, `${service.issuer}/token`), 400)
      t.equal(await attempt(there, 'https://evil.example/token'), 400)
    }
  )

  await t.test('RFC 8628 §3.2: a device that asks there sends its person to the issuer', async t => {
    const tv = clientOf(service, 'demo-native')
    const params = new URLSearchParams({ scope: 'openid', client_id: tv.client_id })
    const answer = await send(`${service.issuer}/device/auth`, {
      method: 'POST',
      headers: { host: 'mtls.example', 'content-type': 'application/x-www-form-urlencoded' },
      body: params.toString()
    })
    const started = (await answer.json()) as Started
    t.equal(started.verification_uri, `${service.issuer}/device`)
    t.equal(started.verification_uri_complete, `${service.issuer}/device?user_code=${started.user_code}`)
  })
})

t.test('a header of somebody who is not a trusted proxy proves nothing', async t => {
  const service = await startService(t, { environment: { ...environment, TRUSTED_PROXIES: '10.0.0.0/8' } })
  const { client_id } = await service.register(robot)
  for (const headers of [{}, { 'x-forwarded-for': '10.0.0.1' }, { forwarded: 'for=10.0.0.1' }]) {
    const { status } = await post(
      service,
      '/token',
      { grant_type: 'client_credentials', client_id },
      { headers: { 'client-cert': handedOn, ...verified, ...headers } }
    )
    t.equal(status, 401)
  }
})

t.test(
  'where no header is named, none is believed of anybody, and the metadata says nothing of certificates',
  async t => {
    const service = await startService(t, { environment: { TRUSTED_PROXIES: '127.0.0.0/8,::1' } })
    const { client_id } = await service.register({
      ...robot,
      tls_client_certificate_bound_access_tokens: true
    })
    const { status } = await post(
      service,
      '/token',
      { grant_type: 'client_credentials', client_id },
      { headers: { 'client-cert': handedOn, ...verified } }
    )
    t.equal(status, 401)
    const { body } = await get(service, '/.well-known/openid-configuration')
    t.notMatch(JSON.stringify(body), /tls/)
    const bound = await service.register({
      client_name: 'Bound',
      grant_types: ['client_credentials'],
      tls_client_certificate_bound_access_tokens: true
    })
    t.match(
      await post(service, '/token', { grant_type: 'client_credentials' }, { client: bound }),
      { status: 400, body: { error: 'invalid_grant' } },
      'tokens that are to be bound do not come out unbound'
    )
  }
)
