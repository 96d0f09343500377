// Changing an address: asked for by who is signed in, proven at the new mailbox, and open to nobody else.
import t from 'tap'
import {
  confirmAddressChangeByCode,
  confirmAddressChangeByLink,
  readAddressLink,
  requestAddressChange
} from '../../src/accounts/address-service.ts'
import type { Account } from '../../src/accounts/model.ts'
import { findAccount } from '../../src/accounts/repository.ts'
import { issueSecurityToken, readSecurityToken } from '../../src/accounts/security-token-service.ts'
import { freezeFactorChanges } from '../../src/accounts/service.ts'
import { inTransaction } from '../../src/context.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import { queueMail } from '../../src/mail/service.ts'
import { askForChange, changeAskedFor, changedAddress, emailOf, mailsOf } from '../helpers/addresses.ts'
import { createContext } from '../helpers/context.ts'
import { accountOf, signedUp, verifiedAccount } from '../helpers/people.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const wrongCode = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0')
const damaged = (token: string) => `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`
const twenty = <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, work))
const wins = (outcomes: { ok: boolean }[]) => outcomes.filter(({ ok }) => ok).length

t.test('ACC-3: a new address is proven by the link mailed to it, and the old one is told', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token, to } = await changeAskedFor(ctx, ada, { newEmail: ' Ada.L@NEW.example ' })
  t.equal(to, 'Ada.L@new.example')
  t.equal(await emailOf(ctx, ada), 'ada@example.org', 'nothing has changed yet')
  t.match(await readAddressLink(ctx, { token, accountId: ada.id }), { ok: true, email: 'Ada.L@new.example' })

  ctx.clock.advance(minuteMs)
  t.match(await confirmAddressChangeByLink(ctx, { token, accountId: ada.id }), { ok: true })
  t.match(await findAccount(ctx.sql, ada.id), {
    email: 'Ada.L@new.example',
    emailKey: 'ada.l@new.example'
  })
  t.strictSame((await findAccount(ctx.sql, ada.id))?.emailVerifiedAt, ctx.now())
  const [notice] = await mailsOf(ctx, 'address_changed')
  t.match(notice, { to: 'ada@example.org', data: { undoLink: /\/undo-address\/[\w-]{43}$/ } })
  const events = await ctx.sql`select type, details from audit_events order by id`
  t.equal(events.at(-1)?.type, 'account.email_changed')
  t.notMatch(JSON.stringify(events), /example/i, 'the trail holds no address')
  t.match(events.at(-1)?.details, { to: hashToken('ada.l@new.example').toString('hex') })
})

t.test('ACC-3: or by its code, in the browser session that asked', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { code } = await changeAskedFor(ctx, ada, { askedBy: 'session-1' })
  const typed = { accountId: ada.id, code: ` ${code.slice(0, 3)}-${code.slice(3)} ` }
  t.match(await confirmAddressChangeByCode(ctx, { ...typed, askedBy: 'session-2' }), { reason: 'invalid' })
  t.match(await confirmAddressChangeByCode(ctx, { ...typed, askedBy: 'session-1' }), { ok: true })
  t.match(await confirmAddressChangeByCode(ctx, { ...typed, askedBy: 'session-1' }), { reason: 'invalid' })
  t.equal(await emailOf(ctx, ada), 'ada@new.example')
})

t.test('a link clicked, or a code typed, twenty times at once changes the address once', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const first = await changeAskedFor(ctx, ada)
  t.equal(
    wins(await twenty(() => confirmAddressChangeByLink(ctx, { token: first.token, accountId: ada.id }))),
    1
  )
  const { code } = await changeAskedFor(ctx, (await findAccount(ctx.sql, ada.id)) as Account, {
    newEmail: 'ada@third.example'
  })
  const typed = { askedBy: 'session-1', code, accountId: ada.id }
  t.equal(wins(await twenty(() => confirmAddressChangeByCode(ctx, typed))), 1)
  t.equal((await mailsOf(ctx, 'address_changed')).length, 2)
})

t.test('five wrong codes are all there are, however many are sent at once', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { code, token } = await changeAskedFor(ctx, ada)
  const typed = { askedBy: 'session-1', accountId: ada.id }
  const outcomes = await twenty(() => confirmAddressChangeByCode(ctx, { ...typed, code: wrongCode(code) }))
  t.equal(outcomes.filter(outcome => !outcome.ok && outcome.reason === 'invalid').length, 4)
  t.match(await confirmAddressChangeByCode(ctx, { ...typed, code }), { reason: 'no_attempts_left' })
  t.equal(await emailOf(ctx, ada), 'ada@example.org')
  t.match(
    await confirmAddressChangeByLink(ctx, { token, accountId: ada.id }),
    { ok: true },
    'the link is good'
  )
})

