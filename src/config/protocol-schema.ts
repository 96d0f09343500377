// The settings that switch parts of the protocol on, and what they become.
import { Type } from 'typebox'

export const protocolSettings = {
  PROFILE: Type.Enum(['standard', 'conformance'], {
    default: 'standard',
    description:
      "conformance: for the OpenID Foundation's test suite, on a loopback issuer or one under .test alone. Turns on open registration, implicit and hybrid flows, and a test account; leaves the limits of that account off."
  }),
  CONFORMANCE_PASSWORD: Type.String({
    default: '',
    description:
      'The password of the test account foo@op.test, with PROFILE=conformance. Default: one is made up and kept in DATA_DIR/conformance.json.',
    secret: true
  }),
  TLS_KEY_FILE: Type.String({
    default: '',
    description:
      'Path of a private key in PEM. With TLS_CERT_FILE the process serves TLS itself. Default: a proxy does.'
  }),
  TLS_CERT_FILE: Type.String({
    default: '',
    description: 'Path of the certificate chain in PEM that belongs to TLS_KEY_FILE.'
  }),
  OUTBOUND_ALLOWED_NETWORKS: Type.String({
    default: '',
    description:
      'Comma-separated addresses or CIDR ranges that Gatehouse may fetch from although they are of special use, as private networks are: key sets, logout notices and documents of applications in your own network. Default: none.'
  }),
  MTLS_CA_FILE: Type.String({
    default: '',
    description:
      'Path of a PEM file with the authorities whose client certificates are believed for tls_client_auth (RFC 8705 §2.1), where this process serves TLS. Whoever connects is then asked for a certificate. Default: none; see MTLS_CLIENT_CERTIFICATES for self-signed ones.'
  }),
  MTLS_CLIENT_CERTIFICATES: Type.Enum(['off', 'on'], {
    default: 'off',
    description:
      'on: where this process serves TLS, it asks whoever connects for a certificate, browsers too. MTLS_CA_FILE does that by itself; clients with self-signed certificates alone need this.'
  }),
  MTLS_CERTIFICATE_HEADER: Type.String({
    default: '',
    pattern: '^[A-Za-z0-9-]*$',
    description:
      "The header in which a proxy of TRUSTED_PROXIES hands on the client's certificate: percent-encoded PEM, or RFC 9440's Client-Cert. The proxy must drop the header where the client sends it itself. Default: none is believed."
  }),
  MTLS_VERIFIED_HEADER: Type.String({
    default: '',
    pattern: '^[A-Za-z0-9-]*$',
    description:
      "The header in which that proxy says SUCCESS when it has verified the certificate's chain. Needed for tls_client_auth behind a proxy."
  }),
  MTLS_BASE_URL: Type.String({
    default: '',
    description:
      'The origin at which clients with certificates reach the endpoints, published as mtls_endpoint_aliases (RFC 8705 §5). MTLS_CERTIFICATE_HEADER is then believed at this host alone, which the proxy must hand on as it came. Default: the issuer.'
  }),
  DPOP_NONCES: Type.Enum(['optional', 'required'], {
    default: 'optional',
    description:
      "required: DPoP proofs must carry a nonce that Gatehouse gave (RFC 9449 §8); clients of FAPI's profiles always must."
  }),
  DEVICE_CODE_LIFETIME_SECONDS: Type.Integer({
    default: 600,
    minimum: 60,
    maximum: 1800,
    description: 'How long a person has to approve a device (RFC 8628).'
  }),
  DYNAMIC_REGISTRATION: Type.Enum(['off', 'token', 'open'], {
    default: 'off',
    description:
      'Whether applications may register themselves (RFC 7591): token: with an initial access token, made by `gatehouse registration-tokens`; open: whoever asks. People are always asked for consent.'
  }),
  REGISTRATION_GRANT_TYPES: Type.String({
    default: 'authorization_code,refresh_token',
    description: 'Comma-separated grant types that an application which registers itself may have.'
  }),
  REGISTRATION_SCOPES: Type.String({
    default: 'openid,profile,email,address,phone,offline_access',
    description: 'Comma-separated scopes that it may have, of OpenID Connect and of REGISTRATION_RESOURCES.'
  }),
  REGISTRATION_RESOURCES: Type.String({
    default: '',
    description:
      'Comma-separated resource indicators that it may ask tokens for, an MCP server for one. Default: none.'
  }),
  SOFTWARE_STATEMENT_ISSUERS_FILE: Type.String({
    default: '',
    description:
      'Path of a JSON file, {"<issuer>": <JWK set>, …}: whose software statements are believed (RFC 7591 §2.3). Default: nobody\'s.'
  }),
  UNUSED_CLIENT_DAYS: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 3650,
    description: 'An application that registered itself and was not used for so long is removed.'
  }),
  CLIENT_ID_METADATA_DOCUMENTS: Type.Enum(['off', 'on'], {
    default: 'off',
    description:
      'Whether an https URL is a client_id that describes its application (OAuth Client ID Metadata Document). What it may ask for is what REGISTRATION_… allows.'
  }),
  CLIENT_ID_METADATA_HOSTS: Type.String({
    default: '',
    description: 'Comma-separated hosts whose documents are believed. Default: any.'
  }),
  CIBA: Type.Enum(['off', 'on'], {
    default: 'off',
    description:
      'Whether applications may ask for a sign-in that the person approves at /account/approvals (OpenID Connect CIBA, poll and ping).'
  }),
  AUTHORIZATION_DETAILS_TYPES_FILE: Type.String({
    default: '',
    description:
      'Path of a JSON file, {"<type>": {"title": …, "schema": <JSON Schema>}, …}: the types of authorization_details that applications may ask for (RFC 9396). Default: none, which leaves it off.'
  }),
  JWT_ENCRYPTION: Type.Enum(['off', 'on'], {
    default: 'off',
    description:
      'Whether clients may register for encrypted ID tokens and userinfo (OpenID Connect Core 1.0 §10.2).'
  }),
  TOKEN_HOOK_URL: Type.String({
    default: '',
    description:
      'Asked for further claims before tokens are made, with a request signed under TOKEN_HOOK_SECRET. Default: nobody is asked.'
  }),
  TOKEN_HOOK_SECRET: Type.String({
    default: '',
    description: 'At least 32 characters: the key of the HMAC-SHA-256 over what the hook is sent.',
    secret: true
  }),
  TOKEN_HOOK_FAILURE: Type.Enum(['closed', 'open'], {
    default: 'closed',
    description:
      'What happens when the hook does not answer within 500 ms. closed: no token is made; open: one without its claims is.'
  })
}

