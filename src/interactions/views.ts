// What the pages of a sign-in may show, and its words.
import type { RegisteredBy } from '../clients/model.ts'
import type { PasswordFault } from '../credentials/model.ts'
import { definePage } from '../http/view.ts'
import { noWaiting, type Waiting, waitInWords, waitingTexts } from '../http/waiting.ts'
import type { DescribedDetail } from '../oidc/details-model.ts'
import {
  type Application,
  presentApplication,
  sampleApplication,
  sampleApplicationWithLogo
} from './application-views.ts'
import { describeClaim, describeScope } from './scope-model.ts'

/** Samples of what a page says to who tried too often. */
const waiting: Waiting = { retryAfterSeconds: 120, challenge: null }
const working: Waiting = { retryAfterSeconds: 20, challenge: '17.1795436400.c2FtcGxlLW5vbmNl.c3RhbXA' }

export type SignInData = Waiting & {
  action: string
  signUpUrl: string
  resetUrl: string
  passkeyAction: string
  /** Where a code is asked for by mail; null where that is no way in. */
  mailCodeUrl: string | null
  /** Whoever is signed in proves it anew. */
  again: boolean
  client: Application
  email: string
  problem: null | 'wrong_credentials' | 'passkey_refused' | 'too_many' | 'work_needed' | 'busy'
  faults: { email?: 'missing' | 'invalid'; password?: 'missing' }
  cancelAction: string
  /** A passkey that is not known here: the browser may forget it. */
  signals: { unknownCredential: { rpId: string; credentialId: string } } | null
}

const emailFaults = {
  missing: 'Enter your email address.',
  invalid: 'Enter an address like name@example.org.',
  too_long: 'This address is too long. Use one of at most 254 characters.'
}
const busy = 'We are busy just now. Wait a moment, then try again.'

const signIn: SignInData = {
  action: '/interaction/Ab3/sign-in',
  signUpUrl: '/interaction/Ab3/sign-up',
  resetUrl: '/reset-password?interaction=Ab3',
  passkeyAction: '/interaction/Ab3/sign-in/passkey',
  mailCodeUrl: null,
  again: false,
  client: sampleApplication,
  email: '',
  problem: null,
  faults: {},
  cancelAction: '/interaction/Ab3/cancel',
  signals: null,
  ...noWaiting
}

export const signInPage = definePage<SignInData>(
  'interactions/sign-in',
  {
    fresh: signIn,
    'with-logo': { ...signIn, client: sampleApplicationWithLogo },
    'wrong-credentials': { ...signIn, email: 'ines.moreau@example.org', problem: 'wrong_credentials' },
    'with-mail': { ...signIn, mailCodeUrl: '/interaction/Ab3/mail-code' },
    again: { ...signIn, email: 'ines.moreau@example.org', again: true },
    'passkey-refused': {
      ...signIn,
      problem: 'passkey_refused',
      signals: { unknownCredential: { rpId: 'id.example.org', credentialId: 'q0d1' } }
    },
    'too-many': { ...signIn, email: 'ines.moreau@example.org', problem: 'too_many', ...waiting },
    'work-needed': { ...signIn, email: 'ines.moreau@example.org', problem: 'work_needed', ...working },
    busy: { ...signIn, email: 'ines.moreau@example.org', problem: 'busy' },
    empty: { ...signIn, faults: { email: 'missing', password: 'missing' } },
    'invalid-email': { ...signIn, email: 'ines.moreau', faults: { email: 'invalid' } }
  },
  data => ({
    client: presentApplication(data.client),
    problemText:
      data.problem &&
      {
        wrong_credentials:
          'This email address and password do not go together. Check both, or create an account if you have none.',
        passkey_refused:
          'This passkey did not sign you in. Try once more, or use your email address and password.',
        ...waitingTexts(data),
        busy
      }[data.problem],
    faultTexts: {
      email: data.faults.email && emailFaults[data.faults.email],
      password: data.faults.password && 'Enter your password.'
    }
  })
)

export type SignUpData = Waiting & {
  action: string
  signInUrl: string
  client: Application
  email: string
  name: string
  problem: null | 'work_needed' | 'busy'
  faults: {
    email?: 'missing' | 'invalid' | 'too_long'
    name?: 'missing' | 'too_long' | 'invalid'
    password?: PasswordFault
  }
  passwordMinLength: number
}

