// TLS as this process serves it, for installations without a proxy that does.
import type { ServerOptions } from 'node:https'
import type { Config } from '../config/schema.ts'

/** What RFC 9325 §4.2 recommends, in both versions of TLS that it leaves: forward secrecy and authenticated encryption alone. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384'
].join(':')

/**
 * Options of the server; null where a proxy serves TLS. Where client certificates are taken, whoever connects is asked for
 * one and let in with any or none: what it is worth is looked at where one is needed (RFC 8705 §2). Else nobody is asked,
 * for browsers put the question to their people.
 */
export function tlsOptions({ tls, mtls }: Pick<Config, 'tls' | 'mtls'>): ServerOptions | null {
  if (tls === null) return null
  return {
    ...tls,
    minVersion: 'TLSv1.2',
    ciphers,
    requestCert: mtls.clientCertificates,
    rejectUnauthorized: false,
    // An empty list, not none at all: then every public authority would vouch for clients.
    ca: mtls.ca
  }
}
