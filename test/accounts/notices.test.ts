import t from 'tap'
import { browserOf } from '../../src/accounts/browser-model.ts'
import { type Notice, sendNotice } from '../../src/accounts/notice-service.ts'
import { readSecurityToken, redeemSecurityToken } from '../../src/accounts/security-token-service.ts'
import { inTransaction } from '../../src/context.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import type { NoticeData } from '../../src/mail/model.ts'
import { createContext, type TestContext } from '../helpers/context.ts'
import { listQueuedMails, verifiedAccount } from '../helpers/people.ts'

const firefox = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0'
const issuer = 'https://id.example.org'
const environment = {
  ISSUER: issuer,
  SMTP_URL: 'smtp://127.0.0.1:1',
  DATABASE_URL: 'postgres://not-used.example/db'
}
const request = { id: 'r1', ip: '192.0.2.7', userAgent: firefox }
const passwordChanged: Notice = { kind: 'password_changed', data: {} }

async function notices(ctx: TestContext): Promise<NoticeData[]> {
  const mails = await listQueuedMails(ctx)
  return mails.flatMap(mail => ('notMeLink' in mail.data ? [mail.data] : []))
}
const tokenOf = ({ notMeLink }: NoticeData) => notMeLink.split('/').at(-1) ?? ''

t.test('a notice tells the moment, the browser and the network address, in words', async t => {
  const ctx = await createContext(t, { environment, request })
  const ada = await verifiedAccount(ctx)
  await sendNotice(ctx, ada, passwordChanged)
  const [notice] = await notices(ctx)
  t.match(notice, {
    browser: 'Firefox on Windows',
    ip: '192.0.2.7',
    at: /^\d{1,2} \w+ 20\d\d at \d\d:\d\d UTC$/
  })
  t.equal(
    new Date((notice?.at ?? '').replace(' at', '')).toISOString().slice(0, 16),
    ctx.now().toISOString().slice(0, 16)
  )
})

t.test('a notice of what no request made happen names neither browser nor address', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  await sendNotice(ctx, ada, passwordChanged)
  t.match(await notices(ctx), [{ browser: null, ip: null }])
})

t.test(
  'RST-2: the link of a notice begins with the configured address, whatever the request says',
  async t => {
    const ctx = await createContext(t, { environment, request })
    const ada = await verifiedAccount(ctx)
    await sendNotice(
      { ...ctx, request: { ...request, userAgent: 'x\r\nHost: evil.example' } },
      ada,
      passwordChanged
    )
    const [notice] = await notices(ctx)
    t.match(notice?.notMeLink, /^https:\/\/id\.example\.org\/not-me\/[\w-]{43}$/)
    t.notMatch(JSON.stringify(notice), 'evil')
  }
)

t.test('each notice has a link of its own, which the database knows by its hash alone', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  for (const notice of [passwordChanged, { kind: 'many_failures', data: { failures: 20 } } as const]) {
    ctx.clock.advance(1000)
    await sendNotice(ctx, ada, notice)
  }
  const tokens = (await notices(ctx)).map(tokenOf)
  t.equal(new Set(tokens).size, 2)
  const rows = await ctx.sql`select * from security_tokens where kind = 'not_me' order by created_at`
  t.strictSame(
    rows.map(({ tokenHash }) => tokenHash),
    tokens.map(hashToken)
  )
  for (const token of tokens) t.notMatch(JSON.stringify(rows), token)
  for (const token of tokens)
    t.match(await readSecurityToken(ctx, 'not_me', token), { ok: true, accountId: ada.id })
})

t.test('the link of a notice is good once, for seven days, and with no character changed', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  await sendNotice(ctx, ada, passwordChanged)
  await sendNotice(ctx, ada, passwordChanged)
  const [first, second] = (await notices(ctx)).map(tokenOf) as [string, string]
  const wrong = `${first.slice(0, -1)}${first.endsWith('A') ? 'E' : 'A'}`
  t.strictSame(await redeemSecurityToken(ctx, 'not_me', wrong), { ok: false, reason: 'invalid' })
  t.strictSame(await redeemSecurityToken(ctx, 'undo_address', first), { ok: false, reason: 'invalid' })
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, () => redeemSecurityToken(ctx, 'not_me', first))
  )
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  ctx.clock.advance(7 * 86_400_000 - 1)
  t.match(await readSecurityToken(ctx, 'not_me', second), { ok: true })
  ctx.clock.advance(1)
  t.strictSame(await readSecurityToken(ctx, 'not_me', second), { ok: false, reason: 'expired' })
})

t.test('nobody is told of what did not happen', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  await t.rejects(
    inTransaction(ctx, async tx => {
      await sendNotice(tx, ada, passwordChanged)
      throw new Error('no')
    })
  )
  t.strictSame(await notices(ctx), [])
  t.equal((await ctx.sql`select from security_tokens`).count, 0)
})

const browsers: [string, string][] = [
  [firefox, 'Firefox on Windows'],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    'Chrome on Windows'
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0',
    'Edge on Windows'
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763',
    'Edge on Windows'
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0',
    'Opera on Windows'
  ],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15',
    'Safari on macOS'
  ],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0',
    'Firefox on macOS'
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1',
    'Safari on iPhone'
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1',
    'Chrome on iPhone'
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/605.1.15',
    'Firefox on iPhone'
  ],
  [
    'Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 EdgiOS/142.0.0.0 Mobile/15E148 Safari/605.1.15',
    'Edge on iPad'
  ],
  [
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36',
    'Chrome on Android'
  ],
  [
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0',
    'Edge on Android'
  ],
  [
    'Mozilla/5.0 (Linux; Android 15; SAMSUNG SM-S928B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36',
    'Samsung Internet on Android'
  ],
  ['Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0', 'Firefox on Android'],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox on Linux'],
  [
    'Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    'Chrome on ChromeOS'
  ],
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36',
    'Chrome on Linux'
  ],
  ['curl/8.15.0', 'An unknown browser'],
  ['Mozilla/5.0 (Windows NT 10.0)', 'A browser on Windows'],
  ['', 'An unknown browser']
]

t.test('browsers are called what people call them', async t => {
  for (const [userAgent, words] of browsers) t.equal(browserOf(userAgent), words, userAgent)
})

t.test('of what a User-Agent says, nothing comes out but names of browsers and systems', async t => {
  const hostile = [
    '<img src=x onerror=alert(1)>',
    'https://evil.example/claim',
    'Firefox/<b>1</b> on Windows <script>',
    'Chrome/1 (evil.example; Linux)',
    '\r\nBcc: x@evil.example',
    '\u202eSafari/1',
    `${'('.repeat(100_000)}Firefox/1`,
    `${'x'.repeat(399)} Firefox/1`
  ]
  for (const userAgent of hostile)
    t.match(
      browserOf(userAgent),
      /^(An unknown browser|Firefox on Windows|Chrome on Linux|Safari)$/,
      JSON.stringify(userAgent.slice(0, 40))
    )
})
