// What a registration for FAPI 2.0, certificates, signed and encrypted messages must be: every fault told at once.
import t from 'tap'
import { parseClientMetadata } from '../../src/clients/metadata-model.ts'
import { issueCertificate } from '../helpers/certificates.ts'
import { createKey, jwksOf } from '../helpers/keyed-client.ts'

const key = createKey('ES256')
const bank = {
  client_name: 'Bank',
  redirect_uris: ['https://bank.example/callback'],
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: jwksOf(key),
  security_profile: 'fapi2'
}

const faultsOf = (metadata: object, switchedOn = {}): string[] => {
  const outcome = parseClientMetadata(metadata, switchedOn)
  return outcome.ok ? [] : outcome.faults.map(({ field }) => field).sort()
}

t.test('FAPI 2.0 §5.3.2: what the profile leaves no choice for is filled in', async t => {
  const outcome = parseClientMetadata(bank)
  t.match(outcome, {
    ok: true,
    metadata: {
      require_pushed_authorization_requests: true,
      refresh_token_rotation: false,
      dpop_bound_access_tokens: true
    }
  })
  const tls = parseClientMetadata({
    ...bank,
    jwks: undefined,
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'bank.example'
  })
  t.match(tls, {
    ok: true,
    metadata: { tls_client_certificate_bound_access_tokens: true, dpop_bound_access_tokens: undefined }
  })
  t.match(parseClientMetadata({ ...bank, security_profile: 'fapi2-message-signing' }), {
    ok: true,
    metadata: { require_signed_request_object: true, response_modes: ['jwt'] }
  })
})

t.test('FAPI 2.0: everything that goes against it is told at once', async t => {
  t.strictSame(
    faultsOf(
      {
        ...bank,
        security_profile: 'fapi2-message-signing',
        redirect_uris: ['https://bank.example/callback', 'http://localhost:5000/callback'],
        token_endpoint_auth_method: 'client_secret_basic',
        require_pushed_authorization_requests: false,
        refresh_token_rotation: true,
        dpop_bound_access_tokens: false,
        id_token_signed_response_alg: 'RS256',
        request_object_signing_alg: 'RS256',
        require_signed_request_object: false,
        response_modes: ['query']
      },
      { development: true }
    ),
    [
      'dpop_bound_access_tokens',
      'id_token_signed_response_alg',
      'redirect_uris[1]',
      'refresh_token_rotation',
      'request_object_signing_alg',
      'require_pushed_authorization_requests',
      'require_signed_request_object',
      'response_modes',
      'token_endpoint_auth_method'
    ]
  )
  const single: Record<string, object> = {
    token_endpoint_auth_method: { token_endpoint_auth_method: 'none' },
    token_endpoint_auth_signing_alg: { token_endpoint_auth_signing_alg: 'RS256' },
    authorization_signed_response_alg: { authorization_signed_response_alg: 'RS256' },
    introspection_signed_response_alg: { introspection_signed_response_alg: 'RS256' },
    access_token_signing_alg: { access_token_signing_alg: 'RS256' },
    security_profile: { security_profile: 'fapi3' }
  }
  for (const [field, over] of Object.entries(single))
    t.strictSame(faultsOf({ ...bank, ...over }), [field], field)
  t.strictSame(
    faultsOf(
      { ...bank, grant_types: ['authorization_code', 'implicit'], response_types: ['code', 'id_token'] },
      { conformance: true }
    ),
    ['grant_types', 'response_types']
  )
  t.strictSame(
    faultsOf({ ...bank, response_modes: ['query', 'jwt'] }),
    [],
    'the security profile alone signs nothing'
  )
})

t.test('what has keys, certificates and encryption in it must fit together', async t => {
  const { x5c: _none, ...bare } = { ...key.publicJwk, x5c: undefined }
  const client = { client_name: 'A', redirect_uris: ['https://a.example/'] }
  const cases: [string[], object][] = [
    [['jwks'], { require_signed_request_object: true }],
    [['jwks'], { request_object_signing_alg: 'ES256' }],
    [['jwks'], { id_token_encrypted_response_alg: 'ECDH-ES' }],
    [[], { id_token_encrypted_response_alg: 'ECDH-ES', jwks: { keys: [bare] } }],
    [['userinfo_encrypted_response_alg'], { userinfo_encrypted_response_enc: 'A128GCM' }],
    [['tls_client_auth_subject_dn'], { token_endpoint_auth_method: 'tls_client_auth' }],
    [
      ['tls_client_auth_san_ip'],
      {
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_san_dns: 'a.example',
        tls_client_auth_san_ip: '192.0.2.1'
      }
    ],
    [['tls_client_auth_san_dns'], { tls_client_auth_san_dns: 'a.example' }],
    [['jwks'], { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys: [bare] } }],
    [
      [],
      {
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        jwks: { keys: [{ ...bare, x5c: [issueCertificate('a').der.toString('base64')] }] }
      }
    ],
    [
      ['dpop_bound_access_tokens'],
      { dpop_bound_access_tokens: true, tls_client_certificate_bound_access_tokens: true }
    ]
  ]
  for (const [fields, over] of cases)
    t.strictSame(faultsOf({ ...client, ...over }, { jwtEncryption: true }), fields, JSON.stringify(over))
  t.strictSame(
    faultsOf({ ...client, jwks: { keys: [bare] }, id_token_encrypted_response_alg: 'ECDH-ES' }),
    ['id_token_encrypted_response_alg'],
    'JWT_ENCRYPTION is off'
  )
})

t.test('members that are of no use are told, whatever they are, without a stumble', async t => {
  const junk = [null, 0, 'x', [], {}, [null], { keys: [null] }, { keys: 'x' }]
  for (const member of ['jwks', 'redirect_uris', 'response_modes', 'jwks_uri', 'security_profile', 'scope'])
    for (const value of junk)
      for (const security_profile of ['fapi2', 'fapi2-message-signing']) {
        const outcome = parseClientMetadata({
          ...bank,
          token_endpoint_auth_method: 'self_signed_tls_client_auth',
          security_profile,
          [member]: value
        })
        t.equal(outcome.ok, false, `${member} ${JSON.stringify(value)}`)
      }
})
