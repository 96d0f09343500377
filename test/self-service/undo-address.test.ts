// Taking back a change of the address: the mailbox before it decides, once.
import t from 'tap'
import { confirmAddressChangeByLink, requestAddressChange } from '../../src/accounts/address-service.ts'
import type { Account } from '../../src/accounts/model.ts'
import { findAccount } from '../../src/accounts/repository.ts'
import { readUndo } from '../../src/accounts/undo-address-service.ts'
import { takeBackAddress } from '../../src/self-service/undo-address-service.ts'
import { changeAskedFor, changedAddress, emailOf, mailsOf } from '../helpers/addresses.ts'
import { createContext, type TestContext } from '../helpers/context.ts'
import { verifiedAccount } from '../helpers/people.ts'

const hourMs = 3_600_000
const damaged = (token: string) => `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`
const twenty = <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, work))
const wins = (outcomes: { ok: boolean }[]) => outcomes.filter(({ ok }) => ok).length
const takeBack = (ctx: TestContext, token: string) => takeBackAddress(ctx, { token, askedBy: 'owner' })

t.test(
  'ACC-3: the old mailbox undoes the change within 72 hours: once, and everybody is signed out',
  async t => {
    const ctx = await createContext(t)
    const ada = await verifiedAccount(ctx)
    const undo = await changedAddress(ctx, ada.id, 'thief@new.example')
    ctx.clock.advance(72 * hourMs - 1000)
    t.strictSame(await readUndo(ctx, undo), { ok: true, oldEmail: 'ada@example.org' })
    t.equal(await emailOf(ctx, ada), 'thief@new.example', 'looking spends nothing')
    t.match(await takeBack(ctx, damaged(undo)), { ok: false, reason: 'invalid' })

    const outcomes = await twenty(() => takeBack(ctx, undo))
    t.equal(wins(outcomes), 1)
    t.match(
      outcomes.find(({ ok }) => ok),
      { email: 'ada@example.org', recovery: 'queued' }
    )
    const account = (await findAccount(ctx.sql, ada.id)) as Account
    t.equal(account.emailKey, 'ada@example.org')
    t.strictSame(account.tokensValidFrom, ctx.now())
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
  const undo = await changedAddress(ctx, ada.id, 'ada@new.example')
  ctx.clock.advance(72 * hourMs)
  t.strictSame(await readUndo(ctx, undo), { ok: false, reason: 'expired' })
  t.strictSame(await takeBack(ctx, undo), { ok: false, reason: 'expired' })
  t.equal(await emailOf(ctx, ada), 'ada@new.example')
})

t.test('ACC-3: a thief who changes the address twice cannot shake the first mailbox off', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const owners = await changedAddress(ctx, ada.id, 'thief-1@new.example')
  const thiefs = await changedAddress(ctx, ada.id, 'thief-2@new.example')
  t.match(await takeBack(ctx, thiefs), { ok: true, recovery: 'queued' })
  t.equal(await emailOf(ctx, ada), 'thief-1@new.example')
  t.match(
    await takeBack(ctx, owners),
    { ok: true, recovery: 'queued' },
    'an earlier mailbox outlives a later'
  )
  t.equal(await emailOf(ctx, ada), 'ada@example.org')
})

t.test('ACC-3: once the first mailbox has spoken, links of later ones are void', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const owners = await changedAddress(ctx, ada.id, 'thief-1@new.example')
  const thiefs = await changedAddress(ctx, ada.id, 'thief-2@new.example')
  t.match(await takeBack(ctx, owners), { ok: true, recovery: 'queued' })
  t.match(await takeBack(ctx, thiefs), { ok: false, reason: 'invalid' })
  t.equal(await emailOf(ctx, ada), 'ada@example.org')
})

t.test('a change under way when the owner undoes the last one comes to nothing', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const undo = await changedAddress(ctx, ada.id, 'thief-1@new.example')
  const thief = (await findAccount(ctx.sql, ada.id)) as Account
  const { token } = await changeAskedFor(ctx, thief, { newEmail: 'thief-2@new.example' })
  const [, undone] = await Promise.all([
    confirmAddressChangeByLink(ctx, { token, accountId: ada.id }),
    takeBack(ctx, undo)
  ])
  t.match(undone, { ok: true, recovery: 'queued' })
  t.equal(await emailOf(ctx, ada), 'ada@example.org')
})

t.test('an old address that is taken by now is not given back, but everybody is signed out', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const undo = await changedAddress(ctx, ada.id, 'ada@new.example')
  const other = await verifiedAccount(ctx, { email: 'ada@example.org', interactionUid: 'i2' })
  t.not(other.id, ada.id)
  ctx.clock.advance(1000)
  t.match(await takeBack(ctx, undo), { ok: true, recovery: 'taken' })
  t.equal(await emailOf(ctx, ada), 'ada@new.example')
  t.strictSame((await findAccount(ctx.sql, ada.id))?.tokensValidFrom, ctx.now())
  t.equal(await emailOf(ctx, other), 'ada@example.org')
})
