// TLS between test and service, with certificates of both sides.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type Certificate, issueCertificate } from './certificates.ts'

type Test = { teardown: (work: () => unknown) => void }

/** Writes texts to files of their own; their paths by the same names. */
export function writeFiles<Name extends string>(t: Test, texts: Record<Name, string>): Record<Name, string> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-files-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return Object.fromEntries(
    Object.entries<string>(texts).map(([name, text]) => {
      const path = join(directory, name)
      writeFileSync(path, text)
      return [name, path]
    })
  ) as Record<Name, string>
}

export const pemOfKey = ({ privateKey }: Certificate): string =>
  privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

/** A server's certificate for loopback. This process trusts its authority until the test ends. */
export function trustedCertificate(t: Test): Certificate {
  // OpenSSL finds an issuer by its name: two of one name would be taken for each other.
  const authority = issueCertificate(`Test authority ${randomUUID()}`, { ca: true })
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, authority.pem])
  t.teardown(() => setDefaultCACertificates(trusted))
  return issueCertificate('localhost', { issuer: authority, names: ['DNS:localhost', 'IP:127.0.0.1'] })
}

/** The settings of a service that serves TLS by itself, with a `trustedCertificate`. */
export function serveTls(t: Test): Record<'TLS_KEY_FILE' | 'TLS_CERT_FILE', string> {
  const server = trustedCertificate(t)
  return writeFiles(t, { TLS_KEY_FILE: pemOfKey(server), TLS_CERT_FILE: server.pem })
}

export type Sent = {
  method?: string
  headers?: Record<string, string | string[]>
  body?: string
  certificate?: Certificate
}

/** One request on a connection of its own, with this client certificate; headers may be sent twice. */
export async function send(url: string, { method, headers, body, certificate }: Sent): Promise<Response> {
  const identity = certificate === undefined ? {} : { cert: certificate.pem, key: pemOfKey(certificate) }
  const target = new URL(url)
  const request = target.protocol === 'https:' ? requestHttps : requestHttp
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(target, {
      method: method ?? 'GET',
      headers: headers ?? {},
      agent: false,
      ...identity
    })
    outgoing.on('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(body)
  })
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  const answered = new Headers()
  for (const [name, values = []] of Object.entries(answer.headersDistinct))
    for (const value of values) answered.append(name, value)
  return new Response(Buffer.concat(chunks), { status: answer.statusCode ?? 0, headers: answered })
}

/** `fetch` as openid-client takes it, with this client certificate. */
export const fetchWith =
  (certificate?: Certificate) =>
  async (url: string, options: { method: string; headers: Record<string, string>; body?: unknown }) =>
    await send(url, {
      method: options.method,
      headers: options.headers,
      ...(options.body == null ? {} : { body: String(options.body) }),
      ...(certificate === undefined ? {} : { certificate })
    })
