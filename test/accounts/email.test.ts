import t from 'tap'
import { parseEmail, parseName } from '../../src/accounts/model.ts'

/** A title that a terminal and the test protocol can show: no line separators, no controls. */
const shown = (typed: unknown) => JSON.stringify(typed).replace(/[^\x20-\x7e]/g, '·')
const label = (length: number) => 'a'.repeat(length)

t.test('what people type is one address, whatever its case', async t => {
  const same: [string, string, string][] = [
    ['ada@example.org', 'ada@example.org', 'ada@example.org'],
    ['  Ada@Example.ORG ', 'Ada@example.org', 'ada@example.org'],
    ['Foo@x.test', 'Foo@x.test', 'foo@x.test'],
    ['foo@X.test', 'foo@x.test', 'foo@x.test'],
    ["o'brien+tag@example.org", "o'brien+tag@example.org", "o'brien+tag@example.org"],
    ['me@BÜCHER.example', 'me@xn--bcher-kva.example', 'me@xn--bcher-kva.example'],
    ['me@xn--bcher-kva.example', 'me@xn--bcher-kva.example', 'me@xn--bcher-kva.example'],
    [`${label(64)}@example.org`, `${label(64)}@example.org`, `${label(64)}@example.org`]
  ]
  for (const [typed, email, emailKey] of same)
    t.strictSame(parseEmail(typed), { ok: true, email, emailKey }, typed)
})

t.test('nothing typed is missing', async t => {
  for (const typed of [undefined, null, '', '   '])
    t.strictSame(parseEmail(typed), { ok: false, reason: 'missing' }, String(typed))
})

t.test('what could be two addresses, or read as another one elsewhere, is refused', async t => {
  const refused: unknown[] = [
    ['v@x.test', 'a@y.test'],
    ['v@x.test'],
    { 0: 'v@x.test' },
    { toString: () => 'v@x.test' },
    42,
    'v@x.test,a@y.test',
    'v@x.test;a@y.test',
    'v@x.test a@y.test',
    'v@x.test\r\nBcc: a@y.test',
    'v@x.test\n',
    '\tv@x.test',
    'v@x.test\u0000',
    'v\u0000@x.test',
    'a <v@x.test>',
    '<v@x.test>',
    '"a b"@x.test',
    '"v@x.test"@y.test',
    'v@x.test(comment)',
    'v(comment)@x.test',
    'v@y.test@x.test',
    'v@x.test.',
    'v@.x.test',
    'v@x..test',
    '.v@x.test',
    'v.@x.test',
    'v..v@x.test',
    '@x.test',
    'v@',
    'v',
    'v@localhost',
    'v@127.0.0.1',
    'v@[127.0.0.1]',
    'v@x.test:25',
    'v@x.test/y',
    'v@x.test?y=1',
    'v@x%2etest',
    'v@-x.test',
    'v@x-.test',
    'v@x_y.test',
    'v＠x.test',
    'v@ｘ.test',
    'v@x．test',
    'v@\u212Axample.test',
    '\u212Aelvin@x.test',
    'İ@x.test',
    'ı@x.test',
    'ﬁ@x.test',
    'é@x.test',
    'v@\u200Dx.test',
    'v@x\u00AD.test',
    `v@${label(64)}.test`
  ]
  for (const typed of refused) t.strictSame(parseEmail(typed), { ok: false, reason: 'invalid' }, shown(typed))
})

t.test('RFC 5321 §4.5.3.1: an address is 254 characters at most, its local part 64', async t => {
  const domain = `${label(63)}.${label(63)}.${label(61)}`
  t.equal(parseEmail(`${label(64)}@${domain}`).ok, true, 'just fits')
  t.strictSame(parseEmail(`${label(64)}@${domain}a`), { ok: false, reason: 'too_long' })
  t.strictSame(parseEmail(`${label(65)}@example.org`), { ok: false, reason: 'too_long' })
  t.strictSame(parseEmail(`${label(321)}@example.org`), { ok: false, reason: 'too_long' })
})

t.test('megabytes of anything are answered at once', async t => {
  for (const typed of ['a', '@', '.', 'a.', ' ', 'é', '"', 'a@'].map(part => part.repeat(1_000_000))) {
    const startedAt = performance.now()
    t.equal(parseEmail(typed).ok, false)
    t.equal(parseName(typed).ok, false)
    t.ok(performance.now() - startedAt < 20)
  }
})

t.test('a name is one line in any script', async t => {
  t.strictSame(parseName('  Ada Lovelace '), { ok: true, name: 'Ada Lovelace' })
  t.strictSame(parseName('Nguye\u0302\u0303n'), { ok: true, name: 'Nguyễn' })
  t.strictSame(parseName('李小龍'), { ok: true, name: '李小龍' })
  t.strictSame(parseName('x'.repeat(100)), { ok: true, name: 'x'.repeat(100) })
  t.strictSame(parseName('😀'.repeat(100)), { ok: true, name: '😀'.repeat(100) })
  t.strictSame(parseName('x'.repeat(101)), { ok: false, reason: 'too_long' })
  for (const typed of [undefined, '', '  ']) t.strictSame(parseName(typed), { ok: false, reason: 'missing' })
  const refused: unknown[] = [
    ['Ada'],
    'Ada\r\nBcc: a@y.test',
    'Ada\u0000',
    'Ada\u2028x',
    'Ada\u202Egnp',
    '\ud800',
    'see https://evil.example',
    'WWW.evil.example',
    '<b>Ada</b>'
  ]
  for (const typed of refused) t.strictSame(parseName(typed), { ok: false, reason: 'invalid' }, shown(typed))
})