const signUp: SignUpData = {
  action: '/interaction/Ab3/sign-up',
  signInUrl: '/interaction/Ab3/sign-in',
  client: sampleApplication,
  email: '',
  name: '',
  problem: null,
  faults: {},
  passwordMinLength: 15,
  ...noWaiting
}

const signUpAgain: SignUpData = { ...signUp, email: 'ines.moreau@example.org', name: 'Inès Moreau' }

export const signUpPage = definePage<SignUpData>(
  'interactions/sign-up',
  {
    fresh: signUp,
    'with-logo': { ...signUp, client: sampleApplicationWithLogo },
    empty: { ...signUp, faults: { email: 'missing', name: 'missing', password: 'missing' } },
    invalid: {
      ...signUp,
      email: 'ines.moreau',
      name: 'Inès \u202eMoreau',
      faults: { email: 'invalid', name: 'invalid', password: 'too_short' }
    },
    'too-long': {
      ...signUp,
      email: `${'a'.repeat(300)}@example.org`,
      name: 'Inès'.repeat(80),
      faults: { email: 'too_long', name: 'too_long', password: 'too_long' }
    },
    common: { ...signUpAgain, faults: { password: 'common' } },
    guessable: { ...signUpAgain, faults: { password: 'guessable' } },
    breached: { ...signUpAgain, faults: { password: 'breached' } },
    busy: { ...signUpAgain, problem: 'busy' },
    'work-needed': { ...signUpAgain, problem: 'work_needed', ...working }
  },
  ({ client, problem, faults, ...wait }) => ({
    client: presentApplication(client),
    problemText: problem && { ...waitingTexts(wait), busy }[problem],
    faultTexts: {
      email: faults.email && emailFaults[faults.email],
      name:
        faults.name &&
        {
          missing: 'Enter the name that applications should call you by.',
          too_long: 'This name is too long. Use a shorter one.',
          invalid: 'This name has characters that cannot be shown. Type it again by hand.'
        }[faults.name]
    }
  })
)

export type VerifyEmailData = Waiting & {
  action: string
  resendAction: string
  startOverUrl: string
  /** The page once more: it goes on by itself when the link was opened elsewhere. */
  goOnUrl: string
  clientName: string
  email: string
  problem: null | 'invalid' | 'expired' | 'no_attempts_left' | 'missing' | 'too_many' | 'work_needed'
  notice: null | 'sent' | 'capped' | 'waiting'
}

const verifyEmail: VerifyEmailData = {
  action: '/interaction/Ab3/verify-email',
  resendAction: '/interaction/Ab3/verify-email/resend',
  startOverUrl: '/interaction/Ab3/sign-up',
  goOnUrl: '/interaction/Ab3/verify-email?notice=waiting',
  clientName: 'Tidewater Photos',
  email: 'ines.moreau@example.org',
  problem: null,
  notice: null,
  ...noWaiting
}

export const verifyEmailPage = definePage<VerifyEmailData>(
  'interactions/verify-email',
  {
    fresh: verifyEmail,
    missing: { ...verifyEmail, problem: 'missing' },
    invalid: { ...verifyEmail, problem: 'invalid' },
    expired: { ...verifyEmail, problem: 'expired' },
    'no-attempts-left': { ...verifyEmail, problem: 'no_attempts_left' },
    'too-many': { ...verifyEmail, problem: 'too_many', ...waiting },
    'work-needed': { ...verifyEmail, problem: 'work_needed', ...working },
    sent: { ...verifyEmail, notice: 'sent' },
    capped: { ...verifyEmail, notice: 'capped' },
    waiting: { ...verifyEmail, notice: 'waiting' }
  },
  ({ problem, notice, ...wait }) => ({
    faultText:
      problem &&
      {
        missing: 'Type the six digits from the mail.',
        invalid: 'This is not the code from the newest mail. Check the six digits and try again.',
        expired: 'This code is too old. Send a new mail below and use the code in it.',
        no_attempts_left: 'This code was tried too often and is no longer good. Send a new mail below.',
        ...waitingTexts(wait),
        too_many: `There were too many wrong tries. Wait ${waitInWords(wait.retryAfterSeconds)}, then try again, or open the link in the mail.`
      }[problem],
    noticeText:
      notice &&
      {
        sent: 'A new mail is on its way. Only the code in the newest mail counts.',
        capped:
          'Several mails have been sent already. Look for them, also in the spam folder, or try again in an hour.',
        waiting: 'Your address is not confirmed yet. Open the link in the newest mail, or type its code here.'
      }[notice]
  })
)

