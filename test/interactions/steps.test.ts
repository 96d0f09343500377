// The state machine of a sign-in as a table: every combination of what can be known.
import t from 'tap'
import type { FactorFacts } from '../../src/credentials/factor-model.ts'
import { acrLevels } from '../../src/credentials/proof-model.ts'
import { mayShow, nextStep, type SecondFactorFacts, secondFactorDue } from '../../src/interactions/model.ts'

const both = [false, true]
const dues = ['none', 'ask', 'set_up'] as const
const all = both.flatMap(authenticated =>
  both.flatMap(emailVerified =>
    both.flatMap(confirmationPending =>
      dues.flatMap(secondFactor =>
        both.flatMap(passkeyDue =>
          both.map(consentNeeded => ({
            authenticated,
            emailVerified,
            confirmationPending,
            secondFactor,
            passkeyDue,
            consentNeeded
          }))
        )
      )
    )
  )
)

t.test('what comes next follows from what is known, and from nothing else', async t => {
  for (const progress of all) {
    const { authenticated, emailVerified, confirmationPending, secondFactor, passkeyDue, consentNeeded } =
      progress
    // Written the other way round than the code: which facts each step stands for.
    const expected = Object.entries({
      'verify-email': authenticated ? !emailVerified : confirmationPending,
      'sign-in': !authenticated && !confirmationPending,
      'second-factor': authenticated && emailVerified && secondFactor === 'ask',
      'set-up': authenticated && emailVerified && secondFactor === 'set_up',
      passkey: authenticated && emailVerified && secondFactor === 'none' && passkeyDue,
      consent: authenticated && emailVerified && secondFactor === 'none' && !passkeyDue && consentNeeded,
      finish: authenticated && emailVerified && secondFactor === 'none' && !passkeyDue && !consentNeeded
    }).filter(([, is]) => is)
    t.strictSame(
      expected.map(([step]) => step),
      [nextStep(progress)],
      JSON.stringify(progress)
    )
  }
})

t.test('nobody with a second factor that is due gets beyond it', async t => {
  for (const progress of all.filter(({ secondFactor }) => secondFactor !== 'none'))
    t.notMatch(nextStep(progress), /^(passkey|consent|finish)$/, JSON.stringify(progress))
})

const none: FactorFacts = { password: true, totp: 0, webauthn: 0, recoveryCodes: 0, frozenUntil: null }
const [one, two, phishingResistant] = acrLevels

t.test('whether a second factor is asked for follows from factors, proofs, demands and trust', async t => {
  const due = (over: Partial<SecondFactorFacts>) =>
    secondFactorDue({
      factors: none,
      acr: one,
      wantedAcr: null,
      required: false,
      deviceTrusted: false,
      ...over
    })
  const totp = { ...none, totp: 1 }
  const passkey = { ...none, webauthn: 1 }
  t.equal(due({}), 'none', 'nobody asks')
  t.equal(due({ factors: totp }), 'ask', 'there is one')
  t.equal(due({ factors: passkey }), 'ask')
  t.equal(due({ factors: { ...none, recoveryCodes: 10 } }), 'none', 'recovery codes alone are no factor')
  t.equal(due({ factors: totp, deviceTrusted: true }), 'none', 'trust stands in')
  t.equal(due({ factors: totp, deviceTrusted: true, required: true }), 'none', 'also where one is required')
  t.equal(due({ factors: totp, deviceTrusted: true, wantedAcr: two }), 'ask', 'but not for an application')
  t.equal(due({ deviceTrusted: true, required: true }), 'set_up', 'nor for a factor that is not there')
  t.equal(due({ required: true }), 'set_up')
  t.equal(due({ wantedAcr: two }), 'set_up')
  t.equal(due({ wantedAcr: one }), 'none')
  t.equal(due({ factors: totp, acr: two, wantedAcr: two }), 'none')
  t.equal(due({ factors: totp, acr: two, wantedAcr: phishingResistant }), 'set_up')
  t.equal(due({ factors: passkey, acr: two, wantedAcr: phishingResistant }), 'ask')
  t.equal(due({ factors: totp, wantedAcr: phishingResistant }), 'ask', 'the factor there is comes first')
  t.equal(due({ factors: passkey, acr: phishingResistant, wantedAcr: phishingResistant }), 'none')
  t.equal(due({ factors: passkey, acr: phishingResistant }), 'none')
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
      for (const page of ['sign-in', 'sign-up', 'mail-code'] as const)
        t.equal(mayShow(page, progress), !progress.authenticated, `${page} ${JSON.stringify(progress)}`)
      for (const page of ['verify-email', 'second-factor', 'set-up', 'passkey', 'consent', 'finish'] as const)
        t.equal(mayShow(page, progress), page === step, `${page} ${JSON.stringify(progress)}`)
    }
  }
)
