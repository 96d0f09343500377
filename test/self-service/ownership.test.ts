// Two people at every page and form of the account, each with the other's ids.
import t, { type Test } from 'tap'
import { addPasskey, createMember, type Member, overview } from '../helpers/account.ts'
import { startService } from '../helpers/service.ts'
import { type Answer, findForm } from '../helpers/visitor.ts'

const service = await startService(t)
const { pool } = service

type Things = { passkeys: string; authenticators: string; devices: string }

/** Somebody with one of everything. */
async function withEverything(): Promise<Member & { things: Things }> {
  const member = await createMember(service, { authenticator: true })
  const passkeys = await addPasskey(service, member.account)
  const [device] = await pool<
    { id: string }[]
  >`select id from devices where account_id = ${member.account.id}`
  if (device === undefined) throw new Error('the browser was not noted')
  return { ...member, things: { passkeys, authenticators: member.authenticatorId, devices: device.id } }
}

const [ada, bob] = [await withEverything(), await withEverything()]

/** What belongs to somebody, as it is stored. */
async function rowsOf({ account: { id } }: Member) {
  return {
    passkeys: await pool`select * from webauthn_credentials where account_id = ${id}`,
    authenticators: await pool`select * from totp_credentials where account_id = ${id}`,
    devices: await pool`select * from devices where account_id = ${id}`,
    mails: await pool`select id from mail_outbox order by id`,
    events: await pool`select type from audit_events where account_id = ${id} and type not like 'sign_in.%'`
  }
}

const forms: Record<keyof Things, string[]> = {
  passkeys: ['', '/remove'],
  authenticators: ['', '/remove'],
  devices: ['/untrust', '/remove']
}
const kinds = Object.keys(forms) as (keyof Things)[]

/** The page without what is made for each request. */
const wordsOf = ({ text }: Answer): string => text.replace(/id="request-id">[^<]+/, '')

async function post({ visitor }: Member, path: string, _csrf: string): Promise<Answer> {
  return await visitor.request(`${service.issuer}${path}`, {
    method: 'POST',
    body: new URLSearchParams({
      _csrf,
      name: 'Mine now',
      accountId: ada.account.id,
      account_id: ada.account.id
    })
  })
}

async function csrfOf(member: Member & { things: Things }): Promise<string> {
  const page = await member.open(`${overview}/authenticators/${member.things.authenticators}`)
  return findForm(page, 'rename-form').fields._csrf ?? ''
}

function checkSame(t: Test, answers: Answer[], what: string): void {
  const [first] = answers
  for (const answer of answers) {
    t.equal(answer.status, 404, what)
    t.equal(wordsOf(answer), wordsOf(first as Answer), `${what}: the same page`)
  }
}

t.test('one’s own pages are there', async t => {
  for (const kind of kinds)
    t.equal((await ada.open(`${overview}/${kind}/${ada.things[kind]}`)).status, 200, kind)
})

t.test(
  'MFA-10: another’s things cannot be seen, renamed or removed, and nobody learns that they exist',
  async t => {
    const before = await rowsOf(ada)
    const [unknown, malformed] = ['01937f5c-9a40-7cc1-a7a6-6f54b2f1c0d1', 'not-an-id']
    const _csrf = await csrfOf(bob)
    for (const kind of kinds) {
      const foreign = [ada.things[kind], unknown, malformed, bob.things[nextOf(kind)]]
      const pages = await Promise.all(foreign.map(id => bob.open(`${overview}/${kind}/${id}`)))
      checkSame(t, pages, kind)
      for (const form of forms[kind])
        checkSame(
          t,
          await Promise.all(foreign.map(id => post(bob, `${overview}/${kind}/${id}${form}`, _csrf))),
          `${kind}${form}`
        )
    }
    t.strictSame(await rowsOf(ada), before)
  }
)

const nextOf = (kind: keyof Things) => kinds[(kinds.indexOf(kind) + 1) % kinds.length] ?? kind

t.test('MFA-10: ids in any other spelling are nobody’s', async t => {
  for (const id of [
    ada.things.passkeys.toUpperCase(),
    ada.things.passkeys.replaceAll('-', ''),
    `{${ada.things.passkeys}}`,
    `${ada.things.passkeys}%00`,
    `${ada.things.passkeys}%20`,
    '%27%20or%201=1',
    `${ada.things.passkeys.slice(0, -1)}${ada.things.passkeys.endsWith('0') ? '1' : '0'}`
  ])
    t.equal((await ada.open(`${overview}/passkeys/${id}`)).status, 404, id)
})

t.test('MFA-10: nobody who is signed in only halfway learns of anything either', async t => {
  const halfway = await createMember(service, { authenticator: true, halfway: true })
  for (const kind of kinds) {
    const theirs = await halfway.open(`${overview}/${kind}/${ada.things[kind]}`)
    t.match(theirs.url, /\/second-factor$/, kind)
  }
})

t.test('one’s own things are removed, by the same forms', async t => {
  const _csrf = await csrfOf(bob)
  for (const kind of ['devices', 'passkeys', 'authenticators'] as const) {
    const answer = await post(bob, `${overview}/${kind}/${bob.things[kind]}/remove`, _csrf)
    t.match(answer.location, /\?done=(device|passkey|authenticator)-removed$/)
  }
  const { passkeys, authenticators, devices } = await rowsOf(bob)
  t.strictSame([passkeys.length, authenticators.length, devices.length], [0, 0, 0])
})
