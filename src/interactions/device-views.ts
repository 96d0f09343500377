// The pages on which a person lets a device in, and their words.
import { browserOf } from '../accounts/browser-model.ts'
import { definePage } from '../http/view.ts'
import { noWaiting, type Waiting, waitInWords, waitingTexts } from '../http/waiting.ts'
import { type Application, presentApplication, sampleApplication } from './application-views.ts'
import type { ConsentData } from './views.ts'

export type DeviceCodeData = Waiting & {
  /** As it was typed, or as the address brought it along. */
  userCode: string
  /** The code came with the address: the person compares it instead of typing it. */
  prefilled: boolean
  problem: null | 'missing' | 'invalid' | 'unknown' | 'expired' | 'used' | 'too_many' | 'work_needed'
}

const code: DeviceCodeData = { userCode: '', prefilled: false, problem: null, ...noWaiting }
const typed: DeviceCodeData = { ...code, userCode: 'WDJB-MJHT' }

/** Where the code that a device shows is typed. */
export const deviceCodePage = definePage<DeviceCodeData>(
  'interactions/device-code',
  {
    fresh: code,
    prefilled: { ...typed, prefilled: true },
    missing: { ...code, problem: 'missing' },
    invalid: { ...typed, userCode: 'WDJB', problem: 'invalid' },
    unknown: { ...typed, problem: 'unknown' },
    expired: { ...typed, problem: 'expired' },
    used: { ...typed, problem: 'used' },
    'too-many': { ...typed, problem: 'too_many', retryAfterSeconds: 120 },
    'work-needed': {
      ...typed,
      problem: 'work_needed',
      retryAfterSeconds: 20,
      challenge: '17.1795436400.c2FtcGxlLW5vbmNl.c3RhbXA'
    }
  },
  ({ problem, ...wait }) => ({
    problemText:
      problem === 'too_many'
        ? `There were too many wrong codes. Wait ${waitInWords(wait.retryAfterSeconds)}, then try again.`
        : problem === 'work_needed'
          ? waitingTexts(wait).work_needed
          : null,
    faultText:
      {
        missing: 'Type the code that your device shows.',
        invalid: 'A code has eight letters, like WDJB-MJHT. Type all of them.',
        unknown: 'No device waits with this code. Compare it letter by letter with the one on your device.',
        expired: 'This code is too old. Have your device show a new one.',
        used: 'This code was used already. Go on where you did that, or have your device show a new one.',
        too_many: null,
        work_needed: null
      }[problem ?? 'work_needed'] ?? null
  })
)

export type DeviceConfirmData = {
  userCode: string
  client: Application
  /** Nobody here vouches for it. */
  selfRegistered: ConsentData['selfRegistered']
  device: { ip: string | null; userAgent: string; askedAt: Date }
  /** The device asked from another network than this browser's: it is not likely to be in the same room. */
  elsewhere: boolean
  /** Whoever is signed in here. */
  account: { name: string; email: string } | null
}

const confirm: DeviceConfirmData = {
  userCode: 'WDJB-MJHT',
  client: { ...sampleApplication, name: 'Tidewater TV' },
  selfRegistered: null,
  device: { ip: '203.0.113.7', userAgent: 'TidewaterTV/3.1', askedAt: new Date('2026-11-21T09:30:00Z') },
  elsewhere: false,
  account: null
}

const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })

/** Where the person is told what they are about to let in. */
export const deviceConfirmPage = definePage<DeviceConfirmData>(
  'interactions/device-confirm',
  {
    here: confirm,
    'registered-itself': {
      ...confirm,
      client: { ...confirm.client, host: '' },
      selfRegistered: { by: 'registration', returnsTo: { to: 'nowhere' } }
    },
    'signed-in': {
      ...confirm,
      client: { ...confirm.client, host: '' },
      device: { ...confirm.device, ip: null },
      account: { name: 'Inès Moreau', email: 'ines.moreau@example.org' }
    },
    elsewhere: {
      ...confirm,
      elsewhere: true,
      device: {
        ...confirm.device,
        ip: '2001:db8:85a3:8d3:1319:8a2e:370:7348',
        userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0'
      }
    }
  },
  ({ client, device }) => ({
    client: presentApplication(client),
    askedText: `${moment.format(device.askedAt)} UTC`,
    // What an unknown program calls itself is its own words, and so nothing to trust it for.
    browserText: /unknown/i.test(browserOf(device.userAgent)) ? null : browserOf(device.userAgent)
  })
)

export type DeviceDoneData = { state: 'approved' | 'denied' | 'used' | 'expired' }

/** Where the person's part is over. */
export const deviceDonePage = definePage<DeviceDoneData>(
  'interactions/device-done',
  {
    approved: { state: 'approved' },
    denied: { state: 'denied' },
    used: { state: 'used' },
    expired: { state: 'expired' }
  },
  ({ state }) => ({
    words: {
      approved: {
        title: 'Your device is connected',
        explanation: 'Go on there: within a few seconds it knows. You can close this page.'
      },
      denied: {
        title: 'The device was not let in',
        explanation: 'It is told so, and gets nothing of your account. You can close this page.'
      },
      used: {
        title: 'This code was used already',
        explanation:
          'It was confirmed or refused before. If your device still waits, have it show a new code.'
      },
      expired: {
        title: 'This code is too old',
        explanation: 'It has run out, or the device has given up. Have it show a new code.'
      }
    }[state]
  })
)
