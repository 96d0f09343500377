// PWD-4: passwords that are soon guessed are refused, and nothing that a person would take for a good one is.
import { randomInt } from 'node:crypto'
import t from 'tap'
import { readCommonPasswords } from '../../src/credentials/common-passwords.ts'
import { judgeGuessing, judgeNewPassword, ownWordsOf } from '../../src/credentials/password-policy-service.ts'
import { signUp } from '../../src/credentials/sign-up-service.ts'
import { createContext } from '../helpers/context.ts'

const common = await readCommonPasswords()
const own = ownWordsOf(['ada.lovelace@example.org', 'Ada Lovelace', 'Gatehouse'])
const listed = [...common.ranks.keys()]

const pick = (from: ArrayLike<string>) => from[randomInt(from.length)] ?? ''
const several = (count: number, make: () => string) => Array.from({ length: count }, make)

t.test('PWD-4: the list has thousands of passwords that are long enough, and all are refused', t => {
  t.ok(listed.filter(({ length }) => length >= 8).length > 17_000)
  const long = listed.filter(({ length }) => length >= 15)
  t.ok(long.length > 350, `${long.length} of 15 characters or more`)
  const sample = [...several(2000, () => pick(listed)), ...long]
  t.strictSame(
    sample.filter(password => judgeGuessing(password, [], common) !== 'common'),
    []
  )
  t.end()
})

t.test('PWD-4: what is made of common passwords, rows and repeats is refused', t => {
  const refused = [
    'passwordpassword',
    'letmeinletmein1',
    'monkeydragonmaster',
    'football-baseball-2019',
    'charlottecharlotte',
    'Summer2024Summer2024',
    'kevinandjessica',
    'mynameisjonathan',
    'michaeljackson1',
    'december251987',
    // written another way, or with something around it
    'P@ssw0rd12345678',
    'PASSWORD20242025',
    '!!!Password2024!!!',
    'password1234567',
    '1234567password',
    'Password!!!!!!!',
    'p-a-s-s-w-o-r-d-1-2-3',
    'p a s s w o r d 1 2 3 4',
    'ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ',
    'il0vey0uil0vey0u',
    // sequences and repeats
    '123456789012345',
    '987654321098765',
    'abcdefghijklmno',
    'zyxwvutsrqponml',
    '112233445566778899',
    'aabbccddeeffgghh',
    '135791357913579',
    'aaaaaaaaaaaaaaa',
    'абвгдежзийклмноп',
    '               ',
    '----------------',
    'abcabcabcabcabc',
    'x7Kqx7Kqx7Kqx7Kq',
    '😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀',
    // keys
    'qwertyuiopasdfgh',
    'poiuytrewqlkjhg',
    'qwertzuiopasdfg',
    'azertyuiopqsdfgh',
    'йцукенгшщзхъфыва',
    '1qaz2wsx3edc4rfv5tgb',
    'zaq1xsw2cde3vfr4',
    '147258369147258369',
    // what people say where many characters are asked for
    'iloveyouforever',
    'I love my boyfriend',
    'iloveyousomuch123',
    'To be, or not to be',
    'thequickbrownfox',
    'May the Force be with you!',
    'liverpoolfootballclub',
    'mondaytuesdaywednesday',
    'thisisapassword1'
  ]
  for (const password of refused) t.equal(judgeGuessing(password, own, common), 'common', password)
  t.end()
})

t.test('PWD-4: a password out of its owner’s address and name, or the brand, is refused', t => {
  const refused = [
    'ada.lovelace@example.org',
    'ADA.LOVELACE@EXAMPLE.ORG',
    'lovelace@example',
    'adalovelace1815',
    'Lovelace, Ada!!!',
    '@d@.l0v3l@c3@3xampl3',
    '1ada2ada3ada4ada5',
    'gatehousegatehouse',
    'gatehouse password',
    'Welcome to Gatehouse 2026',
    'lovelace example 12'
  ]
  for (const password of refused) t.equal(judgeGuessing(password, own, common), 'guessable', password)
  t.equal(judgeGuessing('adalovelace1815', [], common), null, 'it would do for somebody else')
  t.equal(judgeGuessing('Lovelace wrote notes for engines', own, common), null, 'a name may be in it')
  const short = ownWordsOf(['al@x.io', 'Jo'])
  t.notOk(
    ['al', 'x', 'io', 'jo'].some(word => short.has(word)),
    'short words are in many a good password'
  )
  t.end()
})

