// Which tokens of other issuers stand for a client: rules, and how the operator makes them.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCommandLine } from '../../src/cli.ts'
import { registerClient } from '../../src/clients/service.ts'
import { subjectMatches, type WorkloadInput, workloadFaults } from '../../src/clients/workload-model.ts'
import { createContext } from '../helpers/context.ts'

const branch = 'repo:acme/app:ref:refs/heads/'

t.test('a pattern fits a whole subject, and nothing that imitates one', async t => {
  const fits: [string, string][] = [
    ['repo:acme/app:ref:refs/heads/main', 'repo:acme/app:ref:refs/heads/main'],
    [`${branch}*`, `${branch}main`],
    [`${branch}*`, branch],
    [`${branch}**`, `${branch}feature/login`],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/app:ref:refs/heads/main'],
    [`${branch}release-*-*`, `${branch}release-1-2-3`],
    ['system:serviceaccount:prod:*', 'system:serviceaccount:prod:deployer'],
    ['a.c', 'a.c'],
    ['a*b**c', 'abc'],
    ['a*', 'a*'],
    ['ü*', 'ü😀']
  ]
  for (const [pattern, subject] of fits) t.ok(subjectMatches(pattern, subject), `${pattern} ${subject}`)
  const not: [string, string][] = [
    [`${branch}main`, `${branch}main2`],
    [`${branch}main`, `x${branch}main`],
    [`${branch}main`, `${branch}Main`],
    [`${branch}main`, `${branch}mai`],
    [`${branch}main`, `${branch}main\n`],
    [`${branch}main`, ''],
    [`${branch}*`, `${branch}feature/login`],
    [`${branch}*`, `${branch}x:environment:prod`],
    [`${branch}**`, `${branch}x:environment:prod`],
    [`${branch}*`, 'repo:acme/app2:ref:refs/heads/main'],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/app:environment:x:ref:refs/heads/main'],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/a/b:ref:refs/heads/main'],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/app:ref:refs/heads/main:ref:refs/heads/main'],
    ['a.c', 'abc'],
    ['(a|b)', 'a'],
    ['a?', 'a'],
    ['[a]', 'a']
  ]
  for (const [pattern, subject] of not) t.notOk(subjectMatches(pattern, subject), `${pattern} ${subject}`)
  const startedAt = performance.now()
  t.notOk(subjectMatches(`${'a*'.repeat(200)}b`, 'a'.repeat(5000)))
  t.ok(performance.now() - startedAt < 2000, 'and nobody makes it think for long')
})

const workload: WorkloadInput = {
  clientId: 'deployer',
  issuer: 'https://token.actions.githubusercontent.com',
  audience: null,
  subject: `${branch}main`,
  claims: {},
  jwks: null,
  reusable: false
}

t.test('a rule that would let in everybody is refused, and all that is wrong is said at once', async t => {
  t.strictSame(workloadFaults(workload), [])
  t.strictSame(workloadFaults({ ...workload, subject: null, claims: { repository_id: ['42'] } }), [])
  const fields = (over: Partial<WorkloadInput>) =>
    workloadFaults({ ...workload, ...over }).map(({ field }) => field)
  t.strictSame(fields({ subject: null }), ['claims'])
  t.strictSame(fields({ subject: null, claims: { a: [] } }), ['claims'])
  for (const subject of ['*', '**', '*:acme', '', 'a\0', 'x'.repeat(501)])
    t.strictSame(fields({ subject }), ['subject'], subject.slice(0, 10))
  for (const issuer of [
    '',
    'x',
    'ftp://a',
    'https://u:p@a',
    'https://a/?x',
    'https://a/#x',
    'https://a b',
    'https:\\\\a'
  ])
    t.strictSame(fields({ issuer }), ['issuer'], issuer)
  t.strictSame(fields({ audience: '' }), ['audience'])
  for (const jwks of [{}, { keys: [] }, { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }, 'x'])
    t.strictSame(fields({ jwks }), ['jwks'])
  t.strictSame(fields({ issuer: 'x', subject: '*', audience: '', jwks: {} }).sort(), [
    'audience',
    'issuer',
    'jwks',
    'subject'
  ])
})

