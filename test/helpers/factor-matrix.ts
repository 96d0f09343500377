// What must come of every path to a session for everybody, whatever they have to sign in with: written down from the facts.
import type { Test } from 'tap'
import {
  createWalk,
  createWorld,
  type Outcome,
  oneFactor,
  type Path,
  paths,
  phishingResistant,
  twoFactors,
  type World
} from './factor-paths.ts'
import { createHolder, type Proved, type SetUp } from './factors.ts'
import type { Service } from './service.ts'

/** What tokens say of proofs, in the words of the specifications. @see RFC 8176 §2 */
const truths: Record<string, { acr: string; amr: string[] }> = {
  password: { acr: oneFactor, amr: ['pwd'] },
  'password totp': { acr: twoFactors, amr: ['pwd', 'otp', 'mfa'] },
  'password recovery_code': { acr: twoFactors, amr: ['pwd', 'otp', 'mfa'] },
  'password security_key': { acr: phishingResistant, amr: ['pwd', 'hwk', 'user', 'mfa'] },
  'password passkey': { acr: phishingResistant, amr: ['pwd', 'swk', 'user', 'mfa'] },
  'password totp passkey': { acr: phishingResistant, amr: ['pwd', 'otp', 'swk', 'user', 'mfa'] },
  mail: { acr: oneFactor, amr: ['otp'] },
  'mail totp': { acr: twoFactors, amr: ['otp', 'mfa'] },
  'mail security_key': { acr: phishingResistant, amr: ['otp', 'hwk', 'user', 'mfa'] },
  'mail passkey': { acr: phishingResistant, amr: ['otp', 'swk', 'user', 'mfa'] },
  'mail totp passkey': { acr: phishingResistant, amr: ['otp', 'swk', 'user', 'mfa'] },
  passkey: { acr: phishingResistant, amr: ['swk', 'user', 'mfa'] }
}

/** `required`: by the installation, or by a role. */
export type Facts = SetUp & { required: boolean }

const firstOf = ({ first }: Path, facts: Facts): Proved | null => {
  if (first === 'password') return 'password'
  if (first === 'own') return facts.password === false ? 'passkey' : 'password'
  return first(facts)
}

/** Whether somebody who has just signed up can be like this. */
const isNew = ({ password = true, totp, key, role }: Facts): boolean =>
  password && !totp && key === undefined && role === undefined

/** What must be proved, in order; null: the path is not for these people. */
function expectedProofs(path: Path, facts: Facts): Proved[] | null {
  const first = firstOf(path, facts)
  if (first === null || (path.newcomer && !isNew(facts))) return null
  if (first === 'passkey') return ['passkey']
  const { demands, trusted, second } = path
  if (path.newcomer && first === 'mail')
    return facts.required ? ['mail', 'totp', 'passkey'] : ['mail', 'passkey']
  const own: Proved | null = facts.key ?? (facts.totp ? 'totp' : null)
  if (trusted && demands === undefined) return [first]
  if (second !== undefined) return [first, second]
  if (own === null && !facts.required && demands === undefined) return [first]
  if (demands === 'phishing_resistant' && facts.key === undefined) return [first, 'totp', 'passkey']
  return [first, own ?? 'totp']
}

/** Walks every path with a new person of this kind each. */
export async function checkPaths(t: Test, service: Service, people: Record<string, Facts>): Promise<void> {
  const world = await createWorld(service)
  for (const [who, facts] of Object.entries(people))
    await t.test(`MFA-5: with ${who}`, async t => {
      for (const [name, path] of Object.entries(paths)) {
        const expected = expectedProofs(path, facts)
        if (expected === null) continue
        check(t, await walk(world, { path, facts, expected }), { name, facts, path, expected })
      }
    })
}

async function walk(
  world: World,
  { path, facts, expected }: { path: Path; facts: Facts; expected: Proved[] }
): Promise<Outcome> {
  const holder = await createHolder(world.service, facts)
  const first = expected[0] === 'passkey' ? 'passkey' : 'password'
  return await path.go(world, createWalk(world.service, holder, first))
}

type Cell = { name: string; path: Path; facts: Facts; expected: Proved[] }

function check(
  t: Test,
  { claims, proved, firstProvedAt: [from, to] }: Outcome,
  { name, path, facts, expected }: Cell
): void {
  t.strictSame(proved, expected, `${name}: what is asked for`)
  const { acr, amr, auth_time: authTime } = claims
  t.strictSame(
    { acr, amr },
    { ...truths[proved.join(' ')], ...(path.tells ? { acr: path.tells } : {}) },
    `${name}: what is told`
  )
  t.ok(
    Number(authTime) >= from && Number(authTime) <= to,
    `${name}: auth_time ${authTime} is between ${from} and ${to}`
  )
  // Whatever the tables above say: one thing proved is one factor, unless it is a passkey that verified the person.
  const [first, ...others] = proved
  const several = first === 'passkey' || others.length > 0
  t.equal(acr === oneFactor, !several, `${name}: nobody is told of more factors than there were`)
  const due = facts.totp || facts.key !== undefined || facts.required
  if (due && !path.trusted) t.ok(several, `${name}: no way around the second factor`)
}