t.test('a link with one character off changes nothing, nor does one that is an hour old', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token, code } = await changeAskedFor(ctx, ada)
  for (const wrong of [damaged(token), `${token}A`, token.slice(1), ''])
    t.strictSame(await confirmAddressChangeByLink(ctx, { token: wrong, accountId: ada.id }), {
      ok: false,
      reason: 'invalid'
    })
  ctx.clock.advance(hourMs)
  for (const late of [
    await confirmAddressChangeByLink(ctx, { token, accountId: ada.id }),
    await confirmAddressChangeByCode(ctx, { askedBy: 'session-1', code, accountId: ada.id })
  ])
    t.strictSame(late, { ok: false, reason: 'expired' })
})

t.test(
  "nobody's click moves a stranger's account onto their mailbox, nor their own onto another's",
  async t => {
    const ctx = await createContext(t)
    const ada = await verifiedAccount(ctx)
    const mallory = await verifiedAccount(ctx, { email: 'mallory@example.org', interactionUid: 'i2' })
    const { token, code } = await changeAskedFor(ctx, mallory, {
      newEmail: 'victim@new.example',
      askedBy: 'm'
    })
    const refusal = { ok: false, reason: 'other_account' } as const
    t.strictSame(await confirmAddressChangeByLink(ctx, { token, accountId: ada.id }), refusal)
    t.strictSame(await readAddressLink(ctx, { token, accountId: ada.id }), refusal)
    t.strictSame(await confirmAddressChangeByCode(ctx, { askedBy: 'm', code, accountId: ada.id }), refusal)
    t.equal(await emailOf(ctx, ada), 'ada@example.org')
    t.match(
      await confirmAddressChangeByLink(ctx, { token, accountId: mallory.id }),
      { ok: true },
      'nothing was spent'
    )
  }
)

t.test(
  'REG-1: a taken address answers as a free one, by as many statements, and its owner is told',
  async t => {
    const ctx = await createContext(t)
    const ada = await verifiedAccount(ctx)
    await verifiedAccount(ctx, { email: 'Grace@example.org', interactionUid: 'i2' })
    const run = async (newEmail: string) => {
      ctx.clock.advance(1000)
      ctx.statements.length = 0
      const { email, ...outcome } = (await requestAddressChange(ctx, {
        account: ada,
        newEmail,
        askedBy: 'session-1'
      })) as { email: string }
      t.equal(email, newEmail)
      return { outcome, statements: ctx.statements.map(text => text.replace(/\s+/g, ' ')) }
    }
    const free = await run('nobody@example.org')
    t.strictSame(await run('grace@example.org'), free)
    const recipients = async (kind: 'already_registered' | 'confirm_new_address') =>
      (await mailsOf(ctx, kind)).map(({ to }) => to)
    t.strictSame(await recipients('already_registered'), ['Grace@example.org'])
    t.strictSame(await recipients('confirm_new_address'), ['nobody@example.org'])

    const guesses = []
    for (let guess = 0; guess < 6; guess++)
      guesses.push(
        await confirmAddressChangeByCode(ctx, { askedBy: 'session-1', code: '000000', accountId: ada.id })
      )
    const reasons = guesses.map(outcome => (outcome.ok ? null : outcome.reason))
    t.strictSame(reasons, [...Array(4).fill('invalid'), 'no_attempts_left', 'no_attempts_left'])
  }
)

t.test('a newer request voids an older mail, also where the newer address is taken', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  await verifiedAccount(ctx, { email: 'grace@example.org', interactionUid: 'i2' })
  for (const newEmail of ['free@new.example', 'grace@example.org']) {
    const older = await changeAskedFor(ctx, ada, { newEmail: 'own@new.example', askedBy: 'session-1' })
    await askForChange(ctx, ada, { newEmail, askedBy: 'session-2' })
    t.strictSame(await confirmAddressChangeByLink(ctx, { token: older.token, accountId: ada.id }), {
      ok: false,
      reason: 'invalid'
    })
  }
})

t.test('REG-1: codes of an older request do not tell either whether its address was taken', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  await verifiedAccount(ctx, { email: 'grace@example.org', interactionUid: 'i2' })
  const answers = []
  for (const newEmail of ['free@new.example', 'grace@example.org']) {
    await askForChange(ctx, ada, { newEmail, askedBy: 'session-1' })
    await askForChange(ctx, ada, { newEmail: 'other@new.example', askedBy: 'session-2' })
    const reasons = []
    for (let guess = 0; guess < 6; guess++) {
      const typed = { askedBy: 'session-1', code: '000000', accountId: ada.id }
      reasons.push(await confirmAddressChangeByCode(ctx, typed))
    }
    answers.push(reasons)
  }
  t.strictSame(answers[0], answers[1])
})

t.test('REG-8: three mails an hour go to one address; the last of them stays good', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  let last = await changeAskedFor(ctx, ada)
  for (let more = 0; more < 2; more++) last = await changeAskedFor(ctx, ada)
  ctx.clock.advance(1000)
  t.match(await requestAddressChange(ctx, { account: ada, newEmail: last.to, askedBy: 'session-1' }), {
    ok: true,
    mail: 'capped'
  })
  t.equal((await mailsOf(ctx, 'confirm_new_address')).length, 3)
  t.match(await confirmAddressChangeByLink(ctx, { token: last.token, accountId: ada.id }), { ok: true })
})

