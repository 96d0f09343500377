import { randomBytes } from 'node:crypto'
import t from 'tap'
import { runCommandLine } from '../../src/cli.ts'
import { listRoles } from '../../src/roles/repository.ts'
import { grantRole, isSecondFactorRequired, revokeRole } from '../../src/roles/service.ts'
import { createContext } from '../helpers/context.ts'
import { verifiedAccount } from '../helpers/people.ts'

const ctx = await createContext(t, { environment: { SECOND_FACTOR_ROLES: 'admin, auditor' } })
const encryptionKey = randomBytes(32).toString('base64')

/** Runs a command of the operator's on this database. */
async function roles(...words: string[]) {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await runCommandLine(['roles', ...words], {
    environment: { DATABASE_URL: ctx.url, ENCRYPTION_KEY: encryptionKey, DATA_DIR: t.testdirName },
    now: ctx.now,
    writeLine: line => void out.push(line),
    writeErrorLine: line => void err.push(line)
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

t.test('somebody is given a role once, also by two at once, and it is recorded', async t => {
  const { id: accountId } = await verifiedAccount(ctx, { email: 'twice@example.org' })
  const given = await Promise.all([1, 2].map(() => grantRole(ctx, { accountId, role: 'editor' })))
  t.strictSame(given.sort(), [false, true])
  t.strictSame(await listRoles(ctx.sql, accountId), ['editor'])
  const taken = await Promise.all([1, 2].map(() => revokeRole(ctx, { accountId, role: 'editor' })))
  t.strictSame(taken.sort(), [false, true])
  t.strictSame(await listRoles(ctx.sql, accountId), [])
  const events = await ctx.pool`
    select type, details from audit_events where account_id = ${accountId} and type like 'role.%' order by type`
  t.strictSame(
    events.map(({ type, details }) => [type, details]),
    [
      ['role.granted', { role: 'editor' }],
      ['role.revoked', { role: 'editor' }]
    ]
  )
})

t.test('a second factor is demanded of those whose role needs one, or of everybody', async t => {
  const { id: accountId } = await verifiedAccount(ctx, { email: 'needs@example.org' })
  await grantRole(ctx, { accountId, role: 'editor' })
  await grantRole(ctx, { accountId, role: 'Admin' })
  t.equal(await isSecondFactorRequired(ctx, accountId), false)
  const everybody = { ...ctx.config, secondFactor: { required: true, requiredRoles: [] } }
  t.equal(await isSecondFactorRequired({ ...ctx, config: everybody }, accountId), true)
  await grantRole(ctx, { accountId, role: 'auditor' })
  t.equal(await isSecondFactorRequired(ctx, accountId), true)
})

t.test('the operator gives roles, lists them and takes them', async t => {
  await verifiedAccount(ctx, { email: 'Ada@example.org' })
  await verifiedAccount(ctx, { email: 'bob@example.org' })
  t.match(await roles('add', '--email', 'ada@example.org', '--role', 'admin'), {
    code: 0,
    out: 'Ada@example.org is admin now.'
  })
  t.match(await roles('add', '--email', 'ADA@example.org', '--role', 'admin'), {
    code: 0,
    out: 'Ada@example.org is admin already.'
  })
  await roles('add', '--email', 'bob@example.org', '--role', 'admin')
  const added = await roles('add', '--email', 'ada@example.org', '--role', 'shop:clerk', '--json')
  t.strictSame(JSON.parse(added.out), { email: 'Ada@example.org', roles: ['admin', 'shop:clerk'] })
  t.match(await roles('list', '--email', 'ada@example.org'), { code: 0, out: 'admin\nshop:clerk' })
  t.match(await roles('list', '--role', 'admin'), { code: 0, out: 'ada@example.org\nbob@example.org' })
  t.match(await roles('remove', '--email', 'ada@example.org', '--role', 'admin'), { code: 0 })
  t.match(await roles('remove', '--email', 'ada@example.org', '--role', 'admin'), {
    code: 1,
    err: 'Ada@example.org is not admin.'
  })
  t.match(await roles('list', '--role', 'nothing'), { code: 0, out: 'Nobody is nothing.' })
})

t.test('what is typed wrongly is told, and changes nothing', async t => {
  t.match(await roles('add', '--email', 'nobody@example.org', '--role', 'admin'), {
    code: 1,
    err: 'There is no account with the address nobody@example.org.'
  })
  for (const words of [
    ['add', '--email', 'ada@example.org'],
    ['add', '--role', 'admin'],
    ['add', '--email', 'ada', '--role', 'admin'],
    ['add', '--email', 'ada@example.org', '--role', 'admin,auditor'],
    ['add', '--email', 'ada@example.org', '--role', ''],
    ['add', '--email', 'ada@example.org', '--role', 'x'.repeat(101)],
    ['list'],
    ['list', '--email', 'ada@example.org', '--role', 'admin']
  ])
    t.equal((await roles(...words)).code, 2, words.join(' '))
})
