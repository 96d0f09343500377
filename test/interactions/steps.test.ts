// The state machine of a sign-in as a table: every combination of what can be known.
import t from 'tap'
import { mayShow, nextStep } from '../../src/interactions/model.ts'

const both = [false, true]
const all = both.flatMap(authenticated =>
  both.flatMap(emailVerified =>
    both.flatMap(confirmationPending =>
      both.map(consentNeeded => ({ authenticated, emailVerified, confirmationPending, consentNeeded }))
    )
  )
)

t.test('what comes next follows from what is known, and from nothing else', async t => {
  const table = all.map(progress => {
    const marks = Object.values(progress).map(value => (value ? '1' : '0'))
    return `${marks.join('')} ${nextStep(progress)}`
  })
  // authenticated · emailVerified · confirmationPending · consentNeeded
  t.strictSame(table, [
    '0000 sign-in',
    '0001 sign-in',
    '0010 verify-email',
    '0011 verify-email',
    '0100 sign-in',
    '0101 sign-in',
    '0110 verify-email',
    '0111 verify-email',
    '1000 verify-email',
    '1001 verify-email',
    '1010 verify-email',
    '1011 verify-email',
    '1100 finish',
    '1101 consent',
    '1110 finish',
    '1111 consent'
  ])
})

t.test('nobody finishes or consents without proof of themselves and of their address', async t => {
  for (const progress of all) {
    const beyond = ['consent', 'finish'].includes(nextStep(progress))
    t.equal(beyond && !(progress.authenticated && progress.emailVerified), false, JSON.stringify(progress))
  }
})

t.test(
  'a page is shown when it is its turn; signing in and up may begin again until somebody is proven',
  async t => {
    for (const progress of all) {
      const step = nextStep(progress)
      for (const page of ['sign-in', 'sign-up'] as const)
        t.equal(mayShow(page, progress), !progress.authenticated, `${page} ${JSON.stringify(progress)}`)
      for (const page of ['verify-email', 'consent', 'finish'] as const)
        t.equal(mayShow(page, progress), page === step, `${page} ${JSON.stringify(progress)}`)
    }
  }
)
