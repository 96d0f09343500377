// Somebody changes their address in the browser, and somebody else's change is taken back.
import t from 'tap'
import { faultOf, typedIn } from '../helpers/forms.ts'
import { createPerson, newPassword, signedIn, startWithApplication } from '../helpers/resets.ts'
import { password, type Service, Visitor } from '../helpers/service.ts'
import type { Answer } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

const { service, application, letsIn } = await startWithApplication(t, {
  environment: { MAILS_PER_RECIPIENT_PER_HOUR: '50' }
})
const formUrl = `${service.issuer}/account/security/address`

/** Signs in on the way to the form. */
async function openForm(email: string, visitor = new Visitor()): Promise<{ visitor: Visitor; page: Answer }> {
  const signIn = await visitor.visit(formUrl)
  return { visitor, page: await visitor.submit(signIn, 'sign-in-form', { email, password }) }
}

async function lastLink({ mailTo }: Service, email: string, about: string) {
  const list = async () =>
    (await mailTo(email, 0)).filter(({ links }) => links.some(link => link.includes(about)))
  await waitFor(async () => (await list()).length > 0)
  const [mail] = await list()
  return {
    link: mail?.links.find(link => link.includes(about)) ?? '',
    code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
  }
}
const confirmation = async (email: string) => await lastLink(service, email, '/account/security/address/')

/** Changes the address by its code; answers with the undo link that the old one was sent. */
async function changeAddress(from: string, to: string): Promise<string> {
  const { visitor, page } = await openForm(from)
  const waiting = await visitor.submit(page, 'change-address-form', { email: to })
  const answer = await visitor.post(waiting, 'confirm-address-form', { code: (await confirmation(to)).code })
  if (answer.status !== 303) throw new Error(answer.text)
  return (await lastLink(service, from, '/undo-address/')).link
}

t.test(
  'ACC-3: a person signs in, types the new address, and the code of the mail makes it theirs',
  async t => {
    await createPerson(service, { email: 'ada@example.org' })
    const { visitor, page } = await openForm('ada@example.org')
    t.equal(page.url, formUrl)
    t.match(page.text, 'ada@example.org')
    const waiting = await visitor.submit(page, 'change-address-form', { email: 'ada@new.example' })
    t.match(waiting.text, 'ada@new.example')
    const { code } = await confirmation('ada@new.example')
    const wrong = await visitor.post(waiting, 'confirm-address-form', {
      code: code === '000000' ? '1' : '000000'
    })
    t.equal(wrong.status, 422)
    t.match(faultOf(wrong, 'code'), 'not the code')
    const missing = await visitor.post(waiting, 'confirm-address-form', { code: '' })
    t.match(faultOf(missing, 'code'), 'six digits')
    const done = await visitor.post(waiting, 'confirm-address-form', { code })
    t.equal(done.status, 303)
    t.match(done.location, '/account/security')
    t.strictSame([await letsIn('ada@example.org'), await letsIn('ada@new.example')], [false, true])
  }
)

t.test('ACC-3: the link does so in a browser that is signed in to the account, and in no other', async t => {
  await createPerson(service, { email: 'grace@example.org' })
  await createPerson(service, { email: 'other@example.org' })
  const { visitor, page } = await openForm('grace@example.org')
  await visitor.submit(page, 'change-address-form', { email: 'grace@new.example' })
  const { link } = await confirmation('grace@new.example')

  const stranger = await new Visitor().visit(link)
  t.match(stranger.text, 'id="sign-in-form"', 'who is not signed in is asked to')
  const { visitor: other } = await openForm('other@example.org')
  const refused = await other.visit(link)
  t.equal(refused.status, 410)
  t.match(refused.text, 'belongs to another account')
  t.notMatch(refused.text, 'grace')

  for (let scan = 0; scan < 3; scan++) t.equal((await visitor.visit(link)).status, 200)
  t.equal(await letsIn('grace@example.org'), true, 'looking changes nothing')
  const landing = await visitor.visit(link)
  const forged = await other.request(landing.url, {
    method: 'POST',
    body: new URLSearchParams({ _csrf: /name="_csrf" value="([^"]+)"/.exec(landing.text)?.[1] ?? '' })
  })
  t.equal(forged.status, 403)
  t.equal((await visitor.post(landing, 'confirm-address-form')).status, 303)
  t.equal((await visitor.post(landing, 'confirm-address-form')).status, 410, 'once')
  t.strictSame([await letsIn('grace@example.org'), await letsIn('grace@new.example')], [false, true])
})

t.test('what is wrong with a typed address is told, and the address is kept', async t => {
  await createPerson(service, { email: 'faults@example.org' })
  const { visitor, page } = await openForm('faults@example.org')
  for (const [typed, told] of [
    ['', /Enter the new/],
    ['ines.moreau', /like name@/],
    [`${'a'.repeat(300)}@example.org`, /too long/],
    ['faults@example.org', /address that you have now/]
  ] as const) {
    const answer = await visitor.post(page, 'change-address-form', { email: typed })
    t.equal(answer.status, 422)
    t.match(faultOf(answer, 'email'), told)
    t.equal(typedIn(answer, 'email'), typed)
  }
  t.match((await visitor.visit(`${formUrl}/sent`)).url, formUrl, 'nothing is waited for')
})

t.test(
  'RST-7: the old mailbox takes a change back, everybody is put out, and a new password leads in',
  async t => {
    await createPerson(service, { email: 'victim@example.org' })
    const undoLink = await changeAddress('victim@example.org', 'thief@new.example')
    const thief = await signedIn(service, application, { email: 'thief@new.example' })
    t.strictSame([await thief.isSignedIn(), await thief.refreshes()], [true, true])

    const owner = new Visitor()
    for (let scan = 0; scan < 3; scan++) t.match((await owner.visit(undoLink)).text, 'victim@example.org')
    t.equal(await letsIn('thief@new.example'), true, 'looking changes nothing')
    const landing = await owner.visit(undoLink)
    const sent = await owner.submit(landing, 'undo-address-form')
    t.match(sent.text, 'has this address again')
    t.strictSame([await thief.isSignedIn(), await thief.refreshes()], [false, false])
    t.strictSame([await letsIn('victim@example.org'), await letsIn('thief@new.example')], [false, false])

    const { code } = await lastLink(service, 'victim@example.org', '/reset-password/')
    await owner.submit(sent, 'reset-code-form', { code, password: newPassword })
    t.equal(await letsIn('victim@example.org', newPassword), true)
    const again = await owner.post(landing, 'undo-address-form')
    t.equal(again.status, 410)
    t.match(again.text, 'not good any more')
  }
)

t.test(
  'RST-2, RST-8: the links begin with the configured address, and their pages pass nothing on',
  async t => {
    await createPerson(service, { email: 'links@example.org' })
    const undoLink = await changeAddress('links@example.org', 'links@new.example')
    t.ok(undoLink.startsWith(`${service.issuer}/undo-address/`))
    const page = await new Visitor().visit(undoLink)
    t.equal(page.headers.get('referrer-policy'), 'no-referrer')
    t.equal(page.headers.get('cache-control'), 'no-store')
  }
)

t.test('a damaged link says so', async t => {
  for (const token of ['x', 'A'.repeat(43), 'A'.repeat(199)]) {
    const page = await new Visitor().visit(`${service.issuer}/undo-address/${token}`)
    t.equal(page.status, 410)
    t.match(page.text, 'role="alert"')
  }
})
