import { randomBytes } from 'node:crypto'
import t from 'tap'
import { runCommandLine } from '../../src/cli.ts'
import { listGroups } from '../../src/roles/group-repository.ts'
import { addToGroup, removeFromGroup } from '../../src/roles/group-service.ts'
import { createContext } from '../helpers/context.ts'
import { verifiedAccount } from '../helpers/people.ts'

const ctx = await createContext(t)
const encryptionKey = randomBytes(32).toString('base64')

/** Runs a command of the operator's on this database. */
async function groups(...words: string[]) {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await runCommandLine(['groups', ...words], {
    environment: { DATABASE_URL: ctx.url, ENCRYPTION_KEY: encryptionKey, DATA_DIR: t.testdirName },
    now: ctx.now,
    writeLine: line => void out.push(line),
    writeErrorLine: line => void err.push(line)
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

t.test('somebody is put in a group once, also by two at once, and it is recorded', async t => {
  const { id: accountId } = await verifiedAccount(ctx, { email: 'twice@example.org' })
  const put = await Promise.all([1, 2].map(() => addToGroup(ctx, { accountId, group: 'board' })))
  t.strictSame(put.sort(), [false, true])
  t.strictSame(await listGroups(ctx.sql, accountId), ['board'])
  const taken = await Promise.all([1, 2].map(() => removeFromGroup(ctx, { accountId, group: 'board' })))
  t.strictSame(taken.sort(), [false, true])
  t.strictSame(await listGroups(ctx.sql, accountId), [])
  const events = await ctx.pool`
    select type, details from audit_events where account_id = ${accountId} and type like 'group.%' order by type`
  t.strictSame(
    events.map(({ type, details }) => [type, details]),
    [
      ['group.member_added', { group: 'board' }],
      ['group.member_removed', { group: 'board' }]
    ]
  )
})

t.test('the operator names members, lists them and takes them out', async t => {
  await verifiedAccount(ctx, { email: 'Ada@example.org' })
  await verifiedAccount(ctx, { email: 'bob@example.org' })
  t.match(await groups('add', '--email', 'ada@example.org', '--group', 'board'), {
    code: 0,
    out: 'Ada@example.org is in board now.'
  })
  t.match((await groups('add', '--email', 'ada@example.org', '--group', 'board')).out, 'is in board already.')
  await groups('add', '--email', 'bob@example.org', '--group', 'board')
  const added = await groups('add', '--email', 'ada@example.org', '--group', 'engineers', '--json')
  t.strictSame(JSON.parse(added.out), { email: 'Ada@example.org', groups: ['board', 'engineers'] })
  t.match(await groups('list', '--email', 'ada@example.org'), { out: 'board\nengineers' })
  t.match(await groups('list', '--group', 'board'), { out: 'ada@example.org\nbob@example.org' })
  t.match(await groups('remove', '--email', 'ada@example.org', '--group', 'board'), {
    code: 0,
    out: 'Ada@example.org is not in board any more.'
  })
  t.match(await groups('remove', '--email', 'ada@example.org', '--group', 'board'), { code: 1 })
  t.match(await groups('list', '--group', 'nothing'), { out: 'Nobody is in nothing.' })
  t.match(await groups('add', '--email', 'ada@example.org', '--group', 'two words'), { code: 2 })
  t.match(await groups('add', '--email', 'nobody@example.org', '--group', 'board'), { code: 1 })
})
