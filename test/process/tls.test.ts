// OPS-7: TLS by the process itself, as an operator starts it.
import t from 'tap'
import { issueCertificate } from '../helpers/certificates.ts'
import { createDatabase } from '../helpers/database.ts'
import { dataDirectory, freePorts, run } from '../helpers/process.ts'
import { pemOfKey, serveTls, writeFiles } from '../helpers/tls.ts'

t.test('with a key and a certificate the process is at an https address, and at no http one', async t => {
  const { url } = await createDatabase(t)
  const port = await freePorts()
  const service = run(t, {
    PORT: String(port),
    DATA_DIR: dataDirectory(t),
    DATABASE_URL: url,
    DATABASE_POOL_SIZE: '3',
    LOG_LEVEL: 'warn',
    ...serveTls(t)
  })
  await service.says(new RegExp(`Gatehouse +https://localhost:${port}\n`))
  const issuer = `https://localhost:${port}`
  t.equal((await fetch(`${issuer}/healthz`)).status, 200)
  t.match(await (await fetch(`${issuer}/.well-known/openid-configuration`)).json(), {
    issuer,
    token_endpoint: `${issuer}/token`
  })
  await t.rejects(fetch(`http://localhost:${port}/healthz`))
  t.equal((await fetch(`${issuer}/healthz`)).status, 200, 'which disturbs nobody')
  service.child.kill('SIGTERM')
  t.equal(await service.exit, 0)
})

t.test(
  'a key that is not the certificate’s, or an http address beside them, is told before anything starts',
  async t => {
    const [one, other] = [issueCertificate('localhost'), issueCertificate('localhost')]
    const files = writeFiles(t, { key: pemOfKey(one), cert: other.pem, own: one.pem })
    const refusal = async (settings: Record<string, string>) => {
      const refused = run(t, { PORT: String(await freePorts()), DATA_DIR: dataDirectory(t), ...settings })
      t.equal(await refused.exit, 1)
      return refused.output()
    }
    t.match(
      await refusal({ TLS_KEY_FILE: files.key, TLS_CERT_FILE: files.cert }),
      /TLS_CERT_FILE holds a certificate for another key/
    )
    t.match(
      await refusal({ TLS_KEY_FILE: files.key, TLS_CERT_FILE: files.own, ISSUER: 'http://localhost:3000' }),
      /ISSUER must start with https:\/\/ where TLS_CERT_FILE is set/
    )
  }
)
