// Eve signs up at Ada's address before Ada does, after her, and in between. Whatever the order, what Eve began must
// not become a way into the account that Ada confirms. @see Sudhodanan and Paverd, “Pre-hijacked accounts” (2022)
import t, { type Test } from 'tap'
import { createApplication } from '../helpers/application.ts'
import { lastConfirmation, type Opened, openSignIn, signUpAndWait } from '../helpers/forms.ts'
import { startService } from '../helpers/service.ts'
import { type Answer, Visitor } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '50' } })
const application = await createApplication(service)
const evesPassword = 'a password that only Eve knows'
const adasPassword = 'a password that only Ada knows'

type Person = Opened & { code: string; link: string }

let mails = 0
async function signsUp(email: string, typed: { name: string; password: string }): Promise<Person> {
  const opened = await signUpAndWait(service, { email, ...typed }, { application })
  mails += 1
  return { ...opened, ...(await lastConfirmation(service, email, mails)) }
}
const eveSignsUp = (email: string) => signsUp(email, { name: 'Eve', password: evesPassword })
const adaSignsUp = (email: string) => signsUp(email, { name: 'Ada', password: adasPassword })

const confirmations: Record<string, (ada: Person) => Promise<Answer>> = {
  'by code': async ada => await ada.visitor.submit(ada.page, 'verify-form', { code: ada.code }),
  'by link': async ada => await ada.visitor.submit(await ada.visitor.visit(ada.link), 'verify-form')
}

/** Everything that Eve's browser can still try with the sign-in that it holds. */
async function gainsNothing(t: Test, eve: Person, email: string): Promise<void> {
  const base = eve.page.url.replace('/verify-email', '')
  for (const step of ['', '/verify-email', '/consent', '/sign-in', '/sign-up', '?confirmed', '?start']) {
    const page = await eve.visitor.visit(`${base}${step}`)
    t.notMatch(page.text, /consent-form|Signed in as/, `${step}: nothing is asked that only Ada may answer`)
    t.notMatch(page.location ?? '', /[?&]code=/, `${step}: no code for the application`)
  }
  for (const code of [eve.code, '000000']) {
    const answer = await eve.visitor.submit(eve.page, 'verify-form', { code })
    t.equal(answer.status, 422, `the code ${code === eve.code ? 'of the dead letter' : 'guessed'}`)
  }
  t.equal(
    (await eve.visitor.submit(await eve.visitor.visit(eve.link), 'verify-form').catch(() => null))?.status ??
      410,
    410
  )
  const consent = await eve.visitor.post(
    {
      ...eve.page,
      text: eve.page.text
        .replace('id="verify-form"', 'id="consent-form"')
        .replace('/verify-email"', '/consent"')
    },
    'consent-form',
    { decision: 'allow' }
  )
  t.notMatch(consent.location ?? '', /\/auth\/|code=/, 'allowing what nobody asked')
  t.match((await eve.visitor.visit(`${base}/verify-email`)).text, 'verify-form')

  const again = await openSignIn(service, { application, visitor: eve.visitor })
  const refused = await again.visitor.submit(again.page, 'sign-in-form', { email, password: evesPassword })
  t.equal(refused.status, 422, 'Eve’s password opens nothing')
  t.equal(eve.visitor.cookie('session'), undefined, 'Eve’s browser has no session')
}

