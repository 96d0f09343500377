import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommandLine } from '../../src/cli.ts'
import { ensureSigningKeys } from '../../src/keys/service.ts'
import { createDatabase } from '../helpers/database.ts'
import { createContext } from '../helpers/registry-context.ts'

const encryptionKey = randomBytes(32).toString('base64')

/** Runs a command line and returns what a terminal would show. */
async function run(words: string[], environment: Record<string, string>) {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await runCommandLine(words, {
    environment,
    now: () => new Date(),
    writeLine: line => void out.push(line),
    writeErrorLine: line => void err.push(line)
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

async function installation(t: Test) {
  const { url, sql } = await createDatabase(t)
  const environment = { DATABASE_URL: url, ENCRYPTION_KEY: encryptionKey, DATA_DIR: t.testdir() }
  const command = (...words: string[]) => run(words, environment)
  return { command, environment, sql }
}

t.test('an application is registered, listed and removed; its secret is printed once', async t => {
  const { command } = await installation(t)
  const added = await command(
    ...['clients', 'add', '--name', 'Shop', '--client-id', 'shop', '--first-party'],
    ...['--redirect-uri', 'https://shop.example/callback', '--redirect-uri', 'https://shop.example/other'],
    ...['--grant-type', 'authorization_code', '--grant-type', 'refresh_token']
  )
  t.equal(added.code, 0)
  const secret = /client_secret {2}(\S{43})$/m.exec(added.out)?.[1] ?? ''
  t.match(added.out, /client_id {6}shop$/m)
  t.match(added.out, 'The secret is not shown again')
  t.equal(added.out.split(secret).length, 2, 'once')

  const listed = await command('clients', 'list')
  t.match(
    listed.out,
    /^shop +Shop +client_secret_basic +authorization_code refresh_token +yes +the operator$/m
  )
  t.notMatch(listed.out, secret)
  const json = await command('clients', 'list', '--json')
  t.match(JSON.parse(json.out), [{ client_id: 'shop', redirect_uris: { length: 2 }, first_party: true }])
  t.notMatch(json.out, /secret"/)

  const replaced = await command('clients', 'secret', 'shop', '--json')
  t.not(JSON.parse(replaced.out).client_secret, secret)
  t.strictSame(await command('clients', 'remove', 'shop'), { code: 0, out: 'Removed shop.', err: '' })
  t.strictSame(await command('clients', 'remove', 'shop'), {
    code: 1,
    out: '',
    err: 'There is no client "shop".'
  })
  t.match(await command('clients', 'list'), { out: 'No applications are registered.' })
})

t.test('every fault of a registration is told at once, in words or in JSON', async t => {
  const { command } = await installation(t)
  const words = [
    'clients',
    'add',
    '--type',
    'desktop',
    '--redirect-uri',
    'http://shop.example/',
    '--scope',
    ''
  ]
  const { code, out, err } = await command(...words)
  t.equal(code, 1)
  t.equal(out, '')
  t.match(err, /client_name is needed/)
  t.match(err, /application_type must be one of web, native/)
  t.match(err, /redirect_uris\[0\] must use https/)
  t.match(err, /scope must be/)

  const json = JSON.parse((await command(...words, '--json')).err)
  t.match(json.error, { code: 'validation_error', details: { length: 4 } })
})

t.test('metadata may come from a file, and options win over it', async t => {
  const { command, environment } = await installation(t)
  const path = join(environment.DATA_DIR, 'client.json')
  const metadata = {
    client_name: 'Shop',
    redirect_uris: ['https://shop.example/'],
    contacts: ['help@shop.example']
  }
  writeFileSync(path, JSON.stringify(metadata))
  const added = await command('clients', 'add', '--metadata', path, '--name', 'Market', '--public', '--json')
  t.match(JSON.parse(added.out), {
    client_name: 'Market',
    contacts: ['help@shop.example'],
    token_endpoint_auth_method: 'none'
  })
  t.notMatch(added.out, 'client_secret')

  writeFileSync(path, '["not an object"]')
  t.match(await command('clients', 'add', '--metadata', path), { code: 1, err: /must hold one JSON object/ })
  t.match(await command('clients', 'add', '--metadata', '/nowhere.json'), { code: 1, err: /cannot be read/ })
})

t.test('a registration is changed member by member; what is not named stays, its secret too', async t => {
  const { command, environment, sql } = await installation(t)
  const added = await command(
    ...['clients', 'add', '--name', 'Shop', '--client-id', 'shop', '--secret-expires-at', '2030-01-31'],
    ...['--redirect-uri', 'https://shop.example/callback', '--pairwise', '--json']
  )
  const expiresAt = Date.UTC(2030, 0, 31) / 1000
  t.match(JSON.parse(added.out), { client_secret_expires_at: expiresAt, subject_type: 'pairwise' })
  const hashOf = async () => (await sql`select client_secret_hash from clients`)[0]?.clientSecretHash
  const before = await hashOf()
  const changed = await command(
    ...['clients', 'update', 'shop', '--access-token-lifetime', '60', '--id-token-lifetime', '90'],
    ...['--access-token-format', 'opaque', '--refresh-token-idle', '600', '--refresh-token-absolute', '6000'],
    ...['--refresh-token-grace', '0', '--refresh-token-rotation', 'off', '--json']
  )
  t.match(JSON.parse(changed.out), {
    client_id: 'shop',
    client_name: 'Shop',
    redirect_uris: ['https://shop.example/callback'],
    access_token_lifetime_seconds: 60,
    id_token_lifetime_seconds: 90,
    access_token_format: 'opaque',
    refresh_token_idle_seconds: 600,
    refresh_token_absolute_seconds: 6000,
    refresh_token_grace_seconds: 0,
    refresh_token_rotation: false,
    client_secret_expires_at: expiresAt
  })
  t.notMatch(changed.out, 'client_secret"')
  t.strictSame(await hashOf(), before)

  const path = join(environment.DATA_DIR, 'client.json')
  writeFileSync(path, JSON.stringify({ refresh_token_rotation: null, client_secret_expires_at: null }))
  const cleared = JSON.parse((await command('clients', 'update', 'shop', '--metadata', path, '--json')).out)
  t.notOk('refresh_token_rotation' in cleared || 'client_secret_expires_at' in cleared)
  t.equal(cleared.refresh_token_grace_seconds, 0)

  const secret = await command(
    'clients',
    'secret',
    'shop',
    '--secret-expires-at',
    '2030-01-31T00:00:01Z',
    '--json'
  )
  t.match(JSON.parse(secret.out), { client_secret_expires_at: expiresAt + 1 })
  t.not((await hashOf())?.toString('hex'), before?.toString('hex'))

  t.match(await command('clients', 'update', 'nobody', '--name', 'X'), { code: 1, err: /no client "nobody"/ })
  t.match(await command('clients', 'update', 'shop', '--access-token-lifetime', '1'), {
    code: 1,
    err: /access_token_lifetime_seconds must be/
  })
  t.match(await command('clients', 'update', 'shop', '--refresh-token-rotation', 'no'), { code: 2 })
  t.match(await command('clients', 'update', 'shop', '--secret-expires-at', '31.1.2030'), { code: 2 })
})

t.test('resources are registered, listed and removed', async t => {
  const { command } = await installation(t)
  const words = [
    'resources',
    'add',
    'urn:shop:api',
    '--scope',
    'read',
    '--scope',
    'write',
    '--lifetime-seconds',
    '60'
  ]
  t.match(await command(...words), { code: 0, out: 'Registered urn:shop:api.' })
  t.match(await command(...words), { code: 1, err: /identifier is taken/ })
  t.match((await command('resources', 'list')).out, /^urn:shop:api +urn:shop:api +jwt +read write$/m)
  t.match(await command('resources', 'add', 'urn:x:y', '--lifetime-seconds', 'soon'), { code: 2 })
  t.match(await command('resources', 'remove', 'urn:shop:api'), { code: 0 })
  t.match(await command('resources', 'remove', 'urn:shop:api'), { code: 1 })
})

t.test('claims are filled in, listed and removed', async t => {
  const { command } = await installation(t)
  const added = await command(
    ...['claims', 'add', 'department', '--from', 'profile:department', '--scope', 'org', '--in', 'id_token'],
    ...['--in', 'userinfo', '--description', 'See where you work', '--json']
  )
  const mapping = JSON.parse(added.out)
  t.match(mapping, {
    claim: 'department',
    source: 'profile',
    path: 'department',
    scope: 'org',
    client_id: null,
    destinations: ['id_token', 'userinfo'],
    description: 'See where you work'
  })
  t.match(await command('claims', 'add', 'tenant', '--value', '{"id": 7}'), {
    code: 0,
    out: /^Added tenant: /
  })
  t.match(await command('claims', 'add', 'groups', '--from', 'groups'), { code: 0 })
  const list = (await command('claims', 'list')).out
  t.match(list, /^\S+ +department +profile:department +org +any +id_token userinfo$/m)
  t.match(list, /^\S+ +tenant +\{"id":7\} +any +any +userinfo$/m)
  t.match(await command('claims', 'remove', mapping.id), { code: 0, out: 'Removed department.' })
  t.match(await command('claims', 'remove', mapping.id), { code: 1 })
  t.match(await command('claims', 'remove', 'x'), { code: 1 })

  t.match(await command('claims', 'add', 'email', '--value', '"a@b.example"'), {
    code: 1,
    err: /meaning of its own/
  })
  t.match(await command('claims', 'add', 'a', '--from', 'elsewhere'), {
    code: 1,
    err: /source must be one of/
  })
  t.match(await command('claims', 'add', 'a'), { code: 2 })
  t.match(await command('claims', 'add', 'a', '--from', 'roles', '--value', '1'), { code: 2 })
  t.match(await command('claims', 'add', 'a', '--value', 'no JSON'), { code: 2 })
})

t.test('keys are rotated step by step, or at once', async t => {
  const { command, environment, sql } = await installation(t)
  await ensureSigningKeys(createContext(sql, environment))

  t.match((await command('keys', 'rotate', '--alg', 'ES256')).out, /^ES256: published \S+ It may sign from/)
  t.match((await command('keys', 'rotate', '--alg', 'ES256')).out, /is published and may sign from/)
  t.match(
    (await command('keys', 'rotate', '--alg', 'ES256', '--publish-seconds', '0')).out,
    /signs now\..* is retired/
  )
  t.match((await command('keys', 'rotate', '--alg', 'ES256', '--revoke')).out, /signs now\..* is revoked/)
  const all = JSON.parse((await command('keys', 'rotate', '--now', '--json')).out)
  t.strictSame(
    all.rotations.map(({ alg, step }: Record<string, string>) => [alg, step]),
    [
      ['ES256', 'promoted'],
      ['RS256', 'promoted'],
      ['EdDSA', 'promoted']
    ]
  )
  const listed = await command('keys', 'list', '--json')
  t.equal(JSON.parse(listed.out).length, 7)
  t.notMatch(listed.out, /"d"|sealed/i)
  t.match(await command('keys', 'rotate', '--alg', 'HS256'), { code: 2, err: /--alg must be one of/ })
})

t.test('a key that does not open the database is named', async t => {
  const { environment, sql } = await installation(t)
  await ensureSigningKeys(createContext(sql, environment))
  const other = { ...environment, ENCRYPTION_KEY: randomBytes(32).toString('base64') }
  t.match(await run(['keys', 'rotate'], other), { code: 1, err: /^ENCRYPTION_KEY does not open/ })
})

t.test('what is typed wrongly ends with code 2 and says what to do', async t => {
  const settings = { DATABASE_URL: 'postgres://nobody@localhost:1/none', ENCRYPTION_KEY: encryptionKey }
  for (const words of [
    ['client', 'add'],
    ['clients'],
    ['clients', 'add', '--nmae', 'Shop'],
    ['clients', 'add', '--name'],
    ['clients', 'add', 'stray', '--name', 'Shop'],
    ['clients', 'remove'],
    ['clients', 'remove', 'one', 'two'],
    ['clients', 'add', '--public', '--auth-method', 'none'],
    ['help', 'nothing'],
    ['--verbose']
  ]) {
    const { code, out, err } = await run(words, settings)
    t.equal(code, 2, words.join(' '))
    t.equal(out, '')
    t.match(err, /`gatehouse help` lists the commands/, words.join(' '))
  }
  t.match(JSON.parse((await run(['nothing', '--json'], settings)).err), { error: { code: 'usage_error' } })
})

t.test('help tells every command and its options without touching anything', async t => {
  for (const words of [[], ['help'], ['--help'], ['-h']]) {
    const { code, out } = await run(words, {})
    t.equal(code, 0)
    for (const command of ['clients add', 'resources list', 'keys rotate', 'migrate', 'config check'])
      t.match(out, command)
  }
  t.match((await run(['help', 'clients', 'add'], {})).out, '--redirect-uri URI')
  t.match((await run(['clients', 'add', '--help'], {})).out, '--redirect-uri URI')
})

t.test('config check tells every fault at once, and writes nothing', async t => {
  const directory = t.testdir()
  const dataDir = join(directory, 'data')
  const good = await run(['config', 'check'], { DATA_DIR: dataDir })
  t.match(good, {
    code: 0,
    out: /issuer +http:\/\/localhost:3000\n.*\n.*\n.*embedded.*\n.*\nThe settings are in order\./
  })

  const bad = await run(['config', 'check'], {
    ISSUER: 'http://id.example.org',
    PORT: 'x',
    DATA_DIR: dataDir
  })
  t.equal(bad.code, 1)
  for (const name of ['ISSUER', 'PORT', 'DATABASE_URL', 'ENCRYPTION_KEY', 'SMTP_URL'])
    t.match(bad.err, new RegExp(`^ {2}${name} `, 'm'))
  t.strictSame(readdirSync(directory), [], 'not even the data directory')

  const production = await run(['config', 'check', '--json'], {
    ISSUER: 'https://id.example.org',
    DATABASE_URL: 'postgres://gatehouse:database-secret@db/gatehouse?password=other-secret',
    ENCRYPTION_KEY: encryptionKey,
    SMTP_URL: 'smtp://user:mail-secret@mail:587',
    DATA_DIR: dataDir
  })
  t.match(JSON.parse(production.out), { ok: true, mode: 'production', database: 'postgres://db/gatehouse' })
  t.notMatch(production.out, /-secret/)
})

t.test('migrate brings a database up to date; before that other commands ask for it', async t => {
  const { command, sql } = await installation(t)
  await sql`drop schema public cascade`
  await sql`create schema public`
  t.match(await command('clients', 'list'), { code: 1, err: /run `gatehouse migrate` first/ })
  t.match((await command('migrate')).out, /^Applied \d{12}_\w+\.sql\.$/m)
  t.match((await command('migrate')).out, 'The database is up to date.')
  t.match((await command('clients', 'list')).code, 0)
})

t.test('a database that does not answer is said to be one', async t => {
  const { code, err } = await run(['clients', 'list'], {
    DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
    ENCRYPTION_KEY: encryptionKey
  })
  t.equal(code, 1)
  t.match(err, /The database does not answer.*is DATABASE_URL right/)
})
