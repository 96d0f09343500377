// OID-8: what shows that a token was used survives the process, however it ends.
import t from 'tap'
import { createApplication, newcomer, openid } from '../helpers/application.ts'
import { createDatabase } from '../helpers/database.ts'
import { facadeOf } from '../helpers/facade.ts'
import { dataDirectory, freePorts, run } from '../helpers/process.ts'
import { type Body, post } from '../helpers/protocol.ts'

t.test('OID-8: a used refresh token is known as used after kill -9, and its family ends with it', async t => {
  const { url } = await createDatabase(t)
  const dataDir = dataDirectory(t)
  const port = await freePorts()
  const start = async () => {
    const started = run(t, {
      PORT: String(port),
      DATA_DIR: dataDir,
      DATABASE_URL: url,
      ARGON2_MEMORY_KIB: '7168',
      ARGON2_ITERATIONS: '1',
      LOG_LEVEL: 'warn',
      DATABASE_POOL_SIZE: '3',
      REFRESH_TOKEN_GRACE_SECONDS: '0',
      REQUESTS_PER_ADDRESS_PER_MINUTE: '100000'
    })
    await started.says(/Mailbox/)
    return started
  }
  const first = await start()
  const facade = facadeOf(port, dataDir)
  const application = await createApplication(facade)
  const { tokens } = await newcomer(facade, application)
  const refresh = async (token: string | undefined): Promise<{ status: number; body: Body }> =>
    await post(
      facade,
      '/token',
      { grant_type: 'refresh_token', refresh_token: token },
      { client: { client_id: application.clientId, client_secret: application.clientSecret ?? '' } }
    )

  const second = await refresh(tokens.refresh_token)
  t.equal(second.status, 200)
  first.child.kill('SIGKILL')
  await first.exit
  await start()
  const third = await refresh(second.body.refresh_token)
  t.equal(third.status, 200, 'the family lives on after a crash')
  const replayed = await refresh(tokens.refresh_token)
  t.match(replayed, { status: 400, body: { error: 'invalid_grant' } }, 'the first one, used before the crash')
  t.match(await refresh(third.body.refresh_token), { status: 400, body: { error: 'invalid_grant' } })
  const { active } = await openid.tokenIntrospection(application.config, String(third.body.access_token))
  t.equal(active, false, 'and what it gave is over')
})