async function isAdas(t: Test, next: Answer, ada: Person, email: string): Promise<void> {
  t.match(next.text, 'consent-form', 'Ada goes on')
  t.match(next.text, /account-name">Ada</)
  const end = await ada.visitor.submit(next, 'consent-form', { decision: 'allow' })
  const claims = (await ada.finish(end.location)).claims()
  const [row] = await service.pool`
    select name, email_verified_at is not null as verified from accounts where id = ${claims?.sub ?? ''} and email_key = ${email}`
  t.strictSame(row, { name: 'Ada', verified: true })
  const again = await openSignIn(service, { application })
  t.match(
    (await again.visitor.submit(again.page, 'sign-in-form', { email, password: adasPassword })).text,
    'consent-form',
    'with the password that Ada chose'
  )
}

let turn = 0
for (const [how, confirm] of Object.entries(confirmations)) {
  t.test(`Eve signs up, then Ada, who confirms ${how}`, async t => {
    const email = `victim${turn++}@example.org`
    mails = 0
    const eve = await eveSignsUp(email)
    const ada = await adaSignsUp(email)
    await isAdas(t, await confirm(ada), ada, email)
    await gainsNothing(t, eve, email)
  })

  t.test(`Ada signs up, then Eve, then Ada confirms ${how}`, async t => {
    const email = `victim${turn++}@example.org`
    mails = 0
    const ada = await adaSignsUp(email)
    const eve = await eveSignsUp(email)
    await isAdas(t, await confirm(ada), ada, email)
    await gainsNothing(t, eve, email)
  })

  t.test(`Eve signs up and asks for more mail until Ada confirms ${how}, and after`, async t => {
    const email = `victim${turn++}@example.org`
    mails = 0
    const eve = await eveSignsUp(email)
    const ada = await adaSignsUp(email)
    await eve.visitor.post(eve.page, 'resend-form')
    await isAdas(t, await confirm(ada), ada, email)
    const told = await eve.visitor.submit(eve.page, 'resend-form')
    t.match(told.text, /A new mail is on its way/, 'and is not told that it is over')
    const [mail] = await service.mailTo(email, 4)
    t.match(mail?.subject, /already have/, 'Ada is')
    await gainsNothing(t, eve, email)
  })

  t.test(`Eve signs in with the password that she set first, waits, and Ada confirms ${how}`, async t => {
    const email = `victim${turn++}@example.org`
    mails = 0
    await eveSignsUp(email)
    const opened = await openSignIn(service, { application })
    const page = await opened.visitor.submit(opened.page, 'sign-in-form', { email, password: evesPassword })
    t.match(page.url, /verify-email$/)
    mails += 1
    const eve = { ...opened, page, ...(await lastConfirmation(service, email, mails)) }
    const ada = await adaSignsUp(email)
    await isAdas(t, await confirm(ada), ada, email)
    await gainsNothing(t, eve, email)
  })

  t.test(
    `Eve has ten sign-ups waiting, which crowd out nothing for good, and Ada confirms ${how}`,
    async t => {
      const email = `victim${turn++}@example.org`
      mails = 0
      for (let i = 0; i < 9; i++) await eveSignsUp(email)
      const ada = await adaSignsUp(email)
      const eve = await eveSignsUp(email)
      await isAdas(t, await confirm(ada), ada, email)
      await gainsNothing(t, eve, email)
    }
  )

  t.test(`Eve and Ada sign up at the same moment, and Ada confirms ${how}`, async t => {
    const email = `victim${turn++}@example.org`
    mails = 0
    const [eve, ada] = await Promise.all([
      signUpAndWait(service, { email, name: 'Eve', password: evesPassword }, { application }),
      signUpAndWait(service, { email, name: 'Ada', password: adasPassword }, { application })
    ])
    const received = await service.mailTo(email, 2)
    const mailOf = (opened: Opened) => {
      const uid = /interaction\/([\w-]+)/.exec(opened.page.url)?.[1] ?? ''
      const mail = received.find(({ links }) => links.some(link => link.includes(uid)))
      return {
        code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? '',
        link: mail?.links.find(link => link.includes(uid)) ?? ''
      }
    }
    const adas = { ...ada, ...mailOf(ada) }
    await isAdas(t, await confirm(adas), adas, email)
    await gainsNothing(t, { ...eve, ...mailOf(eve) }, email)
  })
}

t.test(
  'Ada, who signed up too, takes Eve’s mail for hers: it does not open without Eve’s password',
  async t => {
    for (const order of ['Eve first', 'Ada first']) {
      const email = `mixed-up${turn++}@example.org`
      mails = 0
      const people = order === 'Eve first' ? [eveSignsUp, adaSignsUp] : [adaSignsUp, eveSignsUp]
      const [one, two] = [await people[0]?.(email), await people[1]?.(email)] as [Person, Person]
      const [eve, ada] = order === 'Eve first' ? [one, two] : [two, one]
      const browsers = { 'her browser': ada.visitor, 'her telephone': new Visitor() }
      for (const [where, visitor] of Object.entries(browsers)) {
        const page = await visitor.visit(eve.link)
        t.match(page.text, 'id="password"', `${order}, in ${where}`)
        for (const typed of [{}, { password: adasPassword }, { password: '' }]) {
          const answer = await visitor.post(page, 'verify-form', typed)
          t.equal(answer.status, 422)
          t.notMatch(answer.text, adasPassword)
        }
      }
      t.match((await eve.visitor.visit(eve.page.url)).text, 'verify-form', 'Eve waits on')
      const next = await ada.visitor.submit(await ada.visitor.visit(ada.link), 'verify-form')
      await isAdas(t, next, ada, email)
      await gainsNothing(t, eve, email)
    }
  }
)

t.test(
  'Ada, who signed up on two machines, opens the mail on her telephone: her password will do',
  async t => {
    mails = 0
    const first = await adaSignsUp('twice@example.org')
    await adaSignsUp('twice@example.org')
    const telephone = new Visitor()
    const page = await telephone.visit(first.link)
    const answer = await telephone.submit(page, 'verify-form', { password: adasPassword })
    t.match(answer.text, 'Go on where you began')
    t.match((await first.visitor.visit(first.page.url)).text, 'consent-form')
  }
)

t.test(
  'Ada, who never signed up, opens Eve’s mail and does not press the button: nothing is confirmed',
  async t => {
    mails = 0
    const eve = await eveSignsUp('curious@example.org')
    const page = await openSignIn(service, { application })
    const asked = await page.visitor.visit(eve.link)
    t.match(asked.text, /did you just create an account/)
    t.match((await eve.visitor.visit(eve.page.url)).text, 'verify-form')
  }
)
