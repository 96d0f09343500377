import { decodeJwt } from 'jose'
import t from 'tap'
import { findAccountByEmailKey } from '../../src/accounts/repository.ts'
import { agree, createApplication, newcomer, Visitor } from '../helpers/application.ts'
import { startService } from '../helpers/service.ts'
import { addAuthenticator } from '../helpers/totp.ts'
import { pageText } from '../helpers/visitor.ts'

const service = await startService(t, {
  environment: { MAIL_SIGN_IN: 'on', MAILS_PER_RECIPIENT_PER_HOUR: '50' }
})
const application = await createApplication(service)
let people = 0

async function person(): Promise<string> {
  const email = `person${people++}@example.org`
  await newcomer(service, application, { email })
  return email
}

/** Asks for a mail in a browser of its own; answers with the page that waits for it. */
async function ask(email: string) {
  const visitor = new Visitor()
  const { url, finish } = await application.begin()
  const signIn = await visitor.visit(url)
  const request = await visitor.visit(signIn.url.replace(/sign-in$/, 'mail-code'))
  const waiting = await visitor.submit(request, 'mail-code-request-form', { email })
  return { visitor, waiting, finish }
}

async function lastMail(email: string) {
  const mails = await service.mailTo(email, 1)
  const mail = mails.find(({ links }) => links.some(link => link.includes('/sign-in/')))
  return {
    code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? '',
    link: mail?.links.find(link => link.includes('/sign-in/')) ?? ''
  }
}

async function mailed(email: string) {
  for (;;) {
    const mail = await lastMail(email)
    if (mail.link !== '') return mail
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

t.test('MFA-5: the code of a mail signs in, and is told as the one factor that it is', async t => {
  const email = await person()
  const { visitor, waiting, finish } = await ask(email)
  const { code } = await mailed(email)
  const wrong = await visitor.post(waiting, 'mail-code-form', { code: code === '000000' ? '1' : '000000' })
  t.equal(wrong.status, 422)
  t.match(wrong.text, 'This is not the code of the newest mail')
  const next = await visitor.submit(waiting, 'mail-code-form', { code })
  const claims = decodeJwt((await finish((await agree(visitor, next)).location)).id_token ?? '')
  t.equal(claims.acr, 'urn:gatehouse:acr:1fa')
  t.strictSame(claims.amr, ['otp'])
})

t.test('MFA-5: whoever has a second factor is asked for it after the mail, too', async t => {
  const email = await person()
  const account = await findAccountByEmailKey(service.pool, email)
  if (account === null) throw new Error('nobody signed up')
  await addAuthenticator(service.app.ctx, account)
  const { visitor, waiting } = await ask(email)
  const next = await visitor.submit(waiting, 'mail-code-form', { code: (await mailed(email)).code })
  t.match(next.url, /\/second-factor$/)
})

t.test('the link works in the browser that asked, once, and in no other', async t => {
  const email = await person()
  const { visitor, finish } = await ask(email)
  const { link } = await mailed(email)
  const elsewhere = new Visitor()
  const page = await elsewhere.visit(link)
  t.equal(page.status, 410)
  t.match(page.text, 'Open this where you began')
  for (let scan = 0; scan < 2; scan++)
    t.equal((await visitor.visit(link)).status, 200, 'looking spends nothing')
  const landing = await visitor.visit(link)
  const twice = await Promise.all([1, 2].map(() => visitor.post(landing, 'sign-in-link-form')))
  t.strictSame(twice.map(({ status }) => status).sort(), [303, 410])
  const next = await visitor.visit(twice.find(({ status }) => status === 303)?.location ?? '')
  t.ok((await finish((await agree(visitor, next)).location)).id_token)
})

t.test('PWD-7: an address that nobody has gets the same page, and no mail', async t => {
  const email = await person()
  const [known, unknown] = [await ask(email), await ask('nobody@example.org')]
  const words = (text: string) => pageText(text).replaceAll(email, '…').replaceAll('nobody@example.org', '…')
  t.equal(words(known.waiting.text), words(unknown.waiting.text))
  t.equal(known.waiting.status, unknown.waiting.status)
  const wrong = await unknown.visitor.post(unknown.waiting, 'mail-code-form', { code: '123456' })
  t.equal(wrong.status, 422)
  await mailed(email)
  t.strictSame(await service.mailTo('nobody@example.org', 0), [])
})

t.test('a sign-in that nobody asked a mail in does not wait for one', async t => {
  const visitor = new Visitor()
  const { url } = await application.begin()
  const signIn = await visitor.visit(url)
  const sent = await visitor.visit(signIn.url.replace(/sign-in$/, 'mail-code/sent'))
  t.match(sent.url, /\/mail-code$/)
})

t.test('where mail is no way in, there are no such pages', async t => {
  const plain = await startService(t)
  const visitor = new Visitor()
  const { url } = await (await createApplication(plain)).begin()
  const signIn = await visitor.visit(url)
  t.notMatch(signIn.text, 'to-mail-code')
  t.equal((await visitor.visit(signIn.url.replace(/sign-in$/, 'mail-code'))).status, 404)
  t.equal((await visitor.visit(`${plain.issuer}/sign-in/${'a'.repeat(43)}`)).status, 404)
})
