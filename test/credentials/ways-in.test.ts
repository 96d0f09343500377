import t from 'tap'
import { mayRemove, type RemovableFactor, type WaysIn } from '../../src/credentials/ways-in-model.ts'

const now = new Date('2026-11-21T12:00:00Z')
const free = { mailSignIn: false, secondFactorRequired: false, now }

/** An account with these factors alone. */
const having = (facts: Partial<WaysIn>): WaysIn => ({
  password: false,
  totp: 0,
  webauthn: 0,
  verifiedPasskeys: 0,
  recoveryCodes: 0,
  frozenUntil: null,
  ...facts
})
const passkey = { webauthn: 1, verifiedPasskeys: 1 }
const answer = (outcome: ReturnType<typeof mayRemove>) => (outcome.ok ? 'may go' : outcome.reason)

t.test('the last way in stays', async t => {
  const cases: [Partial<WaysIn>, RemovableFactor, string][] = [
    [{ password: true }, 'password', 'last_way_in'],
    [{ password: true, totp: 2, recoveryCodes: 10 }, 'password', 'last_way_in'],
    [{ password: true, webauthn: 1 }, 'password', 'last_way_in'],
    [{ password: true, ...passkey }, 'password', 'may go'],
    [{ password: true, ...passkey }, 'passkey', 'may go'],
    [passkey, 'passkey', 'last_way_in'],
    [{ ...passkey, totp: 1 }, 'passkey', 'last_way_in'],
    [{ webauthn: 2, verifiedPasskeys: 1 }, 'passkey', 'last_way_in'],
    [{ webauthn: 2, verifiedPasskeys: 1 }, 'security_key', 'may go'],
    [{ webauthn: 2, verifiedPasskeys: 2 }, 'passkey', 'may go'],
    [{ password: true, totp: 1 }, 'totp', 'may go'],
    // Signs in by other means, which this does not take away.
    [{ totp: 1 }, 'totp', 'may go']
  ]
  for (const [facts, factor, expected] of cases)
    t.equal(answer(mayRemove(having(facts), factor, free)), expected, `${factor} of ${JSON.stringify(facts)}`)
})

t.test('where a mail signs people in, it is a way that stays', async t => {
  for (const [facts, factor] of [
    [{ password: true }, 'password'],
    [passkey, 'passkey']
  ] as const)
    t.equal(answer(mayRemove(having(facts), factor, { ...free, mailSignIn: true })), 'may go')
})

t.test('the last second factor stays where one is needed; recovery codes are none', async t => {
  const needed = { ...free, secondFactorRequired: true }
  const cases: [Partial<WaysIn>, RemovableFactor, string][] = [
    [{ password: true, totp: 1, recoveryCodes: 10 }, 'totp', 'second_factor_required'],
    [{ password: true, totp: 2 }, 'totp', 'may go'],
    [{ password: true, totp: 1, webauthn: 1 }, 'totp', 'may go'],
    [{ password: true, webauthn: 1 }, 'security_key', 'second_factor_required'],
    [{ password: true, ...passkey }, 'passkey', 'second_factor_required'],
    [{ password: true, ...passkey, totp: 1 }, 'passkey', 'may go'],
    [{ password: true, ...passkey }, 'password', 'may go']
  ]
  for (const [facts, factor, expected] of cases)
    t.equal(
      answer(mayRemove(having(facts), factor, needed)),
      expected,
      `${factor} of ${JSON.stringify(facts)}`
    )
})

t.test('nothing goes while the owner’s “this wasn’t me” holds', async t => {
  const until = (ms: number) => having({ password: true, totp: 1, frozenUntil: now.getTime() + ms })
  t.equal(answer(mayRemove(until(1), 'totp', free)), 'frozen')
  t.equal(answer(mayRemove(until(0), 'totp', free)), 'may go')
})
