// No other site's page can press our buttons (SES-11): every form that changes something, in every way a page can send one.
import t from 'tap'
import { authorizationUrl, clientOf, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'
import { type Answer, findForm } from '../helpers/visitor.ts'

const evil = 'https://evil.example'
const urlencoded = 'application/x-www-form-urlencoded'

t.test('SES-11: forms of other sites change nothing', async t => {
  const service = await startService(t)
  const portal = await registerPortal(service)
  const visitor = await signedInVisitor(service, portal, { email: 'ada@example.org' })

  /** The same fields, sent as another site's page could send them with this browser's cookies. */
  const refused = async (who: Visitor, page: Answer, id: string, fields: Record<string, string>) => {
    const { action, fields: hidden } = findForm(page, id)
    const { _csrf: token = '', ...rest } = { ...hidden, ...fields }
    t.not(token, '', `${id} carries a token`)
    const other = new URLSearchParams({
      ...rest,
      _csrf: `${token.startsWith('A') ? 'B' : 'A'}${token.slice(1)}`
    })
    const bare = new URLSearchParams(rest)
    const whole = new URLSearchParams({ ...rest, _csrf: token })
    const ways: [string, { body: string; headers: Record<string, string> }][] = [
      ['without a token', { body: `${bare}`, headers: {} }],
      ['without a token or an origin', { body: `${bare}`, headers: { origin: '' } }],
      ['with a token one character off', { body: `${other}`, headers: {} }],
      ['with the token, from another origin', { body: `${whole}`, headers: { origin: evil } }],
      ['with the token, from no origin', { body: `${whole}`, headers: { origin: 'null' } }],
      [
        'with the token, from another site',
        { body: `${whole}`, headers: { 'sec-fetch-site': 'cross-site' } }
      ],
      ['with the token, from a neighbour', { body: `${whole}`, headers: { 'sec-fetch-site': 'same-site' } }],
      [
        'as a file upload',
        { body: '--x\r\n\r\n--x--', headers: { 'content-type': 'multipart/form-data; boundary=x' } }
      ],
      ['as plain text', { body: `${whole}`, headers: { 'content-type': 'text/plain' } }],
      [
        'as JSON',
        {
          body: JSON.stringify({ ...rest, _csrf: token }),
          headers: { 'content-type': 'application/json', origin: evil }
        }
      ],
      ['with the token in the URL', { body: `${bare}`, headers: { 'x-token': token } }]
    ]
    for (const [way, { body, headers }] of ways) {
      const url = way.endsWith('URL') ? `${action}?_csrf=${token}` : action
      const answer = await who.request(url, {
        method: 'POST',
        body,
        headers: { 'content-type': urlencoded, ...headers }
      })
      t.ok([403, 415, 400].includes(answer.status), `${id} ${way}: ${answer.status}`)
      t.equal(answer.location, null, `${id} ${way}`)
    }
    const asGet = await who.request(`${action}?${whole}`)
    t.notMatch(asGet.location ?? '', /[?&]code=/, `${id} as GET`)
  }
  const counts = async () =>
    await service.pool`select (select count(*) from accounts) as accounts, (select count(*) from consents) as consents,
      (select count(*) from grants) as grants, (select count(*) from sessions) as sessions,
      (select count(*) from account_email_tokens) as tokens, (select count(*) from mail_outbox) as mails,
      (select count(*) from accounts where email_verified_at is not null) as verified`

  const newcomer = new Visitor()
  const signInPage = await newcomer.visit(authorizationUrl(service, portal))
  let before = await counts()
  await refused(newcomer, signInPage, 'sign-in-form', { email: 'ada@example.org', password })
  const signUpPage = await newcomer.visit(signInPage.url.replace(/sign-in$/, 'sign-up'))
  await refused(newcomer, signUpPage, 'sign-up-form', { email: 'eve@example.org', name: 'Eve', password })
  t.strictSame(await counts(), before, 'nobody signed in or up')

  const verifyPage = await newcomer.submit(signUpPage, 'sign-up-form', {
    email: 'eve@example.org',
    name: 'Eve',
    password
  })
  const [mail] = await service.mailTo('eve@example.org')
  before = await counts()
  await refused(newcomer, verifyPage, 'verify-form', { code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? '' })
  await refused(newcomer, verifyPage, 'resend-form', {})
  const link = /https?:\/\/\S*verify-email\/\S+/.exec(mail?.text ?? '')?.[0] ?? ''
  const linkPage = await new Visitor().visit(link)
  t.equal(linkPage.status, 200)
  t.strictSame(await counts(), before, 'nothing confirmed or mailed, nor by opening the link')

  const consentPage = await visitor.visit(authorizationUrl(service, clientOf(service, 'demo-web')))
  before = await counts()
  await refused(visitor, consentPage, 'consent-form', { decision: 'allow' })
  t.strictSame(await counts(), before, 'nothing agreed to')
  t.equal((await visitor.visit(consentPage.url)).status, 200, 'and the person can still decide')
})