t.test('what is no address, or the same one, or asked for while changes are frozen, is refused', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const tried = async (newEmail: unknown) => {
    const outcome = await requestAddressChange(ctx, { account: ada, newEmail, askedBy: 'session-1' })
    return outcome.ok ? null : outcome.reason
  }
  t.equal(await tried(undefined), 'missing')
  t.equal(await tried(['a@new.example', 'b@new.example']), 'invalid')
  t.equal(await tried('a@new.example,b@new.example'), 'invalid')
  t.equal(await tried(`${'a'.repeat(300)}@new.example`), 'too_long')
  t.equal(await tried('ada@EXAMPLE.org'), 'same')
  const { token, code } = await changeAskedFor(ctx, ada)
  await freezeFactorChanges(ctx, ada.id)
  t.equal(await tried('other@new.example'), 'frozen')
  const frozen = { ok: false, reason: 'frozen' } as const
  t.strictSame(await confirmAddressChangeByLink(ctx, { token, accountId: ada.id }), frozen)
  t.strictSame(
    await confirmAddressChangeByCode(ctx, { askedBy: 'session-1', code, accountId: ada.id }),
    frozen
  )
})

t.test('an account that nobody confirmed gives way to who proves the mailbox', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  await signedUp(ctx, { email: 'ada@new.example', interactionUid: 'squatter' })
  const { token } = await changeAskedFor(ctx, ada)
  t.match(await confirmAddressChangeByLink(ctx, { token, accountId: ada.id }), { ok: true })
  t.equal((await accountOf(ctx, 'ada@new.example')).id, ada.id)
})

t.test(
  'ACC-3: of two accounts that prove one new address at once, one gets it and the other is told',
  async t => {
    const ctx = await createContext(t)
    const people = [
      await verifiedAccount(ctx),
      await verifiedAccount(ctx, { email: 'grace@example.org', interactionUid: 'i2' })
    ]
    for (let round = 0; round < 5; round++) {
      const newEmail = `shared-${round}@new.example`
      const mails = []
      for (const [number, person] of people.entries())
        mails.push({ person, ...(await changeAskedFor(ctx, person, { newEmail, askedBy: `s${number}` })) })
      const outcomes = await Promise.all(
        mails.map(({ person, token }) => confirmAddressChangeByLink(ctx, { token, accountId: person.id }))
      )
      t.equal(wins(outcomes), 1)
      t.match(
        outcomes.find(({ ok }) => !ok),
        { reason: 'taken' }
      )
      for (const { person, token } of mails)
        t.match(
          await confirmAddressChangeByLink(ctx, { token, accountId: person.id }),
          { reason: 'invalid' },
          'spent'
        )
    }
  }
)

t.test('RST-3, REG-3: every mail that was out is void after a change, but those that protect', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const issue = (kind: 'reset_password' | 'sign_in' | 'not_me', askedBy: string | null = null) =>
    issueSecurityToken(ctx, { kind, accountId: ada.id, askedBy, lifetimeSeconds: 3600, replacing: false })
  const [reset, signIn, notMe] = [
    await issue('reset_password'),
    await issue('sign_in', 'i'),
    await issue('not_me')
  ]
  await changedAddress(ctx, ada.id, 'ada@new.example')
  t.match(await readSecurityToken(ctx, 'reset_password', reset.token), { ok: false })
  t.match(await readSecurityToken(ctx, 'sign_in', signIn.token), { ok: false })
  t.match(await readSecurityToken(ctx, 'not_me', notMe.token), { ok: true })
})

t.test('ACC-3: a reset link mailed while the address changes is void, or came before the change', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token } = await changeAskedFor(ctx, ada)
  let release = () => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  let isQueued = () => {}
  const queued = new Promise<void>(resolve => {
    isQueued = resolve
  })
  const reset = inTransaction(ctx, async tx => {
    const data = { link: 'http://localhost:3000/x', code: '000000', expiresInMinutes: 60 }
    await queueMail(
      tx,
      { kind: 'reset_password', to: ada.email, data },
      new Date(tx.now().getTime() + hourMs)
    )
    isQueued()
    await held
    const about = { accountId: ada.id, askedBy: null, lifetimeSeconds: 3600, replacing: false }
    return await issueSecurityToken(tx, { kind: 'reset_password', ...about })
  })
  await queued
  const change = confirmAddressChangeByLink(ctx, { token, accountId: ada.id })
  const waits = async () =>
    (
      await ctx.pool`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    ).count
  while ((await waits()) === 0);
  release()
  const made = await reset
  t.match(await change, { ok: true })
  t.match(await readSecurityToken(ctx, 'reset_password', made.token), { ok: false })
})
