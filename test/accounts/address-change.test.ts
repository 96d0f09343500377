// Changing an address, and undoing that: two mailboxes, each proven, and none of it open to anybody else.
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
import { readUndo, undoAddressChange } from '../../src/accounts/undo-address-service.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import type { Mail } from '../../src/mail/model.ts'
import { createContext, type TestContext } from '../helpers/context.ts'
import { accountOf, listQueuedMails, signedUp, verifiedAccount } from '../helpers/people.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const wrongCode = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0')
const damaged = (token: string) => `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`
const twenty = <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, work))
const wins = (outcomes: { ok: boolean }[]) => outcomes.filter(({ ok }) => ok).length

async function mailsOf<Kind extends Mail['kind']>(ctx: TestContext, kind: Kind) {
  const mails = await listQueuedMails(ctx)
  return mails.filter((mail): mail is Extract<Mail, { kind: Kind }> => mail.kind === kind)
}

const lastPart = (link: string) => link.split('/').at(-1) ?? ''

/** Asks for a change, and reads the mail that came of it; null: none did. */
async function ask(
  ctx: TestContext,
  account: Account,
  { newEmail = 'ada@new.example', askedBy = 'session-1' } = {}
): Promise<{ token: string; code: string; to: string } | null> {
  ctx.clock.advance(1000)
  const before = (await mailsOf(ctx, 'confirm_new_address')).length
  const outcome = await requestAddressChange(ctx, { account, newEmail, askedBy })
  if (!outcome.ok) throw new Error(outcome.reason)
  const mail = (await mailsOf(ctx, 'confirm_new_address'))[before]
  return mail === undefined ? null : { token: lastPart(mail.data.link), code: mail.data.code, to: mail.to }
}

async function asked(ctx: TestContext, account: Account, options: Parameters<typeof ask>[2] = {}) {
  const mail = await ask(ctx, account, options)
  if (mail === null) throw new Error('no mail was queued')
  return mail
}

/** Changes the address, and returns the token of the undo link. */
async function changed(ctx: TestContext, accountId: string, newEmail: string): Promise<string> {
  const account = await findAccount(ctx.sql, accountId)
  if (account === null) throw new Error('nobody')
  const { token } = await asked(ctx, account, { newEmail })
  ctx.clock.advance(1000)
  const outcome = await confirmAddressChangeByLink(ctx, { token, accountId })
  if (!outcome.ok) throw new Error(outcome.reason)
  return lastPart((await mailsOf(ctx, 'address_changed')).at(-1)?.data.undoLink ?? '')
}

const emailOf = async (ctx: TestContext, { id }: Account) => (await findAccount(ctx.sql, id))?.email

t.test('ACC-3: a new address is proven by the link mailed to it, and the old one is told', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token, to } = await asked(ctx, ada, { newEmail: ' Ada.L@NEW.example ' })
  t.equal(to, 'Ada.L@new.example')
  t.equal(await emailOf(ctx, ada), 'ada@example.org', 'nothing has changed yet')
  t.match(await readAddressLink(ctx, { token, accountId: ada.id }), { ok: true, email: 'Ada.L@new.example' })

  ctx.clock.advance(minuteMs)
  t.match(await confirmAddressChangeByLink(ctx, { token, accountId: ada.id }), { ok: true })
  t.match(await findAccount(ctx.sql, ada.id), {
    email: 'Ada.L@new.example',
    emailKey: 'ada.l@new.example',
    emailVerifiedAt: ctx.now()
  })
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
  const { code } = await asked(ctx, ada, { askedBy: 'session-1' })
  const typed = { accountId: ada.id, code: ` ${code.slice(0, 3)}-${code.slice(3)} ` }
  t.match(await confirmAddressChangeByCode(ctx, { ...typed, askedBy: 'session-2' }), { reason: 'invalid' })
  t.match(await confirmAddressChangeByCode(ctx, { ...typed, askedBy: 'session-1' }), { ok: true })
  t.match(await confirmAddressChangeByCode(ctx, { ...typed, askedBy: 'session-1' }), { reason: 'invalid' })
  t.equal(await emailOf(ctx, ada), 'ada@new.example')
})

