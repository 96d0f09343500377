// Client certificates (RFC 8705): where they come from, and when they are believed.
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { certificatesOf } from '../config/checks.ts'
import type { Context } from '../context.ts'
import { isListed, toBlockList } from '../lib/networks.ts'
import { type SubjectMember, subjectMatches } from './certificates.ts'

/** A certificate whose key the client has proven to hold; `verified`: one of MTLS_CA_FILE, or of the proxy's, vouches for it. */
type Presented = { certificate: X509Certificate; verified: boolean }

type Read = (request: IncomingMessage) => Presented | null

/**
 * The library's feature. It is always on: tokens of clients that registered for bound ones must never come out unbound,
 * whatever the settings are. Where no certificate can reach us, nobody has one.
 */
export function createMtls(ctx: Pick<Context, 'config' | 'now'>) {
  const read = createReader(ctx)
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    selfSignedTlsClientAuth: true,
    tlsClientAuth: true,
    getCertificate: (koa: KoaContextWithOIDC) => read(koa.req)?.certificate,
    certificateAuthorized: (koa: KoaContextWithOIDC) => read(koa.req)?.verified === true,
    certificateSubjectMatches: (koa: KoaContextWithOIDC, member: string, expected: string) => {
      const presented = read(koa.req)
      return presented !== null && subjectMatches(presented.certificate, member as SubjectMember, expected)
    }
  } satisfies NonNullable<Configuration['features']>['mTLS']
}

/**
 * Who speaks for the client: of a trusted proxy's request its headers alone, for the connection's certificate would be
 * the proxy's own; else the connection. Certificates out of their time are nobody's. Where they have a host of their own,
 * headers count there alone: elsewhere the proxy may let through what a client sent.
 */
function createReader({ config, now }: Pick<Context, 'config' | 'now'>): Read {
  const { ca, certificateHeader, verifiedHeader, baseUrl } = config.mtls
  const ownHost = baseUrl === config.issuer ? null : new URL(baseUrl).host
  const proxies = toBlockList(config.trustedProxies)
  const presented = new WeakMap<IncomingMessage, Presented | null>()
  const find: Read = request => {
    const { socket, headers, headersDistinct } = request
    if (certificateHeader !== null && isListed(proxies, socket.remoteAddress ?? '::')) {
      if (ownHost !== null && headers.host !== ownHost) return null
      const certificate = readHeader(headersDistinct[certificateHeader])
      const said = verifiedHeader === null ? [] : (headersDistinct[verifiedHeader] ?? [])
      return certificate && { certificate, verified: said.length === 1 && said[0] === 'SUCCESS' }
    }
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
    if (certificate === undefined) return null
    return { certificate, verified: ca.length > 0 && (socket as TLSSocket).authorized }
  }
  return request => {
    const known = presented.get(request)
    if (known !== undefined) return known
    const found = find(request)
    const current = found !== null && isCurrent(found.certificate, now()) ? found : null
    presented.set(request, current)
    return current
  }
}

function isCurrent({ validFrom, validTo }: X509Certificate, now: Date): boolean {
  return Date.parse(validFrom) <= now.getTime() && now.getTime() <= Date.parse(validTo)
}

/**
 * The one certificate that a proxy handed on, as percent-encoded PEM or as RFC 9440 §2.1 writes it. Two headers are
 * none: a proxy that adds its own to what the client sent leaves open which is whose.
 */
function readHeader(values: string[] | undefined): X509Certificate | null {
  const [value = '', ...more] = values ?? []
  if (value === '' || more.length > 0) return null
  try {
    const binary = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(value)?.[1]
    if (binary !== undefined) return new X509Certificate(Buffer.from(binary, 'base64'))
    const [pem = '', ...others] = certificatesOf(decodeURIComponent(value))
    return others.length === 0 ? new X509Certificate(pem) : null
  } catch {
    return null
  }
}

/** What is said of mutual TLS in the metadata: the methods only where a certificate can reach us, and where to bring it. */
export function describeMtls({ issuer, tls, mtls }: Context['config'], metadata: Metadata): void {
  const methods = 'token_endpoint_auth_methods_supported'
  if ((tls === null || !mtls.clientCertificates) && mtls.certificateHeader === null) {
    metadata[methods] = (metadata[methods] as string[]).filter(method => !method.includes('tls'))
    delete metadata.tls_client_certificate_bound_access_tokens
  } else if (mtls.baseUrl !== issuer)
    metadata.mtls_endpoint_aliases = Object.fromEntries(
      aliasedEndpoints
        .filter(name => typeof metadata[name] === 'string')
        .map(name => [name, mtls.baseUrl + new URL(metadata[name] as string).pathname])
    )
}

export type Metadata = Record<string, unknown>

/** Where clients authenticate, or bring a bound token. @see RFC 8705 §5 */
const aliasedEndpoints = [
  'token_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
  'pushed_authorization_request_endpoint',
  'userinfo_endpoint',
  'device_authorization_endpoint',
  'backchannel_authentication_endpoint'
]
