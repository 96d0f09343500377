// Who is the first operator is said on the command line, by whoever has the settings; over the network nobody becomes one.
import t from 'tap'
import { clientCommands } from '../../src/commands/clients.ts'
import { installationCommands } from '../../src/commands/installation.ts'
import { keyCommands } from '../../src/commands/keys.ts'
import { resourceCommands } from '../../src/commands/resources.ts'
import { roleCommands } from '../../src/commands/roles.ts'
import { createApplication, newcomer } from '../helpers/application.ts'
import { listRoutes } from '../helpers/routes.ts'
import { startService } from '../helpers/service.ts'

t.test('REG-9: two nodes that start at once make no operator, and no address makes one later', async t => {
  const service = await startService(t, { nodes: 2 })
  const count = async () => {
    const [row] = await service.pool<{ accounts: number; roles: number }[]>`
      select (select count(*)::int from accounts) as accounts, (select count(*)::int from role_assignments) as roles`
    return row
  }
  t.strictSame(await count(), { accounts: 0, roles: 0 })
  t.strictSame(
    listRoutes(service).filter(({ url }) => /setup|bootstrap|install|admin|operator/i.test(url)),
    []
  )
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      fetch(`${service.issuer}/setup`, {
        method: 'POST',
        body: new URLSearchParams({ email: 'eve@example.org', role: 'admin' })
      })
    )
  )
  t.strictSame([...new Set(answers.map(({ status }) => status))], [404])

  await newcomer(service, await createApplication(service), { email: 'first@example.org' })
  t.strictSame(await count(), { accounts: 1, roles: 0 }, 'whoever signs up first is nobody special')
})

t.test("RST-10: no operator's command sets or shows a password", async t => {
  const commands = [
    ...clientCommands,
    ...installationCommands,
    ...keyCommands,
    ...resourceCommands,
    ...roleCommands
  ]
  t.ok(commands.length > 10)
  for (const { words, options } of commands)
    t.notMatch([words, ...Object.keys(options)].join(' '), /password/i, words)
})