t.test('a link clicked, or a code typed, twenty times at once changes the address once', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const first = await asked(ctx, ada)
  t.equal(
    wins(await twenty(() => confirmAddressChangeByLink(ctx, { token: first.token, accountId: ada.id }))),
    1
  )
  const { code } = await asked(ctx, (await findAccount(ctx.sql, ada.id)) as Account, {
    newEmail: 'ada@third.example'
  })
  const typed = { askedBy: 'session-1', code, accountId: ada.id }
  t.equal(wins(await twenty(() => confirmAddressChangeByCode(ctx, typed))), 1)
  t.equal((await mailsOf(ctx, 'address_changed')).length, 2)
})

t.test('five wrong codes are all there are, however many are sent at once', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { code, token } = await asked(ctx, ada)
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
  const { token, code } = await asked(ctx, ada)
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
    const { token, code } = await asked(ctx, mallory, { newEmail: 'victim@new.example', askedBy: 'm' })
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
    t.match(await mailsOf(ctx, 'already_registered'), [{ to: 'Grace@example.org' }])
    t.match(await mailsOf(ctx, 'confirm_new_address'), [{ to: 'nobody@example.org' }])

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
    const older = await asked(ctx, ada, { newEmail: 'own@new.example', askedBy: 'session-1' })
    await ask(ctx, ada, { newEmail, askedBy: 'session-2' })
    t.strictSame(await confirmAddressChangeByLink(ctx, { token: older.token, accountId: ada.id }), {
      ok: false,
      reason: 'invalid'
    })
  }
})

t.test('REG-8: three mails an hour go to one address; the last of them stays good', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  let last = await asked(ctx, ada)
  for (let more = 0; more < 2; more++) last = await asked(ctx, ada)
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
  const { token, code } = await asked(ctx, ada)
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
  const { token } = await asked(ctx, ada)
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
        mails.push({ person, ...(await asked(ctx, person, { newEmail, askedBy: `s${number}` })) })
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
  await changed(ctx, ada.id, 'ada@new.example')
  t.match(await readSecurityToken(ctx, 'reset_password', reset.token), { ok: false })
  t.match(await readSecurityToken(ctx, 'sign_in', signIn.token), { ok: false })
  t.match(await readSecurityToken(ctx, 'not_me', notMe.token), { ok: true })
})