/** Where a browser goes on to: a site, a program on the person's device, or nowhere, where another device waits. */
export type WayBack = { to: 'site'; host: string } | { to: 'this_device' } | { to: 'nowhere' }

export type ConsentData = {
  action: string
  client: Application
  /** Nobody here vouches for it; null: the operator does. */
  selfRegistered: { by: Exclude<RegisteredBy, 'operator'>; returnsTo: WayBack } | null
  accountName: string
  accountEmail: string
  scopes: string[]
  /** What the operator says of scopes of their own. */
  described: Record<string, string | null>
  /** Claims that are asked for by name. */
  claims: string[]
  resources: { name: string; scopes: string[] }[]
  details: DescribedDetail[]
}

const consent: ConsentData = {
  action: '/interaction/Ab3/consent',
  client: sampleApplication,
  selfRegistered: null,
  accountName: 'Inès Moreau',
  accountEmail: 'ines.moreau@example.org',
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  described: {},
  claims: [],
  resources: [],
  details: []
}

export const consentPage = definePage<ConsentData>(
  'interactions/consent',
  {
    usual: consent,
    everything: {
      ...consent,
      client: sampleApplicationWithLogo,
      scopes: ['openid', 'profile', 'email', 'address', 'phone', 'offline_access', 'photos.archive', 'org'],
      described: { org: 'See which department you work in' },
      claims: ['phone_number'],
      resources: [{ name: 'Photo storage', scopes: ['photos:read', 'photos:write'] }]
    },
    'resource-alone': {
      ...consent,
      client: { ...consent.client, policyUrl: null, termsUrl: null },
      scopes: [],
      resources: [{ name: 'urn:demo:api', scopes: ['read'] }]
    },
    'registered-itself': {
      ...consent,
      selfRegistered: { by: 'registration', returnsTo: { to: 'site', host: 'photos.tidewater.example' } }
    },
    'on-this-device': {
      ...consent,
      client: { ...consent.client, host: 'localhost:33418' },
      selfRegistered: { by: 'registration', returnsTo: { to: 'this_device' } }
    },
    'described-by-a-document': {
      ...consent,
      scopes: [],
      resources: [{ name: 'Weather tools', scopes: [] }],
      selfRegistered: { by: 'client_id_metadata_document', returnsTo: { to: 'this_device' } }
    },
    'on-another-device': {
      ...consent,
      selfRegistered: { by: 'registration', returnsTo: { to: 'nowhere' } }
    },
    'nothing-but-in': {
      ...consent,
      scopes: [],
      selfRegistered: { by: 'registration', returnsTo: { to: 'site', host: 'photos.tidewater.example' } }
    },
    'with-details': {
      ...consent,
      scopes: [],
      details: [
        {
          title: 'Pay from your account',
          fields: [
            { label: 'Amount: Currency', value: 'EUR' },
            { label: 'Amount: Amount', value: '123.50' },
            { label: 'To', value: 'Kiosk at the harbour' },
            { label: 'Account: IBAN', value: 'DE02100100109307118603' }
          ]
        },
        { title: 'Read your statements', fields: [{ label: 'Actions', value: 'list, download' }] }
      ]
    }
  },
  ({ client, scopes, described, claims, resources, details }) => {
    const nothing = scopes.length + claims.length + resources.length + details.length === 0
    return {
      client: presentApplication(client),
      permissions: [
        ...(nothing ? ['openid'] : scopes).map(scope => describeScope(scope, described)),
        ...claims.map(describeClaim)
      ]
    }
  }
)

/** Shown where a confirmed address's sign-in goes on in another browser, or is over. */
export const resumedElsewherePage = definePage<{ application: { name: string; url: string } | null }>(
  'interactions/resumed-elsewhere',
  {
    elsewhere: { application: null },
    over: { application: { name: 'Tidewater Photos', url: 'https://photos.tidewater.example/' } }
  }
)
