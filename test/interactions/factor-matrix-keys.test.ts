// Every path to a session for people with keys and passkeys.
import t from 'tap'
import { checkPaths } from '../helpers/factor-matrix.ts'
import { startService } from '../helpers/service.ts'

const service = await startService(t, {
  environment: { MAIL_SIGN_IN: 'on', MAILS_PER_RECIPIENT_PER_HOUR: '100' }
})
const required = false

await checkPaths(t, service, {
  'a password and a security key': { key: 'security_key', required },
  'a password and a passkey': { key: 'passkey', required },
  'a passkey and no password': { password: false, key: 'passkey', required }
})
