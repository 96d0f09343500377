// Every path to a session for people with a password, and with codes beside it.
import t from 'tap'
import { checkPaths } from '../helpers/factor-matrix.ts'
import { startService } from '../helpers/service.ts'

const service = await startService(t, {
  environment: { MAIL_SIGN_IN: 'on', MAILS_PER_RECIPIENT_PER_HOUR: '100' }
})
const required = false

await checkPaths(t, service, {
  'a password': { required },
  'a password and an authenticator': { totp: true, required },
  'a password, an authenticator and recovery codes': { totp: true, recoveryCodes: true, required }
})