/** The protocol's settings as the rest of the code reads them. */
export type ProtocolConfig = {
  conformance: boolean
  /** Of the conformance profile's test account; null: made up. */
  conformancePassword: string | null
  /** PEM; null: a proxy serves TLS. */
  tls: { key: string; cert: string } | null
  /** Addresses and CIDR ranges of special use that may be fetched from. */
  outboundAllowedNetworks: string[]
  mtls: {
    /** PEM. */
    ca: string[]
    /** Whether TLS of this process asks for them. */
    clientCertificates: boolean
    /** Lower case; null: none is believed. */
    certificateHeader: string | null
    verifiedHeader: string | null
    /** Without a trailing slash. */
    baseUrl: string
  }
  dpopNonceRequired: boolean
  deviceCodeLifetimeSeconds: number
  registration: {
    mode: 'off' | 'token' | 'open'
    grantTypes: string[]
    scopes: string[]
    resources: string[]
    /** JWK sets by issuer. */
    softwareStatementIssuers: Record<string, { keys: Record<string, unknown>[] }>
    unusedClientDays: number
  }
  clientIdMetadata: { enabled: boolean; hosts: string[] }
  ciba: boolean
  /** By type; empty: no rich authorization requests. */
  authorizationDetailsTypes: Record<string, { title: string; schema: Record<string, unknown> }>
  jwtEncryption: boolean
  tokenHook: { url: string; secret: string; failOpen: boolean } | null
}