t.test('PWD-4: passphrases and random passwords are accepted', t => {
  const accepted = [
    'correct horse battery staple',
    'correcthorsebatterystaple',
    'correct horse battery',
    'blue house green tree',
    'purple hamster lamp',
    'tidy otter plays cello',
    'quiet river lantern moss',
    'Ada rides her bicycle to Lisbon',
    'the password of a stranger',
    'пароль из кириллицы',
    '天気がいいので散歩に行きましょう',
    'Tr0ub4dor&3 and more',
    'ağaçların altında uyuyan kedi'
  ]
  for (const password of accepted) t.equal(judgeGuessing(password, own, common), null, password)
  const words = listed.filter(word => /^[a-z]{4,8}$/.test(word)).slice(0, 2000)
  const characters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&*+-=?@_'
  const phrases = several(500, () => several(4, () => pick(words)).join(' '))
  const random = several(500, () => several(15, () => pick(characters)).join(''))
  const numbers = several(500, () => several(15, () => pick('0123456789')).join(''))
  t.strictSame(
    [...phrases, ...random].filter(password => judgeGuessing(password, own, common) !== null),
    [],
    'four words, fifteen characters'
  )
  const refused = numbers.filter(password => judgeGuessing(password, own, common) !== null)
  t.ok(refused.length <= 10, `${refused.length} of 500 random numbers`)
  const short = several(500, () => several(8, () => pick(characters)).join(''))
  const shortRefused = short.filter(password => judgeGuessing(password, own, common) !== null)
  t.ok(
    shortRefused.length <= 40,
    `${shortRefused.length} of 500 with eight random characters, the least that may be`
  )
  t.end()
})

t.test('PWD-4: judging takes a few milliseconds at most, whatever is typed', t => {
  const fill = (pattern: string) => pattern.repeat(Math.ceil(256 / pattern.length)).slice(0, 256)
  const manyNames = ownWordsOf([`${'abc.'.repeat(15)}abc@example.org`, 'ab1 '.repeat(25), 'Gatehouse'])
  const typed = [
    'a',
    'p4$$w0rd',
    '@4',
    '\ufdfa',
    'a b',
    '1!',
    'p-4$$w0rd ',
    'abc',
    'ab1',
    listed.slice(0, 60).join('')
  ]
  for (const pattern of typed) {
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 10 && best >= 5; round++) {
      const startedAt = performance.now()
      judgeGuessing(fill(pattern), manyNames, common)
      best = Math.min(best, performance.now() - startedAt)
    }
    t.ok(best < 5, `${pattern.slice(0, 20)}: ${best.toFixed(2)} ms`)
  }
  t.end()
})

t.test(
  'PWD-4: who signs up with a password that is soon guessed is told why, and nothing is written',
  async t => {
    const ctx = await createContext(t)
    const attempt = async (password: string) =>
      await signUp(ctx, { email: 'ada@example.org', name: 'Ada Lovelace', password, interactionUid: null })
    t.strictSame(await attempt('iloveyouforever'), { ok: false, faults: { password: 'common' } })
    t.strictSame(await attempt('ada lovelace 1815'), { ok: false, faults: { password: 'guessable' } })
    t.strictSame(await attempt('gatehouse-gatehouse'), { ok: false, faults: { password: 'guessable' } })
    t.equal((await ctx.sql`select from accounts`).length, 0)
    t.strictSame(
      await signUp(ctx, { email: 'x', name: '', password: 'passwordpassword', interactionUid: null }),
      { ok: false, faults: { email: 'invalid', name: 'missing', password: 'common' } },
      'with the other faults'
    )
  }
)

t.test('PWD-1: the rule for length comes first, and holds for the setting', async t => {
  const ctx = await createContext(t, { environment: { PASSWORD_MIN_LENGTH: '8' } })
  const judge = (password: unknown) => judgeNewPassword(ctx, password, { email: '', name: '' })
  t.equal(await judge('qwerty'), 'too_short')
  t.equal(await judge('qwertyui'), 'common')
  t.equal(await judge('x'.repeat(257)), 'too_long')
  t.equal(await judge(['correct horse battery']), 'missing')
  t.equal(await judge('vK3mq9xT'), null)
})
