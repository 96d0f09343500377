// The protocol's settings, checked.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isLoopback } from '../lib/urls.ts'
import { type AddFault, certificatesOf, checkUrl, listOf, parseNetworks, readNamedFile } from './checks.ts'
import type { ProtocolConfig } from './protocol-schema.ts'
import type { Settings } from './schema.ts'

/** Loopback of both families, in the notation of OUTBOUND_ALLOWED_NETWORKS. */
const loopbackNetworks = ['127.0.0.0/8', '::1']

/** An address that nobody's people are sent to. @see RFC 6761 §6.2 */
export const isForTests = (issuer: URL): boolean => isLoopback(issuer) || issuer.hostname.endsWith('.test')

/** Reads the protocol's settings; what is wrong goes to `fault`. `issuer` is null where it was wrong itself. */
export function parseProtocol(settings: Settings, issuer: URL | null, fault: AddFault): ProtocolConfig {
  const conformance = settings.PROFILE === 'conformance'
  if (conformance && issuer !== null && !isForTests(issuer))
    fault('PROFILE', 'may be conformance only where ISSUER is a loopback address or a host under .test')
  const networks = parseNetworks('OUTBOUND_ALLOWED_NETWORKS', settings.OUTBOUND_ALLOWED_NETWORKS, fault)
  if (settings.TLS_CERT_FILE !== '' && issuer?.protocol === 'http:')
    fault('ISSUER', 'must start with https:// where TLS_CERT_FILE is set: nothing else is served then')
  return {
    conformance,
    conformancePassword: settings.CONFORMANCE_PASSWORD || null,
    tls: parseTls(settings, fault),
    outboundAllowedNetworks: conformance ? [...networks, ...loopbackNetworks] : networks,
    mtls: parseMtls(settings, issuer, fault),
    dpopNonceRequired: settings.DPOP_NONCES === 'required',
    deviceCodeLifetimeSeconds: settings.DEVICE_CODE_LIFETIME_SECONDS,
    registration: {
      mode: conformance ? 'open' : settings.DYNAMIC_REGISTRATION,
      grantTypes: listOf(settings.REGISTRATION_GRANT_TYPES),
      scopes: listOf(settings.REGISTRATION_SCOPES),
      resources: listOf(settings.REGISTRATION_RESOURCES),
      softwareStatementIssuers: parseIssuers(settings.SOFTWARE_STATEMENT_ISSUERS_FILE, fault),
      unusedClientDays: settings.UNUSED_CLIENT_DAYS
    },
    clientIdMetadata: {
      enabled: settings.CLIENT_ID_METADATA_DOCUMENTS === 'on',
      hosts: listOf(settings.CLIENT_ID_METADATA_HOSTS)
    },
    ciba: settings.CIBA === 'on',
    authorizationDetailsTypes: parseDetailsTypes(settings.AUTHORIZATION_DETAILS_TYPES_FILE, fault),
    jwtEncryption: settings.JWT_ENCRYPTION === 'on',
    tokenHook: parseHook(settings, issuer, fault)
  }
}

function parseTls({ TLS_KEY_FILE, TLS_CERT_FILE }: Settings, fault: AddFault): ProtocolConfig['tls'] {
  const key = readNamedFile('TLS_KEY_FILE', TLS_KEY_FILE, fault)
  const cert = readNamedFile('TLS_CERT_FILE', TLS_CERT_FILE, fault)
  if ((TLS_KEY_FILE === '') !== (TLS_CERT_FILE === ''))
    fault(TLS_KEY_FILE === '' ? 'TLS_KEY_FILE' : 'TLS_CERT_FILE', 'is needed too: a key and its certificate')
  if (key === null || cert === null) return null
  try {
    const [leaf = ''] = certificatesOf(cert)
    if (new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key))) return { key, cert }
    fault('TLS_CERT_FILE', 'holds a certificate for another key than TLS_KEY_FILE')
  } catch {
    fault('TLS_KEY_FILE', 'and TLS_CERT_FILE must name an unencrypted private key and a certificate in PEM')
  }
  return null
}

function parseMtls(settings: Settings, issuer: URL | null, fault: AddFault): ProtocolConfig['mtls'] {
  const { MTLS_CA_FILE, MTLS_CERTIFICATE_HEADER, MTLS_VERIFIED_HEADER, MTLS_BASE_URL } = settings
  const authorities = readNamedFile('MTLS_CA_FILE', MTLS_CA_FILE, fault)
  const ca = authorities === null ? [] : certificatesOf(authorities)
  if (authorities !== null && ca.length === 0)
    fault('MTLS_CA_FILE', `names a file without certificates: ${MTLS_CA_FILE}`)
  if (MTLS_CERTIFICATE_HEADER !== '' && settings.TRUSTED_PROXIES === '')
    fault('MTLS_CERTIFICATE_HEADER', 'needs TRUSTED_PROXIES: anybody could send the header')
  const base = MTLS_BASE_URL === '' ? issuer : URL.parse(MTLS_BASE_URL)
  if (
    MTLS_BASE_URL !== '' &&
    (base === null || base.protocol !== 'https:' || base.href !== `${base.origin}/`)
  )
    fault('MTLS_BASE_URL', 'must be an origin like https://mtls.example.org')
  const header = (name: string) => (name === '' ? null : name.toLowerCase())
  return {
    ca,
    clientCertificates: ca.length > 0 || settings.MTLS_CLIENT_CERTIFICATES === 'on',
    certificateHeader: header(MTLS_CERTIFICATE_HEADER),
    verifiedHeader: header(MTLS_VERIFIED_HEADER),
    baseUrl: base?.origin ?? ''
  }
}

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A JSON object by name, each of whose entries passes `isEntry`. */
function parseJsonFile<T>(
  setting: string,
  path: string,
  { isEntry, fault }: { isEntry: (entry: unknown) => entry is T; fault: AddFault }
): Record<string, T> {
  const text = readNamedFile(setting, path, fault)
  if (text === null) return {}
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value) && Object.values(value).every(isEntry)) return value as Record<string, T>
  } catch {}
  fault(setting, `names a file that does not hold what it should (see the settings' reference): ${path}`)
  return {}
}

const parseIssuers = (path: string, fault: AddFault) =>
  parseJsonFile('SOFTWARE_STATEMENT_ISSUERS_FILE', path, {
    isEntry: (entry: unknown): entry is { keys: Json[] } =>
      isObject(entry) && Array.isArray(entry.keys) && entry.keys.length > 0 && entry.keys.every(isObject),
    fault
  })

const parseDetailsTypes = (path: string, fault: AddFault) =>
  parseJsonFile('AUTHORIZATION_DETAILS_TYPES_FILE', path, {
    isEntry: (entry: unknown): entry is { title: string; schema: Json } =>
      isObject(entry) && typeof entry.title === 'string' && entry.title !== '' && isObject(entry.schema),
    fault
  })

function parseHook(
  { TOKEN_HOOK_URL: url, TOKEN_HOOK_SECRET: secret, TOKEN_HOOK_FAILURE: failure }: Settings,
  issuer: URL | null,
  fault: AddFault
): ProtocolConfig['tokenHook'] {
  if (url === '') return null
  checkUrl(
    'TOKEN_HOOK_URL',
    url,
    issuer !== null && isLoopback(issuer) ? ['https:', 'http:'] : ['https:'],
    fault
  )
  if (secret.length < 32)
    fault('TOKEN_HOOK_SECRET', 'must be at least 32 characters: put the output of `openssl rand -base64 32`')
  return { url, secret, failOpen: failure === 'open' }
}
