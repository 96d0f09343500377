// Every path to a session where a second factor is demanded: of everybody, or of those with a role.
import t from 'tap'
import { checkPaths } from '../helpers/factor-matrix.ts'
import { startService } from '../helpers/service.ts'

const settings = {
  MAIL_SIGN_IN: 'on',
  SECOND_FACTOR: 'required',
  SECOND_FACTOR_ROLES: 'staff',
  MAILS_PER_RECIPIENT_PER_HOUR: '100'
}
const required = true

t.test('of everybody', async t => {
  await checkPaths(t, await startService(t, { environment: settings }), {
    'a password': { required },
    'a password and an authenticator': { totp: true, required },
    'a passkey and no password': { password: false, key: 'passkey', required }
  })
})

t.test('of a role', async t => {
  await checkPaths(t, await startService(t, { environment: { ...settings, SECOND_FACTOR: 'optional' } }), {
    'a password': { role: 'staff', required }
  })
})
