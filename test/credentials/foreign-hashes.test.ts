// Hashes that other software made. Each is one published with the format, unless said otherwise.
import t from 'tap'
import { readForeignHash } from '../../src/credentials/foreign-hashes.ts'
import { hashPassword, isUsableHash, needsRehash, verifyPassword } from '../../src/credentials/hashing.ts'
import { updatePasswordHash } from '../../src/credentials/repository.ts'
import { signIn } from '../../src/credentials/service.ts'
import { createConfig, createContext, type TestContext } from '../helpers/context.ts'
import { goodPassword, verifiedAccount } from '../helpers/people.ts'

const config = createConfig()
const fromHex = (hex: string) => Buffer.from(hex, 'hex').toString('base64').replace(/=+$/, '')

// RFC 7914 §12 and RFC 6070 §2; the others of PBKDF2 are the ones usually quoted beside it
const rfc7914 = fromHex(
  '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887'
)
const rfc6070 = fromHex('4b007901b765489abead49d926f721d065a429c1')
const sha256 = fromHex('c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a')
const sha512 = fromHex(
  '867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce'
)
// The example in Firebase's scrypt repository
const firebase =
  '$firebase-scrypt$ln=14,r=8$42xEC+ixf3L2lw==$Bw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=='

const hashes: Record<string, [string, string][]> = {
  bcrypt: [
    ['abc', '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'],
    ['abcdefghijklmnopqrstuvwxyz', '$2b$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC'],
    // made by crypt(3)
    [goodPassword, '$2y$06$If6bvum7DFjUnE9p2uDeDuM2Ja3l8H5DpojoO7/VgERnALaPd8cxy']
  ],
  scrypt: [
    ['pleaseletmein', `$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$${rfc7914}`],
    ['password', '$scrypt$ln=8,r=8,p=1$WKs1xljLudd6z9kbY0wpJQ$yCR4iDZYDKv+iEJj6yHY0lv/epnfB6f/w1EbXrsJOuQ'],
    // made by Python's hashlib
    [goodPassword, '$scrypt$ln=12,r=8,p=2$YSBzYWx0IG9mIHNjcnlwdA$Kf0pfMBpN/6XTmbMVd+EM1AHw3/i2/SROv3s742OlKw']
  ],
  pbkdf2: [
    ['password', `$pbkdf2-sha1$i=4096$c2FsdA$${rfc6070}`],
    ['password', `$pbkdf2$4096$c2FsdA$${rfc6070}`],
    ['password', `$pbkdf2-sha256$i=4096,l=32$c2FsdA$${sha256}`],
    ['password', `$pbkdf2-sha512$i=1$c2FsdA$${sha512}`],
    ['password', '$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M'],
    [
      'toomanysecrets',
      '$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk'
    ]
  ],
  argon2: [
    ['password', '$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ'],
    ['password', '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA'],
    [
      'password',
      '$argon2d$v=19$m=1024,t=2,p=1$dGhpc2lzdGhlc2FsdA$rkBsbLVYkXDowmxcwZ9qjpLuAbNjIPBXxmD27YvzHzw'
    ]
  ],
  firebase: [
    ['user1password', firebase],
    ['user1password', firebase.replaceAll('=$', '$').replaceAll('==', '').replaceAll('/', '_')]
  ],
  django: [
    ['lètmein', 'pbkdf2_sha256$390000$seasalt$8xBlGd3jVgvJ+92hWPxi5ww0uuAuAnKgC45eudxro7c='],
    ['not a password', 'pbkdf2_sha1$10000$wz5B6WkasRoF$atJmJ1o+XfJxKq1+Nu1f1i57Z5I='],
    [
      'lètmein',
      'scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw=='
    ],
    [
      'secret',
      'argon2$argon2i$m=8,t=1,p=1$c29tZXNhbHQ$gwQOXSNhxiOxPOA0+PY10P9QFO4NAYysnqRt1GSQLE55m+2GYDt9FEjPMHhP2Cuf0nOEXXMocVrsJAtNSsKyfg'
    ],
    ['secret', 'argon2$argon2id$v=19$m=102400,t=2,p=8$Y041dExhNkljRUUy$TMa6A8fPJhCAUXRhJXCXdw'],
    ['abc', 'bcrypt$$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'],
    // made by crypt(3) of the password's SHA-256
    [goodPassword, 'bcrypt_sha256$$2b$06$If6bvum7DFjUnE9p2uDeDuqubPlq.DhIw4fk.cUgknZU3DRmlaF6i']
  ]
}

