// Registers the clients and the people of the benchmark in a Gatehouse database.
import { insertAccount, updateEmailVerified } from '../../src/accounts/repository.ts'
import { tokenExchange } from '../../src/clients/model.ts'
import { registerResource } from '../../src/clients/resource-service.ts'
import { registerClient } from '../../src/clients/service.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Context } from '../../src/context.ts'
import { hashPassword } from '../../src/credentials/hashing.ts'
import { updatePassword } from '../../src/credentials/repository.ts'
import { connect } from '../../src/db/connect.ts'
import { createLog } from '../../src/http/log.ts'
import { ensureSigningKeys, loadSigningKeys } from '../../src/keys/service.ts'
import { createId } from '../../src/lib/ids.ts'
import type { Target } from '../load/person.ts'

export const resource = { identifier: 'urn:demo:api', name: 'Demo API', scopes: ['api:read', 'api:write'] }
export const redirectUri = 'http://127.0.0.1:1/callback'
export const webScope = 'openid profile email'
export const password = 'correct horse battery staple'

type Registration = { databaseUrl: string; encryptionKey: string; people: number; inEachState: number }

export type Registered = { target: Omit<Target, 'name' | 'origin'>; jwks: { keys: object[] } }

/** Answers with what a target knows but for its name and origin, and with the keys that all servers sign with. */
export async function register(options: Registration): Promise<Registered> {
  const { databaseUrl, encryptionKey, people, inEachState } = options
  const loaded = loadConfig(
    { DATABASE_URL: databaseUrl, ENCRYPTION_KEY: encryptionKey },
    { writeSecrets: false }
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  const sql = connect({ url: databaseUrl, poolSize: 2 })
  const { config } = loaded
  const ctx: Context = { sql, config, now: () => new Date(), log: createLog('warn'), enqueue: async () => {} }
  try {
    await registerResource(ctx, resource)
    const service = await registerOne(ctx, 'bench-service', {
      grant_types: ['client_credentials'],
      scope: resource.scopes.join(' '),
      resources: [resource.identifier]
    })
    const web = await registerOne(ctx, 'bench-web', {
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token', tokenExchange],
      scope: `${webScope} ${resource.scopes.join(' ')}`,
      resources: [resource.identifier],
      first_party: true,
      token_exchange: {
        subject_clients: ['bench-web'],
        audiences: [resource.identifier],
        scopes: { email: ['api:read'] },
        impersonation: true
      }
    })
    await ensureSigningKeys(ctx)
    const target = {
      service: { ...service, resource: resource.identifier, scope: 'api:read' },
      web: { ...web, redirectUri, scope: webScope },
      people: await insertPeople(ctx, 'person', people)
    }
    await insertPeople(ctx, 'disabled', inEachState)
    await insertPeople(ctx, 'passwordless', inEachState)
    await sql`update accounts set disabled_at = now() where email_key like 'disabled-%'`
    await sql`delete from password_credentials using accounts
      where accounts.id = account_id and email_key like 'passwordless-%'`
    return { target, jwks: { keys: await loadSigningKeys(ctx) } }
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function registerOne(ctx: Context, clientId: string, metadata: Record<string, unknown>) {
  const outcome = await registerClient(ctx, { client_name: clientId, ...metadata }, { clientId })
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
  return { clientId, clientSecret: outcome.client_secret ?? '' }
}

async function insertPeople(
  { sql, config, now }: Context,
  name: string,
  count: number
): Promise<Target['people']> {
  const passwordHash = await hashPassword(config, password)
  const people = Array.from({ length: count }, (_, index) => ({
    email: `${name}-${index}@example.org`,
    password
  }))
  for (const { email } of people) {
    const accountId = createId(now())
    const at = now()
    await insertAccount(sql, { id: accountId, email, emailKey: email, name: 'Ada Lovelace', at })
    await updateEmailVerified(sql, { accountId, emailKey: email, name: null, at })
    await updatePassword(sql, { accountId, passwordHash, at })
  }
  return people
}
