import { argon2Sync } from 'node:crypto'
import t from 'tap'
import { hashPassword, needsRehash, verifyPassword } from '../../src/credentials/hashing.ts'
import { checkNewPassword } from '../../src/credentials/model.ts'
import { derivePhc, engine, matchesPhc, nodeEngine, type Phc, parsePhc } from '../../src/credentials/phc.ts'
import { createConfig } from '../helpers/context.ts'

const config = createConfig()

function read(text: string): Phc {
  const phc = parsePhc(text)
  if (phc === null) throw new Error(`not read: ${text}`)
  return phc
}

t.test('PWD-1: a new password is judged by its length in characters alone', async t => {
  const table: [unknown, string | null][] = [
    ['x'.repeat(14), 'too_short'],
    ['x'.repeat(15), null],
    ['x'.repeat(64), null],
    ['x'.repeat(256), null],
    ['x'.repeat(257), 'too_long'],
    [' '.repeat(15), null],
    ['aaaaaaaaaaaaaaa', null],
    ['пароль из кириллицы', null],
    ['😀'.repeat(14), 'too_short'],
    ['😀'.repeat(15), null],
    ['😀'.repeat(256), null],
    ['😀'.repeat(257), 'too_long'],
    [`${'e\u0301'.repeat(14)}`, 'too_short'],
    ['\u0000'.repeat(15), null],
    ['', 'missing'],
    [undefined, 'missing'],
    [['correct horse battery staple'], 'missing'],
    [{ length: 20 }, 'missing'],
    [`${'x'.repeat(20)}\ud800`, 'missing']
  ]
  for (const [password, fault] of table)
    t.equal(checkNewPassword(config, password), fault, JSON.stringify(password)?.slice(0, 30))
  t.equal(checkNewPassword(createConfig({ PASSWORD_MIN_LENGTH: '8' }), 'x'.repeat(8)), null)
})

t.test('PWD-2: a password is verified exactly: nothing is trimmed, folded or cut off', async t => {
  const password = ` Correct horse ${'x'.repeat(200)}`
  const phc = await hashPassword(config, password)
  t.ok(await verifyPassword(config, phc, password))
  const others = [
    password.trim(),
    `${password} `,
    password.toLowerCase(),
    password.toUpperCase(),
    password.slice(0, 72),
    password.slice(0, 128),
    `${password.slice(0, -1)}y`,
    password.replace(' ', '\u00a0'),
    '',
    undefined,
    [password]
  ]
  for (const other of others) t.notOk(await verifyPassword(config, phc, other))
  const withNul = await hashPassword(config, 'before\u0000after and more')
  t.notOk(await verifyPassword(config, withNul, 'before\u0000other and more'))
})

t.test(
  'PWD-2: the same text is the same password whichever keyboard encodes it; similar text is not',
  async t => {
    const composed = 'caf\u00e9 caf\u00e9 caf\u00e9'
    const phc = await hashPassword(config, composed)
    t.ok(await verifyPassword(config, phc, 'cafe\u0301 cafe\u0301 cafe\u0301'))
    t.notOk(await verifyPassword(config, phc, 'cafe cafe cafe'))
    const squared = await hashPassword(config, 'twenty-five is 5\u00b2 here')
    t.notOk(await verifyPassword(config, squared, 'twenty-five is 52 here'), 'NFC, not NFKC')
  }
)

t.test('PWD-5: stored as argon2id in PHC form, each with a salt of its own', async t => {
  const standard = createConfig({ ARGON2_MEMORY_KIB: '19456', ARGON2_ITERATIONS: '2' })
  const [first, second] = await Promise.all([1, 2].map(() => hashPassword(standard, 'correct horse battery')))
  t.match(first, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.not(first, second)
})

t.test('both engines make the same hashes, and so does the reference', async t => {
  const password = Buffer.from('correct horse battery staple')
  const cost = config.argon2
  for (const [make, check] of [
    [engine, nodeEngine],
    [nodeEngine, engine]
  ] as const) {
    const phc = read(await derivePhc(password, cost, make))
    t.ok(await matchesPhc(phc, password, check))
    t.notOk(await matchesPhc(phc, Buffer.from('another'), check))
  }
  const { salt, tag } = read(await derivePhc(password, cost))
  const expected = argon2Sync('argon2id', {
    message: password,
    nonce: salt,
    memory: cost.memoryKib,
    passes: cost.iterations,
    parallelism: 1,
    tagLength: 32
  })
  t.strictSame(tag, expected)
  // The example of the reference implementation, made by its command line.
  const known = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  t.ok(await matchesPhc(read(known), Buffer.from('password')))
})

t.test('PWD-5: a hash is to be made anew when the settings rose, and only then', async t => {
  const phc = await hashPassword(config, 'correct horse battery staple')
  t.notOk(needsRehash(config, phc))
  t.ok(needsRehash(createConfig({ ARGON2_MEMORY_KIB: '7169' }), phc))
  t.ok(needsRehash(createConfig({ ARGON2_ITERATIONS: '2' }), phc))
  const strong = await hashPassword(createConfig({ ARGON2_ITERATIONS: '2' }), 'correct horse battery staple')
  t.notOk(needsRehash(config, strong), 'a costlier one stays')
})