for (const [kind, known] of Object.entries(hashes))
  t.test(
    `passwords hashed by ${kind} elsewhere are verified, exactly, and are to be hashed anew`,
    async t => {
      for (const [password, stored] of known) {
        const name = stored.slice(0, 40)
        t.ok(await verifyPassword(config, stored, password), name)
        for (const wrong of [`${password}x`, password.slice(0, -1), password.toUpperCase()])
          t.notOk(await verifyPassword(config, stored, wrong), `${wrong}: ${name}`)
        const changed = stored.replace(
          /.(=*)$/,
          (_, padding) => `${/[A-Z]=*$/.test(stored) ? 'x' : 'J'}${padding}`
        )
        t.notOk(await verifyPassword(config, changed, password), `changed: ${name}`)
        t.ok(needsRehash(config, stored), 'by us')
      }
    }
  )

t.test('bcrypt looks at 72 bytes only; Django’s variant and ours look at all', async t => {
  const { hash } = await import('@node-rs/bcrypt')
  const long = 'x'.repeat(72)
  const plain = await hash(long, 4)
  t.ok(await verifyPassword(config, plain, `${long}y`), 'as it was where the hash was made')
  t.notOk(await verifyPassword(config, await hashPassword(config, long), `${long}y`))
})

/** What no password matches, for being malformed or for what checking it would take. */
const useless = [
  '',
  'x',
  'password',
  '!unusable',
  '$argon2id$v=19$m=7168,t=1,p=1$c29tZXNhbHQ$aaaa',
  '$argon2id$v=19$m=7168,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  '$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  '$argon2id$v=18$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  '$argon2x$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  '$2b$10$abcdefghijklmnopqrstuv',
  '$2b$03$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i',
  '$2x$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i',
  `$scrypt$ln=0,r=8,p=1$c2FsdA$${rfc7914}`,
  `$scrypt$ln=14,r=0,p=1$c2FsdA$${rfc7914}`,
  '$scrypt$ln=14,r=8,p=1$c2FsdA$',
  '$scrypt$ln=14,r=8,p=1$c2FsdA$aaaa',
  `scrypt$1000$seasalt$8$1$${rfc7914}`,
  '$pbkdf2-sha256$i=4096$c2FsdA$aaaa',
  `$pbkdf2-sha256$i=0$c2FsdA$${sha256}`,
  `$pbkdf2-md5$i=1$c2FsdA$${sha256}`,
  `pbkdf2_sha256$many$seasalt$${sha256}`,
  '$firebase-scrypt$ln=14,r=8$42xEC+ixf3L2lw==$Bw==$$',
  'argon2$',
  'bcrypt$',
  `$2b$06$${'x'.repeat(100_000)}`
]
const absurd = [
  '$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  '$argon2id$v=19$m=7168,t=9999,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  '$2b$31$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i',
  `$scrypt$ln=30,r=8,p=1$c2FsdA$${rfc7914}`,
  `$scrypt$ln=99,r=8,p=1$c2FsdA$${rfc7914}`,
  `$scrypt$ln=14,r=8,p=999$c2FsdA$${rfc7914}`,
  `scrypt$536870912$seasalt$8$1$${rfc7914}`,
  `$pbkdf2-sha256$i=99999999$c2FsdA$${sha256}`,
  `pbkdf2_sha256$99999999$seasalt$${sha256}`,
  firebase.replace('ln=14', 'ln=30')
]

