// Text that strangers and applications choose stays text: on pages, in mail, in redirects.
import t, { type Test } from 'tap'
import { agree, createApplication } from '../helpers/application.ts'
import { openSignIn, openSignUp, signUpAndWait } from '../helpers/forms.ts'
import { password, startService } from '../helpers/service.ts'
import { Visitor } from '../helpers/visitor.ts'

const service = await startService(t)
const application = await createApplication(service)

const payloads = [
  '"><script>alert(1)</script>',
  "'><img src=x onerror=alert(1)>",
  '</title><svg onload=alert(1)>',
  '<%= it.alert %>',
  '{{constructor.constructor("alert(1)")()}}',
  '&lt;script&gt;&#x3c;img src=x onerror=alert(1)&#x3e;',
  '" autofocus onfocus=alert(1) x="',
  '--><script>alert(1)</script><!--',
  '\u2028<script>alert(1)</script>',
  '$'.concat('{alert(1)}`')
]

const ownElements =
  /^<(script src="\/assets\/|svg class="(brand-mark|emblem)|meta (charset|name="(viewport|robots)")|img class="(brand|application)-logo")/i

/** No element, attribute or link on the page is one that a payload made. */
function checkInert(t: Test, html: string, what: string): void {
  const tags = [...html.matchAll(/<[a-z!/][^>]*>/gi)].map(([tag]) => tag)
  const made = tags.filter(
    tag =>
      /\son\w+\s*=|alert|javascript:/i.test(tag.replace(/"[^"]*"/g, '""')) ||
      /(href|src|action)="\s*(javascript|data|vbscript):/i.test(tag) ||
      (/^<(script|svg|img|iframe|object|base|meta)\b/i.test(tag) && !ownElements.test(tag))
  )
  // The test runner reads U+2028 as the end of a line.
  t.strictSame(made, [], what.replaceAll('\u2028', '\\u2028'))
}

t.test('WEB-2: parameters of the authorization request', async t => {
  for (const payload of payloads) {
    for (const name of [
      'login_hint',
      'ui_locales',
      'state',
      'nonce',
      'claims_locales',
      'display',
      'x_unknown'
    ]) {
      const { page } = await openSignIn(service, { application, params: { [name]: payload } })
      checkInert(t, page.text, `${name} ${payload}`)
      if (name === 'login_hint') t.match(page.text, 'sign-in-form')
    }
    for (const name of [
      'client_id',
      'redirect_uri',
      'response_type',
      'scope',
      'response_mode',
      'request',
      'request_uri',
      'id_token_hint',
      'prompt',
      'max_age',
      'acr_values',
      'resource',
      'code_challenge_method'
    ]) {
      const { url } = await application.begin({ [name]: payload })
      const answer = await new Visitor().request(url)
      checkInert(t, answer.text, `${name} ${payload}`)
      t.ok(answer.status < 500, name)
    }
    const bare = await new Visitor().request(
      `${service.issuer}/auth?client_id=${encodeURIComponent(payload)}&redirect_uri=x`
    )
    checkInert(t, bare.text, 'client_id')
    t.match(bare.headers.get('content-type'), 'text/html')
  }
})

t.test('WEB-2: what a person types, and what their browser says of itself', async t => {
  for (const [index, payload] of payloads.entries()) {
    const { visitor, page } = await openSignUp(service, { application })
    const typed = { email: payload, name: payload, password: 'x' }
    checkInert(t, (await visitor.submit(page, 'sign-up-form', typed)).text, payload)
    const signIn = await visitor.visit(page.url.replace('sign-up', 'sign-in'))
    checkInert(t, (await visitor.submit(signIn, 'sign-in-form', { email: payload, password })).text, payload)
    const headers = {
      'user-agent': payload.replace('\u2028', ''),
      referer: payload.replace('\u2028', ''),
      'accept-language': '<script>'
    }
    checkInert(
      t,
      (await visitor.request(`${service.issuer}/nowhere/${encodeURIComponent(payload)}`, { headers })).text,
      'user agent'
    )
    const link = await visitor.request(
      `${service.issuer}/verify-email/x?interaction=${encodeURIComponent(payload)}&${encodeURIComponent(payload)}`
    )
    checkInert(t, link.text, 'link')
    const locals = ["o'hara", 'a{b}', 'a&b', 'a`b`', '$'.concat('{x}'), '{{x}}', '%3Cscript%3E']
    const local = locals[index % locals.length]
    const waiting = await signUpAndWait(
      service,
      { email: `${local}${index}@example.org`, name: 'N' },
      { application }
    )
    checkInert(t, waiting.page.text, String(local))
  }
})

t.test('WEB-2: a display name is text in mail, on the consent page and in tokens', async t => {
  const names = [
    'A & B "quoted" \'single\'',
    '&lt;script&gt;alert(1)&lt;/script&gt;',
    '<%= it.alert %>',
    '{{7*7}} $'.concat('{7*7}'),
    '" onload="alert(1)',
    'javascript:alert(1)'
  ]
  for (const [index, name] of names.entries()) {
    const email = `named${index}@example.org`
    const opened = await openSignUp(service, { application })
    const answer = await opened.visitor.submit(opened.page, 'sign-up-form', { email, name, password })
    checkInert(t, answer.text, name)
    if (answer.status === 422) {
      t.match(name, /[<>]/, 'markup is refused as a name')
      continue
    }
    const [mail] = await service.mailTo(email)
    checkInert(t, mail?.html.replace(/<(style|meta)[^>]*>/g, '') ?? '', `mail to ${name}`)
    t.notMatch(mail?.subject, name)
    t.notOk(mail?.text.includes(name), 'a mail that a stranger can have sent holds nothing that they wrote')
    const consent = await opened.visitor.submit(answer, 'verify-form', {
      code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
    })
    checkInert(t, consent.text, `consent of ${name}`)
    t.match(consent.text, /account-name">[^<]{4,}</)
    const end = await agree(opened.visitor, consent)
    const tokens = await opened.finish(end.location)
    const signOut = await opened.visitor.visit(
      `${service.issuer}/session/end?id_token_hint=${tokens.id_token}`
    )
    t.match(signOut.text, 'sign-out-form')
    checkInert(t, signOut.text, `sign-out of ${name}`)
    const box = await opened.visitor.visit(`${service.issuer}/dev/mailbox`)
    checkInert(t, box.text, 'mailbox')
  }
})

t.test('WEB-2: an application’s name, pictures and links are text and web addresses', async t => {
  for (const [index, payload] of payloads.filter(payload => !/\u2028/.test(payload)).entries()) {
    const registered = await service.register({
      client_name: payload,
      redirect_uris: [`https://app${index}.example/callback`],
      client_uri: 'https://app.example/',
      logo_uri: `https://app.example/logo.png?"><script>alert(1)</script>`,
      policy_uri: "https://app.example/policy?'onclick=alert(1)",
      tos_uri: 'https://app.example/terms#"><img/src=x/onerror=alert(1)>'
    })
    const app = await createApplication(service, registered)
    const waiting = await signUpAndWait(
      service,
      { email: `client${index}@example.org` },
      { application: app, params: { scope: 'openid' } }
    )
    checkInert(t, waiting.page.text, payload)
    const [mail] = await service.mailTo(`client${index}@example.org`)
    const consent = await waiting.visitor.submit(waiting.page, 'verify-form', {
      code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
    })
    t.match(consent.text, 'consent-form')
    checkInert(t, consent.text, `consent for ${payload}`)
    t.match(
      consent.headers.get('content-security-policy'),
      /img-src 'self' data: https:\/\/app\.example(;|$)/
    )
  }
  for (const uri of [
    'javascript:alert(1)',
    'data:text/html,x',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'vbscript:x',
    'file:///etc/passwd',
    'http://app.example/'
  ])
    for (const member of ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri'])
      await t.rejects(
        service.register({ client_name: 'X', redirect_uris: ['https://x.example/callback'], [member]: uri }),
        `${member} ${uri}`
      )
})

t.test('WEB-2: links that are in the database although no check would let them in are not shown', async t => {
  const registered = await service.register(
    {
      client_name: 'Old',
      redirect_uris: ['https://old.example/callback'],
      policy_uri: 'https://old.example/'
    },
    'old'
  )
  await service.pool`
    update clients set other_metadata = other_metadata || ${service.pool.json({ policy_uri: 'https://old.example/"onx=alert(1)' })} where client_id = 'old'`
  const app = await createApplication(service, registered)
  const waiting = await signUpAndWait(
    service,
    { email: 'old@example.org' },
    { application: app, params: { scope: 'openid' } }
  )
  const [mail] = await service.mailTo('old@example.org')
  const consent = await waiting.visitor.submit(waiting.page, 'verify-form', {
    code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
  })
  checkInert(t, consent.text, 'consent')
})
