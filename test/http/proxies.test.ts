// INP-2: who a request comes from is told by the connection, or by a proxy that the operator named, by nobody else.
import t, { type Test } from 'tap'
import { openSignIn } from '../helpers/forms.ts'
import { forgetGuesses } from '../helpers/guessing.ts'
import { password, type Service, startService } from '../helpers/service.ts'

/** The address that the audit trail has for a failed sign-in with these headers. */
async function addressOf(t: Test, service: Service, headers: Record<string, string>): Promise<string> {
  await forgetGuesses(service.pool)
  const { visitor, page } = await openSignIn(service)
  const body = new URLSearchParams({
    _csrf: /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '',
    email: 'nobody@example.org',
    password
  })
  t.equal((await visitor.request(page.url, { method: 'POST', body, headers })).status, 422)
  const [row] = await service.pool<{ ip: string }[]>`
    select host(ip) as ip from audit_events where type = 'sign_in.failed' order by occurred_at desc limit 1`
  return row?.ip ?? ''
}

const loopback = /^(127\.0\.0\.1|::1|::ffff:127\.0\.0\.1)$/
const forged = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' }

t.test('INP-2: without TRUSTED_PROXIES no header changes the address', async t => {
  const service = await startService(t)
  t.match(await addressOf(t, service, forged), loopback)
})

t.test('INP-2: a peer that is not among TRUSTED_PROXIES is not believed', async t => {
  const service = await startService(t, { environment: { TRUSTED_PROXIES: '10.0.0.0/8,2001:db8::/32' } })
  t.match(await addressOf(t, service, forged), loopback)
})

t.test(
  'INP-2: a trusted proxy is believed for what it saw itself, not for what its client claimed',
  async t => {
    const service = await startService(t, { environment: { TRUSTED_PROXIES: '127.0.0.1,::1,10.0.0.0/8' } })
    t.equal(await addressOf(t, service, { 'x-forwarded-for': '203.0.113.9' }), '203.0.113.9')
    t.equal(
      await addressOf(t, service, { 'x-forwarded-for': '198.51.100.1, 203.0.113.9, 10.1.2.3' }),
      '203.0.113.9'
    )
    t.match(
      await addressOf(t, service, { 'x-real-ip': '203.0.113.9', forwarded: 'for=203.0.113.9' }),
      loopback
    )
    for (const garbage of ['x', '<script>', '203.0.113.9:80', '999.1.1.1', ',', '%00']) {
      const seen = await addressOf(t, service, { 'x-forwarded-for': garbage })
      t.match(seen, /^[0-9a-f.:]*$/, garbage)
    }
    const discovery = await (
      await fetch(`${service.issuer}/.well-known/openid-configuration`, {
        headers: { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
      })
    ).json()
    t.match(discovery, { issuer: service.issuer, token_endpoint: `${service.issuer}/token` })
  }
)