t.test('what is no hash, or would take absurdly much to check, is matched by no password', async t => {
  for (const stored of [...useless, ...absurd]) {
    const name = stored.slice(0, 60)
    t.notOk(isUsableHash(config, stored), name)
    const startedAt = performance.now()
    t.notOk(await verifyPassword(config, stored, 'password'), name)
    t.ok(performance.now() - startedAt < 1000, 'soon')
  }
  for (const stored of absurd.filter(stored => !stored.startsWith('$argon2')))
    t.ok(readForeignHash(stored) !== null, `only for its costs: ${stored.slice(0, 40)}`)
})

t.test('what is allowed to our own hashes may cost more than those of others', t => {
  const stored = '$argon2id$v=19$m=524288,t=20,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  t.notOk(isUsableHash(config, stored))
  t.ok(isUsableHash(createConfig({ ARGON2_MEMORY_KIB: '524288', ARGON2_ITERATIONS: '20' }), stored))
  t.end()
})

async function withHash(ctx: TestContext, stored: string, email = 'ada@example.org') {
  const { id } = await verifiedAccount(ctx, { email })
  await ctx.sql`update password_credentials set password_hash = ${stored} where account_id = ${id}`
  const hashOf = async () => {
    const [row] = await ctx.sql<{ passwordHash: string }[]>`
      select password_hash from password_credentials where account_id = ${id}
    `
    return row?.passwordHash ?? ''
  }
  return { accountId: id, hashOf }
}

t.test(
  'who had an account elsewhere signs in with the same password, and then has a hash of ours',
  async t => {
    const ctx = await createContext(t)
    for (const [kind, known] of Object.entries(hashes)) {
      const [password, stored] = known.at(-1) ?? ['', '']
      const email = `${kind}@example.org`
      const { hashOf } = await withHash(ctx, stored, email)
      const attempt = (password: string) => signIn(ctx, { email, password })
      t.match(await attempt(`${password}x`), { ok: false, reason: 'wrong_credentials' }, kind)
      t.equal(await hashOf(), stored, 'a wrong password changes nothing')
      t.match(await attempt(password), { ok: true }, kind)
      const own = await hashOf()
      t.match(own, /^\$argon2id\$v=19\$m=7168,t=1,p=1\$/, kind)
      t.notOk(needsRehash(ctx.config, own))
      t.match(await attempt(`${password}x`), { ok: false })
      t.match(await attempt(password), { ok: true }, 'and once more')
      t.equal(await hashOf(), own, 'which is kept')
    }
  }
)

t.test(
  'first sign-ins at once all succeed, and none undoes a change of the password made meanwhile',
  async t => {
    const ctx = await createContext(t)
    const stored = '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'
    const { accountId, hashOf } = await withHash(ctx, stored)
    const attempt = () => signIn(ctx, { email: 'ada@example.org', password: 'abc' })
    t.match(await Promise.all([attempt(), attempt()]), [{ ok: true }, { ok: true }])
    const own = await hashOf()
    t.match(own, /^\$argon2id\$/)
    const late = await hashPassword(ctx.config, 'abc')
    await updatePasswordHash(ctx.sql, { accountId, from: stored, to: late, at: ctx.now() })
    t.equal(await hashOf(), own)
  }
)

t.test(
  'a hash that is of no use is a wrong password to its owner, and a line in the log to the operator',
  async t => {
    const ctx = await createContext(t)
    const lines: unknown[] = []
    const log = Object.assign(Object.create(ctx.log), { warn: (...line: unknown[]) => lines.push(line) })
    const { hashOf } = await withHash(ctx, 'x')
    for (const stored of ['x', '$2b$31$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i']) {
      lines.length = 0
      await ctx.sql`update password_credentials set password_hash = ${stored}`
      const typed = { email: 'ada@example.org', password: 'password' }
      t.match(await signIn({ ...ctx, log }, typed), { ok: false, reason: 'wrong_credentials' })
      t.match(lines, [[{ accountId: String }, /no password can match/]])
      t.notMatch(JSON.stringify(lines), /If6bvum7/)
      t.equal(await hashOf(), stored)
    }
  }
)
