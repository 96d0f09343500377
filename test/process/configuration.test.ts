// OPS-1: with settings that are wrong nothing starts, and the operator is told all of it at once.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createDatabase } from '../helpers/database.ts'
import { dataDirectory, freePorts, isFree, run } from '../helpers/process.ts'

const key = randomBytes(32).toString('base64')
const production = {
  ISSUER: 'https://id.example.org',
  DATABASE_URL: 'postgres://u:p@127.0.0.1:1/db',
  SMTP_URL: 'smtp://127.0.0.1:1',
  ENCRYPTION_KEY: key
}

/** Starts, expects an end with code 1, and returns what was said. No port may have been opened meanwhile. */
async function refusal(t: Test, settings: Record<string, string>): Promise<string> {
  const port = await freePorts()
  const process = run(t, { PORT: String(port), DATA_DIR: dataDirectory(t), ...settings })
  let ended = false
  const exit = process.exit.finally(() => {
    ended = true
  })
  while (!ended) {
    if (!(await isFree(port))) t.fail('a port was opened')
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  t.equal(await exit, 1, process.output())
  t.notMatch(process.output(), /\n\s+at /, 'no stack')
  return process.output()
}

const faults: Record<string, [Record<string, string>, RegExp[]]> = {
  'http in production': [
    { ...production, ISSUER: 'http://id.example.org' },
    [/ISSUER must start with https:\/\//]
  ],
  'no database in production': [
    { ...production, DATABASE_URL: '' },
    [/DATABASE_URL is needed in production: postgres:\/\//]
  ],
  'no mail server in production': [
    { ...production, SMTP_URL: '' },
    [/SMTP_URL is needed in production: smtp:\/\//]
  ],
  'no key in production': [
    { ...production, ENCRYPTION_KEY: '' },
    [/ENCRYPTION_KEY is needed in production: .*openssl rand -base64 32/]
  ],
  'a short key': [
    { ENCRYPTION_KEY: randomBytes(16).toString('base64') },
    [/ENCRYPTION_KEY must be at least 32 random bytes/]
  ],
  'a typed key': [
    { ENCRYPTION_KEY: 'changeme'.repeat(8) },
    [/ENCRYPTION_KEY must be at least 32 random bytes/]
  ],
  'a key of zeros': [
    { ENCRYPTION_KEY: Buffer.alloc(32).toString('base64') },
    [/ENCRYPTION_KEY must be at least 32 random bytes/]
  ],
  'a key that is no base64': [
    { ENCRYPTION_KEY: `${key.slice(0, -4)} !!!` },
    [/ENCRYPTION_KEY must be at least 32 random bytes/]
  ],
  'everything at once': [
    {
      ISSUER: 'http://id.example.org',
      PORT: '99999',
      LOG_LEVEL: 'loud',
      BRAND_ACCENT_COLOR: 'blue',
      PASSWORD_MIN_LENGTH: '3',
      ARGON2_MEMORY_KIB: 'many',
      TRUSTED_PROXIES: '10.0.0.0/8, everyone',
      BRAND_LOGO: '/nowhere/logo.svg',
      MAILS_PER_RECIPIENT_PER_HOUR: '0',
      SESSION_IDLE_SECONDS: '100000',
      SESSION_ABSOLUTE_SECONDS: '1000',
      SMTP_URL_FILE: '/nowhere/smtp'
    },
    [
      /ISSUER must start with https/,
      /PORT must be a whole number from 1 to 65535, not "99999"/,
      /LOG_LEVEL must be one of trace, debug/,
      /BRAND_ACCENT_COLOR must be a colour like #/,
      /PASSWORD_MIN_LENGTH must be a whole number from 8/,
      /ARGON2_MEMORY_KIB must be a whole number/,
      /TRUSTED_PROXIES must list .* not "everyone"/,
      /BRAND_LOGO names a file/,
      /MAILS_PER_RECIPIENT_PER_HOUR must be/,
      /SESSION_IDLE_SECONDS must not be longer/,
      /SMTP_URL_FILE names a file/,
      /DATABASE_URL is needed/,
      /ENCRYPTION_KEY is needed/,
      /SMTP_URL is needed/
    ]
  ],
  'addresses that are none': [
    { DATABASE_URL: 'mysql://secret-password@x/y', SMTP_URL: 'secret-password' },
    [
      /DATABASE_URL must be a URL starting with postgres:\/\//,
      /SMTP_URL must be a URL starting with smtp:\/\//
    ]
  ],
  'an issuer with a path': [{ ISSUER: 'https://example.org/id' }, [/ISSUER must be an origin alone/]],
  'an issuer that is no URL': [{ ISSUER: 'id.example.org' }, [/ISSUER must be a URL like https:\/\//]],
  'a loopback look-alike': [
    { ...production, ISSUER: 'http://localhost.example.org' },
    [/ISSUER must start with https/]
  ],
  'a secret set twice': [
    { ...production, ENCRYPTION_KEY_FILE: '/dev/null' },
    [/ENCRYPTION_KEY is set twice/, /ENCRYPTION_KEY is needed/]
  ]
}

for (const [what, [settings, lines]] of Object.entries(faults))
  t.test(`OPS-1: ${what}: each fault is a line that names the setting and what to put`, async t => {
    const output = await refusal(t, settings)
    for (const line of lines) t.match(output, line)
    t.equal(output.split('\n').filter(line => /^ {2}[A-Z0-9_]+ /.test(line)).length, lines.length, output)
    t.notMatch(output, /secret-password|changeme/, 'and no secret is repeated')
    t.notOk(output.includes(key))
  })

t.test('OPS-1: settings that are only wrong once the database is asked', async t => {
  await t.test('a database that does not answer', async t => {
    const output = await refusal(t, { DATABASE_URL: 'postgres://u:secret-password@127.0.0.1:1/db' })
    t.match(output, /Gatehouse could not start: .*DATABASE_URL/)
    t.notMatch(output, 'secret-password')
  })

  await t.test('another ENCRYPTION_KEY than the database was made with', async t => {
    const { url, sql } = await createDatabase(t)
    const first = run(t, {
      PORT: String(await freePorts()),
      DATA_DIR: dataDirectory(t),
      DATABASE_URL: url,
      ENCRYPTION_KEY: key
    })
    await first.says(/Mailbox/)
    first.child.kill('SIGTERM')
    t.equal(await first.exit, 0)
    const before = await sql`select kid from signing_keys order by kid`
    t.equal(before.length, 3)
    const output = await refusal(t, { DATABASE_URL: url, ENCRYPTION_KEY: randomBytes(32).toString('base64') })
    t.match(output, /Gatehouse could not start: .*ENCRYPTION_KEY/)
    t.strictSame([...(await sql`select kid from signing_keys order by kid`)], [...before])
  })

  await t.test('a database of a newer release', async t => {
    const { url, sql } = await createDatabase(t)
    await sql`insert into schema_migrations (name, checksum, applied_at) values ('299901010000_future.sql', 'x', now())`
    t.match(
      await refusal(t, { DATABASE_URL: url }),
      /Gatehouse could not start: The database is newer than this release/
    )
  })

  await t.test('a migration that was changed after it was applied', async t => {
    const { url, sql } = await createDatabase(t)
    await sql`update schema_migrations set checksum = 'other' where name in (select min(name) from schema_migrations)`
    t.match(
      await refusal(t, { DATABASE_URL: url }),
      /Gatehouse could not start: Applied migrations were changed/
    )
  })
})

t.test('OPS-1: secrets may come from files, and a port that is taken is said so', async t => {
  const { url } = await createDatabase(t)
  const directory = dataDirectory(t)
  writeFileSync(join(directory, 'url'), `${url}\n`, { mode: 0o600 })
  writeFileSync(join(directory, 'key'), `${key}\n`, { mode: 0o600 })
  const port = await freePorts()
  const settings = {
    PORT: String(port),
    DATA_DIR: directory,
    DATABASE_URL_FILE: join(directory, 'url'),
    ENCRYPTION_KEY_FILE: join(directory, 'key')
  }
  const first = run(t, settings)
  await first.says(/Mailbox/)
  const second = run(t, settings)
  t.equal(await second.exit, 1)
  t.match(second.output(), /Gatehouse could not start: .*(EADDRINUSE|port)/)
  t.equal((await fetch(`http://localhost:${port}/healthz`)).status, 200, 'and the first goes on')
})
