// The person as whom the OpenID Foundation's test suite signs in.
import { join } from 'node:path'
import { findOrCreateAccount, setProfile, verifyEmailByMailbox } from '../accounts/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { verifyPassword } from '../credentials/hashing.ts'
import { replacePassword } from '../credentials/password-service.ts'
import { findPasswordHash } from '../credentials/repository.ts'
import { createToken } from '../lib/tokens.ts'
import { readSecrets, writeSecrets } from './files.ts'

export type TestPerson = { email: string; password: string }

const email = 'foo@op.test'

/** Every standard claim has a value: the suite asks for each. @see OpenID Connect Core 1.0 §5.1 */
const profileOf = (issuer: string) => ({
  given_name: 'Foo',
  middle_name: 'Op',
  family_name: 'Test',
  nickname: 'foo',
  preferred_username: 'foo',
  profile: `${issuer}/`,
  picture: `${issuer}/favicon.ico`,
  website: `${issuer}/`,
  gender: 'unspecified',
  birthdate: '2000-01-31',
  zoneinfo: 'Etc/UTC',
  locale: 'en',
  phone_number: '+1 555 0100',
  phone_number_verified: true,
  address: { formatted: '1 Test Street, 00000 Testville', locality: 'Testville', country: 'XX' }
})

/**
 * Sees to it that the conformance profile's test account exists, with a value for every standard claim, and that
 * DATA_DIR/conformance.json (mode 0600) tells its password: CONFORMANCE_PASSWORD, or one made up at the first start.
 * Throws outside the conformance profile.
 */
export async function ensureTestPerson(ctx: Context): Promise<TestPerson> {
  const { conformance, conformancePassword, dataDir, issuer } = ctx.config
  if (!conformance) throw new Error('the test account is for the conformance profile only')
  const path = join(dataDir, 'conformance.json')
  const before = readSecrets(path) as Partial<TestPerson> | null
  const person = { email, password: conformancePassword ?? before?.password ?? createToken() }
  if (before?.password !== person.password) writeSecrets(path, person)

  const accountId = await inTransaction(ctx, async tx => {
    const { account } = await findOrCreateAccount(tx, { email, emailKey: email, name: 'Foo Test' })
    if (account.emailVerifiedAt === null) await verifyEmailByMailbox(tx, account)
    await setProfile(tx, account.id, { name: 'Foo Test', profile: profileOf(issuer) })
    return account.id
  })
  const stored = await findPasswordHash(ctx.sql, accountId)
  if (!(await verifyPassword(ctx.config, stored, person.password)))
    await replacePassword(ctx, { accountId, password: person.password })
  return person
}