t.test('ACC-3: a reset link mailed while the address changes is void, or came before the change', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token } = await asked(ctx, ada)
  let release = () => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  let inserted = () => {}
  const isInserted = new Promise<void>(resolve => {
    inserted = resolve
  })
  const reset = ctx.pool.begin(async sql => {
    const made = await issueSecurityToken(
      { ...ctx, sql: sql as unknown as TestContext['sql'] },
      { kind: 'reset_password', accountId: ada.id, askedBy: null, lifetimeSeconds: 3600, replacing: false }
    )
    inserted()
    await held
    return made
  })
  await isInserted
  const change = confirmAddressChangeByLink(ctx, { token, accountId: ada.id })
  const waits = async () =>
    (
      await ctx.pool`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    ).count
  while ((await waits()) === 0);
  release()
  const made = await reset
  t.match(await change, { ok: true })
  t.match(await readSecurityToken(ctx, 'reset_password', (made as { token: string }).token), { ok: false })
})

t.test(
  'ACC-3: the old mailbox undoes the change within 72 hours: once, and everybody is signed out',
  async t => {
    const ctx = await createContext(t)
    const ada = await verifiedAccount(ctx)
    const undo = await changed(ctx, ada.id, 'thief@new.example')
    const [, pending] = [ctx.clock.advance(72 * hourMs - 1000), await readUndo(ctx, undo)]
    t.strictSame(pending, { ok: true, oldEmail: 'ada@example.org' })
    t.equal(await emailOf(ctx, ada), 'thief@new.example', 'looking spends nothing')
    t.match(await undoAddressChange(ctx, damaged(undo)), { ok: false, reason: 'invalid' })

    const outcomes = await twenty(() => undoAddressChange(ctx, undo))
    t.equal(wins(outcomes), 1)
    t.match(
      outcomes.find(({ ok }) => ok),
      { restored: true, account: { id: ada.id, email: 'ada@example.org' } }
    )
    const account = (await findAccount(ctx.sql, ada.id)) as Account
    t.match(account, { emailKey: 'ada@example.org', tokensValidFrom: ctx.now() })
    t.strictSame(account.factorChangesFrozenUntil, new Date(ctx.now().getTime() + 24 * hourMs))
    t.match((await mailsOf(ctx, 'address_changed')).at(-1), {
      to: 'thief@new.example',
      data: { undoLink: null, newAddress: 'ada@example.org' }
    })
    const again = { account, newEmail: 'thief@new.example', askedBy: 'thief' }
    t.strictSame(await requestAddressChange(ctx, again), { ok: false, reason: 'frozen' })
    const [event] = await ctx.sql`select type, details from audit_events order by id desc limit 1`
    t.match(event, { type: 'account.email_change_undone', details: { restored: true } })
  }
)

t.test('after 72 hours the link says that it is too old', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const undo = await changed(ctx, ada.id, 'ada@new.example')
  ctx.clock.advance(72 * hourMs)
  t.strictSame(await readUndo(ctx, undo), { ok: false, reason: 'expired' })
  t.strictSame(await undoAddressChange(ctx, undo), { ok: false, reason: 'expired' })
  t.equal(await emailOf(ctx, ada), 'ada@new.example')
})

t.test('ACC-3: a thief who changes the address twice cannot shake the first mailbox off', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const owners = await changed(ctx, ada.id, 'thief-1@new.example')
  const thiefs = await changed(ctx, ada.id, 'thief-2@new.example')
  t.match(await undoAddressChange(ctx, thiefs), { ok: true, restored: true })
  t.equal(await emailOf(ctx, ada), 'thief-1@new.example')
  t.match(
    await undoAddressChange(ctx, owners),
    { ok: true, restored: true },
    'an earlier mailbox outlives a later'
  )
  t.equal(await emailOf(ctx, ada), 'ada@example.org')
})

t.test('ACC-3: once the first mailbox has spoken, links of later ones are void', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const owners = await changed(ctx, ada.id, 'thief-1@new.example')
  const thiefs = await changed(ctx, ada.id, 'thief-2@new.example')
  t.match(await undoAddressChange(ctx, owners), { ok: true, restored: true })
  t.match(await undoAddressChange(ctx, thiefs), { ok: false, reason: 'invalid' })
  t.equal(await emailOf(ctx, ada), 'ada@example.org')
})

t.test('a change under way when the owner undoes the last one comes to nothing', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const undo = await changed(ctx, ada.id, 'thief-1@new.example')
  const thief = (await findAccount(ctx.sql, ada.id)) as Account
  const { token } = await asked(ctx, thief, { newEmail: 'thief-2@new.example' })
  const [, undone] = await Promise.all([
    confirmAddressChangeByLink(ctx, { token, accountId: ada.id }),
    undoAddressChange(ctx, undo)
  ])
  t.match(undone, { ok: true, restored: true })
  t.equal(await emailOf(ctx, ada), 'ada@example.org')
})

t.test('an old address that is taken by now is not given back, but everybody is signed out', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const undo = await changed(ctx, ada.id, 'ada@new.example')
  const other = await verifiedAccount(ctx, { email: 'ada@example.org', interactionUid: 'i2' })
  t.not(other.id, ada.id)
  ctx.clock.advance(1000)
  t.match(await undoAddressChange(ctx, undo), { ok: true, restored: false })
  t.match(await findAccount(ctx.sql, ada.id), { email: 'ada@new.example', tokensValidFrom: ctx.now() })
  t.equal(await emailOf(ctx, other), 'ada@example.org')
})
