// The only way out: everything that Gatehouse fetches because somebody else named the address goes through here, so that nobody
// can make it speak to machines that only it can reach.
import { lookup } from 'node:dns'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { type BlockList, isIP, type LookupFunction } from 'node:net'
import type { Config } from '../config/schema.ts'
import { isListed, toBlockList } from '../lib/networks.ts'

const timeoutMs = 5000
const maxAnswerBytes = 1024 * 1024

/** Special-use addresses: the IANA registries of RFC 6890, multicast, and translations that lead to IPv4. */
const special = toBlockList([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/63',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '2620:4f:8000::/48',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8'
])

/** Of an installation: which of the special-use networks are its own. */
const allowedLists = new WeakMap<string[], BlockList>()

type Standing = 'public' | 'own' | 'refused'

function standingOf(address: string, allowedNetworks: string[]): Standing {
  const allowed = allowedLists.get(allowedNetworks) ?? toBlockList(allowedNetworks)
  allowedLists.set(allowedNetworks, allowed)
  if (isListed(allowed, address)) return 'own'
  return isListed(special, address) ? 'refused' : 'public'
}

/**
 * Whether a URL can be seen to lead to a special-use address, without asking where its name leads: for addresses that
 * strangers register, long before they are used.
 */
export function leadsAstray(
  { hostname }: URL,
  { outboundAllowedNetworks }: Pick<Config, 'outboundAllowedNetworks'>
): boolean {
  const literal = hostname.replace(/^\[|\]$/g, '')
  const isLocal = /(^|\.)localhost\.?$/.test(hostname)
  if (!isLocal && isIP(literal) === 0) return false
  return standingOf(isLocal ? '127.0.0.1' : literal, outboundAllowedNetworks) === 'refused'
}

/** Thrown where an address may not be fetched from, or its answer breaks our limits. The message is fit for a log. */
export class OutboundRefused extends Error {}

export type OutboundOptions = {
  method?: string
  headers?: Record<string, string> | Headers
  body?: string | URLSearchParams
  signal?: AbortSignal
  /** For the whole exchange, in milliseconds; 5 s at most. */
  timeoutMs?: number
  /** Of the answer; 1 MB at most. */
  maxBytes?: number
}

/**
 * Fetches what `url` names; any status is an answer, redirects are not followed.
 *
 * Every address that the name resolves to must be a public one or in `outboundAllowedNetworks`, and the one that is then
 * connected to is looked at again. Plain http goes to the installation's own networks only. Throws OutboundRefused, or
 * the socket's error, or an AbortError after 5 s; answers beyond 1 MB are refused.
 *
 * @see RFC 7591 §5, RFC 6890, OAuth Client ID Metadata Document §6
 */
export async function fetchOutbound(
  { outboundAllowedNetworks: allowed }: Pick<Config, 'outboundAllowedNetworks'>,
  url: string | URL,
  options: OutboundOptions = {}
): Promise<Response> {
  const target = typeof url === 'string' ? URL.parse(url) : url
  if (target === null || !['https:', 'http:'].includes(target.protocol) || target.username !== '')
    throw new OutboundRefused('not an http address')
  const literal = target.hostname.replace(/^\[|\]$/g, '')
  if (isIP(literal) !== 0) admit(literal, { target, allowed })

  const timeout = AbortSignal.timeout(Math.min(options.timeoutMs ?? timeoutMs, timeoutMs))
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
  const answer = await send(target, { ...options, signal, allowed })
  const body = await readAll(answer, Math.min(options.maxBytes ?? maxAnswerBytes, maxAnswerBytes))
  const status = answer.statusCode ?? 0
  if (status < 200) throw new OutboundRefused(`status ${status}`)
  return new Response([204, 205, 304].includes(status) ? null : body, { status, headers: headersOf(answer) })
}

/** Throws unless an address may be spoken to. */
function admit(address: string, { target, allowed }: { target: URL; allowed: string[] }): void {
  const standing = standingOf(address, allowed)
  if (standing === 'refused') throw new OutboundRefused('the name leads to a special-use address')
  if (standing === 'public' && target.protocol === 'http:')
    throw new OutboundRefused('http is for own networks alone: use https')
}

type Sending = OutboundOptions & { signal: AbortSignal; allowed: string[] }

async function send(
  target: URL,
  { method, headers, body, signal, allowed }: Sending
): Promise<IncomingMessage> {
  const content = body === undefined ? undefined : Buffer.from(body.toString())
  const sent = new Headers(headers)
  sent.set('user-agent', 'Gatehouse')
  if (body instanceof URLSearchParams) sent.set('content-type', 'application/x-www-form-urlencoded')
  if (content !== undefined) sent.set('content-length', String(content.byteLength))
  return await new Promise((resolve, reject) => {
    const outgoing = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, {
      method: method ?? 'GET',
      headers: Object.fromEntries(sent),
      signal,
      // A pooled connection would have been looked at for somebody else's settings.
      agent: false,
      lookup: guardedLookup(target, allowed)
    })
    // What was resolved a moment ago need not be what was connected to.
    outgoing.on('socket', socket =>
      socket.once('connect', () => {
        try {
          admit(socket.remoteAddress ?? '', { target, allowed })
        } catch (error) {
          socket.destroy(error as Error)
        }
      })
    )
    outgoing.on('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(content)
  })
}

const guardedLookup =
  (target: URL, allowed: string[]): LookupFunction =>
  (hostname, options, callback) =>
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '', 0)
      try {
        // One forbidden address among several is how a name gets past a guard that looks at the first.
        for (const { address } of addresses) admit(address, { target, allowed })
      } catch (refused) {
        return callback(refused as Error, '', 0)
      }
      const [first] = addresses
      if (options.all === true) callback(null, addresses)
      else callback(null, first?.address ?? '', first?.family)
    })

async function readAll(answer: IncomingMessage, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    // Leaving the loop closes the connection.
    if (bytes > maxBytes) throw new OutboundRefused(`the answer is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(headersDistinct))
    for (const value of values) headers.append(name, value)
  return headers
}
