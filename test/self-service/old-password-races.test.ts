// Somebody signs in with the old password at the very moment at which it is replaced: it must not outlive that.
import t, { type Test } from 'tap'
import { endAllTokens } from '../../src/accounts/service.ts'
import { changeOwnPassword } from '../../src/self-service/password-service.ts'
import { createApplication } from '../helpers/application.ts'
import { openSignIn } from '../helpers/forms.ts'
import {
  askForReset,
  createPerson,
  lastNotMe,
  lastReset,
  newPassword,
  resetByLink,
  signedIn,
  trustedDevice
} from '../helpers/resets.ts'
import { password, type Service, startService, Visitor } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

/** Runs `replace` up to a row that only it needs, signs somebody in meanwhile, and lets it end. */
async function signInDuring(
  service: Service,
  { email, row, replace }: { email: string; row: ReturnType<typeof lockOf>; replace: () => Promise<unknown> }
) {
  const application = await createApplication(service)
  const { replacing, eve } = await service.pool.begin(async tx => {
    await tx.unsafe(row.text, row.values)
    const replacing = replace()
    await waitFor(async () => {
      const waiting = await tx`
        select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
      return waiting.length > 0
    })
    const eve = await signedIn(service, application, { email })
    // In an object: a bare promise would be waited for here, with the lock held.
    return { replacing: { done: replacing }, eve }
  })
  await replacing.done
  return eve
}

const lockOf = (table: 'devices' | 'mail_outbox', accountId: string) => ({
  text: `select from ${table} where account_id = $1 for update`,
  values: [accountId]
})

t.test('who signs in with the old password while it is being replaced is out when that is done', async t => {
  const service = await startService(t)

  await t.test('by a reset', async t => {
    const email = 'reset@example.org'
    const id = await createPerson(service, { email })
    await trustedDevice(service, id)
    await askForReset(service, email)
    const { link } = await lastReset(service, email)
    const replace = () => resetByLink(link)
    await isOut(t, await signInDuring(service, { email, row: lockOf('devices', id), replace }))
  })

  await t.test('by “this wasn’t me”', async t => {
    const email = 'notme@example.org'
    const id = await createPerson(service, { email })
    await askForReset(service, email)
    await resetByLink((await lastReset(service, email)).link, password)
    const link = await lastNotMe(service, email)
    await trustedDevice(service, id)
    const visitor = new Visitor()
    const page = await visitor.visit(link)
    const replace = () => visitor.post(page, 'not-me-form')
    await isOut(t, await signInDuring(service, { email, row: lockOf('devices', id), replace }))
  })

  await t.test('by a change', async t => {
    const email = 'change@example.org'
    const accountId = await createPerson(service, { email })
    const ada = await signedIn(service, await createApplication(service), { email })
    const [session] = await service.pool<{ uid: string }[]>`
      select uid from sessions where account_id = ${accountId}`
    const sessionUid = session?.uid ?? ''
    const typed = { accountId, sessionUid, current: password, password: newPassword }
    const replace = () => changeOwnPassword(service.app.ctx, typed)
    const row = { text: 'select from sessions where account_id = $1 for update', values: [accountId] }
    await isOut(t, await signInDuring(service, { email, row, replace }))
    t.equal(await ada.isSignedIn(), true)
  })
})

async function isOut(t: Test, eve: Awaited<ReturnType<typeof signedIn>>): Promise<void> {
  t.equal(await eve.isSignedIn(), false)
  t.equal(await eve.refreshes(), false)
}

t.test('a sign-in counts from before its password was looked at, however long that took', async t => {
  const service = await startService(t, {
    environment: { ARGON2_MEMORY_KIB: '131072', ARGON2_ITERATIONS: '4' }
  })
  const application = await createApplication(service)
  const email = 'slow@example.org'
  const id = await createPerson(service, { email })
  const { visitor, page } = await openSignIn(service, { application })
  service.statements.length = 0
  const answer = visitor.post(page, 'sign-in-form', { email, password })
  await waitFor(() => service.statements.some(text => text.includes('password_credentials.password_hash')))
  await endAllTokens(service.app.ctx, id)
  const next = await visitor.follow(await answer)
  t.match(next.text, 'sign-in-form', 'cut off while the password was being checked')
})
