// An issuer of workloads' tokens on loopback, as GitHub Actions or a Kubernetes cluster has one. It can also misbehave.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export type Behaviour =
  | 'answers'
  | 'fails'
  | 'garbage'
  | 'huge'
  | 'redirects'
  | 'hangs'
  | 'another issuer'
  | 'no keys'

export type Issuer = {
  url: string
  /** Paths that were asked for. Cut with `length = 0`. */
  asked: string[]
  behave: (behaviour: Behaviour) => void
  /** The public keys. */
  keys: () => JWK[]
  /** Makes a new key for signing; the old ones are published no more. */
  rotate: (alg?: string) => Promise<void>
  /** A token of a workload, signed by the newest key; `over` replaces claims or, by undefined, leaves them out. */
  sign: (over?: Record<string, unknown>, header?: Record<string, unknown>) => Promise<string>
}

export const subject = 'repo:acme/app:ref:refs/heads/main'

/** Its tokens are for `audience`, about a branch of a repository, and last five minutes. */
export async function startIssuer(
  t: { teardown: (work: () => unknown) => void },
  audience: string
): Promise<Issuer> {
  let behaviour: Behaviour = 'answers'
  let signing: { alg: string; kid: string; privateKey: CryptoKey }
  let keys: JWK[] = []
  const asked: string[] = []
  const server = createServer((request, answer) => {
    asked.push(request.url ?? '')
    const isDiscovery = request.url === '/.well-known/openid-configuration'
    const document = {
      issuer: behaviour === 'another issuer' ? 'https://issuer.example' : url,
      jwks_uri: `${url}/keys`
    }
    const whole = JSON.stringify(isDiscovery ? document : behaviour === 'no keys' ? {} : { keys })
    if (behaviour === 'fails') answer.writeHead(500).end(whole)
    else if (behaviour === 'garbage') answer.end('<html>It works!</html>')
    else if (behaviour === 'huge') answer.end(`${whole}${' '.repeat(2 ** 21)}`)
    else if (behaviour === 'redirects') answer.writeHead(302, { location: `${url}/elsewhere` }).end()
    else if (behaviour !== 'hangs') answer.end(whole)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const rotate = async (alg = 'ES256') => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const kid = crypto.randomUUID()
    signing = { alg, kid, privateKey }
    keys = [{ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }]
  }
  await rotate()
  return {
    url,
    asked,
    rotate,
    keys: () => keys,
    behave: next => {
      behaviour = next
    },
    sign: async (over = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const claims = { iss: url, sub: subject, aud: audience, iat: now, nbf: now, exp: now + 300 }
      const { alg, kid, privateKey } = signing
      return await new SignJWT({ ...claims, jti: crypto.randomUUID(), ...over })
        .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
        .sign(privateKey)
    }
  }
}
