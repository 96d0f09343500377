// Clients that prove themselves by a certificate, on TLS that the process serves itself (RFC 8705).
import { X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import t from 'tap'
import { agree, openid } from '../helpers/application.ts'
import { type Certificate, issueCertificate } from '../helpers/certificates.ts'
import {
  get,
  introspect,
  readJwt,
  redirectUriOf,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { type Service, startService } from '../helpers/service.ts'
import { fetchWith, send, serveTls, writeFiles } from '../helpers/tls.ts'

const thumbprintOf = ({ pem }: Certificate) =>
  Buffer.from(new X509Certificate(pem).fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')

const dayMs = 86_400_000
const past = { from: new Date(Date.now() - 9 * dayMs), to: new Date(Date.now() - dayMs) }

t.test('client certificates', async t => {
  const authority = issueCertificate('Clients', { ca: true })
  const { ca } = writeFiles(t, { ca: authority.pem })
  const service = await startService(t, {
    environment: {
      ...serveTls(t),
      MTLS_CA_FILE: ca,
      // Named, but nobody who connects here is one of them.
      MTLS_CERTIFICATE_HEADER: 'Client-Cert',
      MTLS_VERIFIED_HEADER: 'Client-Verified',
      TRUSTED_PROXIES: '10.0.0.0/8'
    }
  })
  const { issuer } = service
  const robot = await service.register({
    client_name: 'Robot',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'robot.example',
    tls_client_certificate_bound_access_tokens: true,
    resources: ['urn:demo:api']
  })
  const robotCertificate = issueCertificate('robot', { issuer: authority, names: ['DNS:robot.example'] })
  const configure = async (clientId: string, certificate?: Certificate) => {
    const options = { [openid.customFetch]: fetchWith(certificate) as openid.CustomFetch }
    return await openid.discovery(new URL(issuer), clientId, undefined, openid.TlsClientAuth(), options)
  }
  const ask = { resource: 'urn:demo:api', scope: 'api:read' }
  /** What the token endpoint says to a client with this certificate and these headers. */
  const present = async (
    clientId: string,
    { certificate, headers = {} }: { certificate?: Certificate; headers?: Record<string, string> } = {}
  ) => {
    const answer = await send(`${issuer}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, ...ask }).toString(),
      ...(certificate === undefined ? {} : { certificate })
    })
    return { status: answer.status, body: (await answer.json()) as { error?: string; access_token?: string } }
  }
  const guard = await registerPortal(service, {
    client_name: 'Guard',
    introspection: true,
    resources: ['urn:demo:api']
  })

  await t.test(
    'OPS-7: the process serves TLS on every address that it listens on, and nothing older than 1.2',
    async t => {
      t.match(issuer, /^https:\/\/localhost:/)
      t.equal((await get(service, '/healthz')).status, 200)
      const port = Number(new URL(issuer).port)
      const handshake = async (host: string, options = {}) =>
        await new Promise<string>(resolve => {
          const socket = connect({ host, port, servername: 'localhost', ...options }, () => {
            resolve(socket.getProtocol() ?? '')
            socket.destroy()
          })
          socket.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? 'error'))
        })
      const addresses = service.app.http.addresses() as AddressInfo[]
      for (const { address } of addresses) t.equal(await handshake(address), 'TLSv1.3')
      t.match(await handshake('localhost', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }), /ERR|ECONNRESET/)
      const weak = {
        maxVersion: 'TLSv1.2',
        ciphers: 'ECDHE-ECDSA-AES128-SHA256:AES128-SHA:AES128-GCM-SHA256'
      }
      t.match(await handshake('localhost', weak), /ERR|ECONNRESET/)
      t.equal(await handshake('localhost', { maxVersion: 'TLSv1.2' }), 'TLSv1.2')
    }
  )

  await t.test('RFC 8705 §3.3: what there is of it is in the metadata', async t => {
    const { body } = await get(service, '/.well-known/openid-configuration')
    for (const method of ['tls_client_auth', 'self_signed_tls_client_auth'])
      t.ok((body.token_endpoint_auth_methods_supported as string[]).includes(method))
    t.equal(body.tls_client_certificate_bound_access_tokens, true)
    t.notOk('mtls_endpoint_aliases' in body)
  })

  await t.test(
    'RFC 8705 §2.1, §3: a certificate that its authority issued is who the client is, and its tokens are bound to it',
    async t => {
      const config = await configure(robot.client_id, robotCertificate)
      const tokens = await openid.clientCredentialsGrant(config, ask)
      const cnf = { 'x5t#S256': thumbprintOf(robotCertificate) }
      t.match(readJwt(tokens.access_token).payload, { cnf, sub: robot.client_id })
      const { body } = await introspect(service, guard, tokens.access_token)
      t.match(body, { active: true, cnf, token_type: 'Bearer' })
    }
  )

  await t.test('RFC 8705 §2.1: nobody else is believed to be the client', async t => {
    const homemade = issueCertificate('Clients', { ca: true })
    const names = ['DNS:robot.example']
    const intruders: Record<string, Certificate | undefined> = {
      'no certificate': undefined,
      'another name': issueCertificate('robot', { issuer: authority, names: ['DNS:robot.example.evil'] }),
      'the name as another kind': issueCertificate('robot', {
        issuer: authority,
        names: ['URI:robot.example']
      }),
      'a name that reads like a list': issueCertificate('robot', {
        issuer: authority,
        names: ['URI:x, DNS:robot.example']
      }),
      'a wildcard': issueCertificate('robot', { issuer: authority, names: ['DNS:*.example'] }),
      'the name in the subject alone': issueCertificate('robot.example', { issuer: authority }),
      'a certificate made at home': issueCertificate('robot', { names }),
      'an authority made at home': issueCertificate('robot', { issuer: homemade, names }),
      expired: issueCertificate('robot', { issuer: authority, names, ...past }),
      'not valid yet': issueCertificate('robot', {
        issuer: authority,
        names,
        from: new Date(Date.now() + dayMs)
      })
    }
    for (const [who, certificate] of Object.entries(intruders)) {
      const { status, body } = await present(
        robot.client_id,
        certificate === undefined ? {} : { certificate }
      )
      t.match(
        { status, body },
        { status: 401, body: { error: 'invalid_client', access_token: undefined } },
        who
      )
    }
    const handedOn = {
      'client-cert': `:${robotCertificate.der.toString('base64')}:`,
      'client-verified': 'SUCCESS'
    }
    t.equal(
      (await present(robot.client_id, { headers: handedOn })).status,
      401,
      'in a header of nobody who is trusted'
    )
    const other = { certificate: issueCertificate('x', { issuer: authority }), headers: handedOn }
    t.equal((await present(robot.client_id, other)).status, 401, 'beside one of their own')
    t.equal(
      (await present(robot.client_id, { certificate: robotCertificate })).status,
      200,
      'the true one is'
    )
    const secretly = await send(`${issuer}/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${btoa(`${robot.client_id}:x`)}`
      },
      body: 'grant_type=client_credentials',
      certificate: robotCertificate
    })
    t.equal(secretly.status, 401, 'one method only')
  })

  await t.test('RFC 8705 §2.1.2: whichever name was registered is the one that counts', async t => {
    const names = ['URI:spiffe://example/robot', 'IP:192.0.2.7', 'email:robot@robot.example']
    const certificate = issueCertificate('robot, of "Example"+1', { issuer: authority, names })
    const registered: [string, string, boolean][] = [
      [
        'tls_client_auth_subject_dn',
        'CN=robot\\, of \\"Example\\"\\+1,OU=Authenticator Attestation,O=Keymaker,C=SE',
        true
      ],
      [
        'tls_client_auth_subject_dn',
        'cn=robot\\2C of \\22Example\\22\\2B1, ou=Authenticator Attestation, o=Keymaker, c=SE',
        true
      ],
      [
        'tls_client_auth_subject_dn',
        'C=SE,O=Keymaker,OU=Authenticator Attestation,CN=robot\\, of \\"Example\\"\\+1',
        false
      ],
      ['tls_client_auth_subject_dn', 'CN=robot\\, of \\"Example\\"\\+1', false],
      ['tls_client_auth_subject_dn', 'OU=Authenticator Attestation,O=Keymaker,C=SE', false],
      ['tls_client_auth_san_uri', 'spiffe://example/robot', true],
      ['tls_client_auth_san_uri', 'spiffe://example/Robot', false],
      ['tls_client_auth_san_ip', '192.0.2.7', true],
      ['tls_client_auth_san_ip', '192.0.2.70', false],
      ['tls_client_auth_san_email', 'robot@robot.example', true],
      ['tls_client_auth_san_email', 'obot@robot.example', false],
      ['tls_client_auth_san_dns', 'robot@robot.example', false]
    ]
    for (const [member, value, right] of registered) {
      const { client_id } = await service.register({
        client_name: 'Named',
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'tls_client_auth',
        resources: ['urn:demo:api'],
        [member]: value
      })
      t.equal((await present(client_id, { certificate })).status, right ? 200 : 401, `${member} ${value}`)
    }
  })

  await t.test(
    'RFC 8705 §2.2: a certificate that the client signed itself counts where its key set has it',
    async t => {
      const own = issueCertificate('Homemade')
      const jwk = new X509Certificate(own.pem).publicKey.export({ format: 'jwk' })
      const client = await service.register({
        client_name: 'Homemade',
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        resources: ['urn:demo:api'],
        jwks: { keys: [{ ...jwk, x5c: [own.der.toString('base64')] }] }
      })
      t.equal((await present(client.client_id, { certificate: own })).status, 200)
      for (const certificate of [
        issueCertificate('Homemade'),
        issueCertificate('Homemade', { issuer: authority })
      ])
        t.equal((await present(client.client_id, { certificate })).status, 401)
      t.equal((await present(client.client_id)).status, 401)
      const outcome = await service
        .register({
          client_name: 'Without certificate',
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'self_signed_tls_client_auth',
          jwks: { keys: [jwk] }
        })
        .catch(error => (error as Error).message)
      t.match(outcome, /x5c/)
    }
  )

  await t.test(
    'RFC 8705 §3, §4: a stolen token is worth nothing without the certificate, a public client’s refresh token too',
    async t => {
      const certificate = issueCertificate('Phone')
      const phone = await registerPortal(service, {
        client_name: 'Phone',
        token_endpoint_auth_method: 'none',
        tls_client_certificate_bound_access_tokens: true
      })
      const options = { [openid.customFetch]: fetchWith(certificate) as openid.CustomFetch }
      const config = await openid.discovery(
        new URL(issuer),
        phone.client_id,
        undefined,
        openid.None(),
        options
      )
      const visitor = await signedInVisitor(service, phone)
      const verifier = openid.randomPKCECodeVerifier()
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: redirectUriOf(phone),
        scope: 'openid email offline_access',
        prompt: 'consent',
        code_challenge: await openid.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256'
      })
      const { location } = await agree(visitor, await visitor.visit(url.href))
      const tokens = await openid.authorizationCodeGrant(config, new URL(location ?? ''), {
        pkceCodeVerifier: verifier
      })

      const userinfo = async (certificate?: Certificate) =>
        await send(`${issuer}/userinfo`, {
          headers: { authorization: `Bearer ${tokens.access_token}` },
          ...(certificate === undefined ? {} : { certificate })
        })
      t.equal((await userinfo(certificate)).status, 200)
      const thief = issueCertificate('Phone')
      for (const answer of [await userinfo(), await userinfo(thief)]) {
        t.equal(answer.status, 401)
        t.match(answer.headers.get('www-authenticate'), /error="invalid_token"/)
      }
      const refresh = async () => await openid.refreshTokenGrant(config, tokens.refresh_token ?? '')
      const refusal = async (attempt: Promise<unknown>) =>
        await attempt.then(
          () => null,
          ({ error }) => error
        )
      config[openid.customFetch] = fetchWith(thief) as openid.CustomFetch
      t.equal(await refusal(refresh()), 'invalid_grant')
      config[openid.customFetch] = fetchWith() as openid.CustomFetch
      t.equal(await refusal(refresh()), 'invalid_grant')
      config[openid.customFetch] = fetchWith(certificate) as openid.CustomFetch
      const renewed = await refresh()
      t.match((await introspect(service, phone, renewed.access_token)).body, {
        cnf: { 'x5t#S256': thumbprintOf(certificate) }
      })
    }
  )
})

const postForm = async (issuer: string, body: string, certificate: Certificate) =>
  await send(`${issuer}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body,
    certificate
  })

/** A client with a certificate that it signed itself, and what the token endpoint says to it. */
async function presentOwn(service: Service): Promise<number> {
  const own = issueCertificate('Homemade')
  const jwk = new X509Certificate(own.pem).publicKey.export({ format: 'jwk' })
  const { client_id } = await service.register({
    client_name: 'Homemade',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: [{ ...jwk, x5c: [own.der.toString('base64')] }] }
  })
  const body = `grant_type=client_credentials&client_id=${client_id}`
  return (await postForm(service.issuer, body, own)).status
}

t.test('RFC 8705: without MTLS_CA_FILE no authority is believed, well known or not', async t => {
  const service = await startService(t, { environment: { ...serveTls(t), MTLS_CLIENT_CERTIFICATES: 'on' } })
  const client = await service.register({
    client_name: 'Robot',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'localhost'
  })
  const authority = issueCertificate('Anybody', { ca: true })
  const certificate = issueCertificate('robot', { issuer: authority, names: ['DNS:localhost'] })
  const body = `grant_type=client_credentials&client_id=${client.client_id}`
  t.equal((await postForm(service.issuer, body, certificate)).status, 401)
  t.equal(await presentOwn(service), 200, 'a key of the client’s own needs none')
})

t.test(
  'where certificates are not taken, nobody is asked for one: browsers would ask their people',
  async t => {
    const service = await startService(t, { environment: serveTls(t) })
    const presented: unknown[] = []
    service.app.http.server.on('secureConnection', socket => presented.push(socket.getPeerX509Certificate()))
    t.equal(await presentOwn(service), 401)
    t.ok(presented.length > 0)
    t.ok(presented.every(certificate => certificate === undefined))
    const { body } = await get(service, '/.well-known/openid-configuration')
    t.notMatch(JSON.stringify(body), /tls/)
  }
)