t.test('the operator trusts workloads, lists them and stops', async t => {
  const ctx = await createContext(t)
  const encryptionKey = randomBytes(32).toString('base64')
  const workloads = async (...words: string[]) => {
    // Ids sort by the millisecond that they were made in.
    ctx.clock.advance(1)
    const [out, err]: [string[], string[]] = [[], []]
    const code = await runCommandLine(['workloads', ...words], {
      environment: { DATABASE_URL: ctx.url, ENCRYPTION_KEY: encryptionKey, DATA_DIR: t.testdirName },
      now: ctx.now,
      writeLine: line => void out.push(line),
      writeErrorLine: line => void err.push(line)
    })
    return { code, out: out.join('\n'), err: err.join('\n') }
  }
  const register = async (clientId: string, metadata: object) =>
    await registerClient(ctx, { client_name: clientId, ...metadata }, { clientId })
  await register('deployer', {
    grant_types: ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
    token_endpoint_auth_method: 'none'
  })
  await register('plain', { grant_types: ['client_credentials'] })
  const issuer = ['--issuer', 'https://token.actions.githubusercontent.com']

  t.match(await workloads('list'), { code: 0, out: 'No workloads are trusted.' })
  const added = await workloads('add', 'deployer', ...issuer, '--subject', `${branch}*`, '--json')
  t.equal(added.code, 0, added.err)
  const { id } = JSON.parse(added.out) as { id: string }
  const keys = join(t.testdir(), 'keys.json')
  writeFileSync(
    keys,
    JSON.stringify({
      keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }]
    })
  )
  const claims = ['--claim', 'repository_id=42', '--claim', 'environment=a', '--claim', 'environment=b=c']
  t.match(
    await workloads('add', 'deployer', ...issuer, ...claims, '--jwks', keys, '--reusable', '--audience', 'x'),
    {
      code: 0,
      out: /^Trusted as deployer\.\nid {2}[0-9a-f-]{36}$/
    }
  )
  const { out } = await workloads('list')
  t.match(out, `${id}  deployer`)
  t.match(out, 'environment=a|b=c repository_id=42')
  const [, second] = JSON.parse((await workloads('list', '--client', 'deployer', '--json')).out)
  t.match(second, { subject: null, audience: 'x', reusable: true, claims: { environment: ['a', 'b=c'] } })
  t.match(await workloads('list', '--client', 'plain'), { out: 'No workloads are trusted.' })

  t.match(await workloads('remove', id), { code: 0 })
  for (const unknown of [id, 'x']) t.match(await workloads('remove', unknown), { code: 1 })
  const events =
    await ctx.pool`select type, client_id, details from audit_events where type like 'workload.%' order by id`
  t.match(
    [...events].map(({ type, clientId }) => `${type} ${clientId}`),
    ['workload.trusted deployer', 'workload.trusted deployer', 'workload.removed deployer']
  )

  const rightly = ['--subject', 'repo:acme/app:x']
  for (const [words, code, err] of [
    [['add', 'deployer', ...rightly], 2, '--issuer is needed'],
    [['add', 'deployer', ...issuer], 1, 'claims or a subject is needed'],
    [['add', 'deployer', ...issuer, '--subject', '*'], 1, 'subject must not begin with *'],
    [['add', 'deployer', ...issuer, '--claim', 'x'], 2, '--claim needs NAME=VALUE'],
    [['add', 'deployer', ...issuer, ...rightly, '--jwks', '/nowhere'], 1, 'cannot be read'],
    [['add', 'deployer', '--issuer', 'http://localhost:3000', ...rightly], 1, 'must be another one'],
    [['add', 'nobody', ...issuer, ...rightly], 1, 'client_id is not registered'],
    [['add', 'plain', ...issuer, ...rightly], 1, 'client_id must be registered with the grant type']
  ] as const) {
    const said = await workloads(...words)
    t.equal(said.code, code, words.join(' '))
    t.match(said.err, err)
  }
})
