// Somebody who knows the password guesses at the second factor, by ever new sign-ins.
import t from 'tap'
import { createWalk, createWorld, signIn } from '../helpers/factor-paths.ts'
import { createHolder, nextCode, stepOf, typePassword } from '../helpers/factors.ts'
import { openSignIn } from '../helpers/forms.ts'
import { countOf } from '../helpers/guessing.ts'
import { startService, Visitor } from '../helpers/service.ts'
import { codeShown, otherCode } from '../helpers/totp.ts'

const service = await startService(t)
const { shop } = await createWorld(service)
type Holder = Awaited<ReturnType<typeof createHolder>>

const nowCode = ({ secret }: Holder) => codeShown(secret, service.app.ctx.now())

/** One fresh sign-in with the right password, and one code: what came of it. */
async function guess(holder: Holder, method: 'totp' | 'recovery_code', code: string): Promise<string> {
  const { visitor, page } = await openSignIn(service, { application: shop })
  const next = await typePassword(visitor, page, holder)
  if (next.status === 429) return 'waits at the password'
  if (stepOf(next) !== 'second-factor') throw new Error(next.url)
  const form = await visitor.visit(`${next.url}?method=${method}`)
  const { status } = await visitor.post(form, method === 'totp' ? 'totp-form' : 'recovery-code-form', {
    code
  })
  return { 303: 'in', 422: 'looked at', 429: 'waits at the code' }[status] ?? String(status)
}

t.test('MFA-3, PWD-12: of 200 wrong codes after right passwords, a handful is looked at', async t => {
  const holder = await createHolder(service, { totp: true, recoveryCodes: true })
  const owner = new Visitor()
  await signIn({ ...createWalk(service, holder, 'password'), visitor: owner }, { from: shop })

  const outcomes: string[] = []
  for (let rounds = 0; rounds < 20; rounds++) {
    const round = Array.from({ length: 10 }, (_, index) =>
      index % 4 === 3
        ? guess(holder, 'recovery_code', 'AAAA-AAAA-AAAA-AAAA')
        : guess(holder, 'totp', otherCode(nowCode(holder)))
    )
    outcomes.push(...(await Promise.all(round)))
  }
  const looked = countOf(outcomes, 'looked at')
  t.equal(outcomes.length, 200)
  t.equal(countOf(outcomes, 'in'), 0)
  t.ok(looked >= 5 && looked <= 10, `${looked} codes were looked at`)
  t.not(await guess(holder, 'totp', nowCode(holder)), 'in', 'not even the right one')

  const { proved } = await signIn(
    { ...createWalk(service, holder, 'password'), visitor: owner },
    { from: shop, params: { prompt: 'login consent' } }
  )
  t.strictSame(proved, ['password', 'totp'], 'PWD-11: the owner gets in, in a browser of theirs')
  t.not(await guess(holder, 'totp', nowCode(holder)), 'in', 'which opens the account to nobody else')
})

t.test('PWD-12: the right password takes back its own guess, and none at the code', async t => {
  const holder = await createHolder(service, { totp: true })
  const outcomes: string[] = []
  for (let times = 0; times < 12; times++)
    outcomes.push(await guess(holder, 'totp', otherCode(nowCode(holder))))
  const looked = countOf(outcomes, 'looked at')
  t.ok(looked >= 5 && looked <= 6, outcomes.join(', '))
  t.strictSame(outcomes.slice(0, looked), Array(looked).fill('looked at'), 'and then no more')
})

t.test('MFA-3: a right code takes back its own guess alone, and whoever waits gets in', async t => {
  const holder = await createHolder(service, { totp: true })
  for (let times = 0; times < 6; times++) await guess(holder, 'totp', otherCode(nowCode(holder)))
  t.not(await guess(holder, 'totp', nowCode(holder)), 'in')
  service.advance(16)
  t.equal(await guess(holder, 'totp', nextCode(service, holder)), 'in')
  const [budget] = await service.pool<{ failures: number }[]>`
    select max(failures)::int as failures from guess_budgets`
  t.ok(Number(budget?.failures) >= 5, 'the wrong ones are remembered')
})
