// An application's back-channel logout endpoint on loopback. It can also misbehave.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { waitFor } from './wait.ts'

export type LogoutReceiver = {
  url: string
  /** The logout tokens that came, oldest first. */
  tokens: string[]
  /** How many requests are being answered at this moment, and how many were at once at most. */
  open: () => number
  mostAtOnce: () => number
  /** Answers with this status from now on; null: never. */
  answerWith: (status: number | null) => void
  /** What the newest `count` tokens say, verified as an application does it. */
  notices: (application: { issuer: string; clientId: string }, count: number) => Promise<JWTPayload[]>
}

export async function startLogoutReceiver(t: {
  teardown: (work: () => unknown) => void
}): Promise<LogoutReceiver> {
  let status: number | null = 200
  let open = 0
  let mostAtOnce = 0
  const tokens: string[] = []
  const server = createServer(async (request, answer) => {
    open++
    mostAtOnce = Math.max(mostAtOnce, open)
    answer.once('close', () => void open--)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const form = new URLSearchParams(Buffer.concat(chunks).toString())
    if (request.method === 'POST') tokens.push(form.get('logout_token') ?? '')
    if (status !== null) answer.writeHead(status, { location: '/elsewhere' }).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/backchannel-logout`,
    tokens,
    open: () => open,
    mostAtOnce: () => mostAtOnce,
    answerWith: next => {
      status = next
    },
    notices: async ({ issuer, clientId }, count) => {
      await waitFor(() => tokens.length >= count)
      const keys = createRemoteJWKSet(new URL('/jwks', issuer))
      const newest = tokens.slice(-count)
      return await Promise.all(
        newest.map(async token => await verifyLogoutToken(token, keys, { issuer, clientId }))
      )
    }
  }
}

/** OpenID Connect Back-Channel Logout 1.0 §2.6. */
async function verifyLogoutToken(
  token: string,
  keys: ReturnType<typeof createRemoteJWKSet>,
  { issuer, clientId }: { issuer: string; clientId: string }
): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, keys, { issuer, audience: clientId, typ: 'logout+jwt' })
  const { events, jti, iat, exp = 0, nonce, sub, sid } = payload as JWTPayload & { events?: object }
  const event = (events as Record<string, unknown>)?.['http://schemas.openid.net/event/backchannel-logout']
  if (JSON.stringify(event) !== '{}') throw new Error(`events: ${JSON.stringify(events)}`)
  if (jti === undefined || iat === undefined || exp - iat !== 120) throw new Error(JSON.stringify(payload))
  if (nonce !== undefined || (sub === undefined && sid === undefined))
    throw new Error(JSON.stringify(payload))
  return payload
}
