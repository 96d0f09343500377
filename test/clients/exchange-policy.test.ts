// What a client may exchange is data of its registration (RFC 8693): nothing unless it is said.
import t from 'tap'
import { parseClientMetadata } from '../../src/clients/metadata-model.ts'
import { metadataOf } from '../../src/clients/model.ts'
import { findClient } from '../../src/clients/repository.ts'
import { registerResource } from '../../src/clients/resource-service.ts'
import { registerClient, replaceClient } from '../../src/clients/service.ts'
import { createContext } from '../helpers/context.ts'

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const bearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const policy = { subject_clients: ['app'], audiences: ['urn:back'], impersonation: true }
const gateway = {
  client_name: 'Gateway',
  grant_types: [exchange],
  resources: ['urn:front', 'urn:back'],
  token_exchange: policy
}

function faultsOf(over: object): Record<string, string> {
  const outcome = parseClientMetadata({ ...gateway, ...over })
  return outcome.ok ? {} : Object.fromEntries(outcome.faults.map(({ field, message }) => [field, message]))
}
const policyFault = (over: object) => faultsOf({ token_exchange: { ...policy, ...over } }).token_exchange

t.test('a policy says whose tokens, for what and in which way', t => {
  t.strictSame(faultsOf({}), {})
  t.strictSame(faultsOf({ token_exchange: undefined }), {})
  const whole = {
    subject_token_types: ['access_token', 'id_token'],
    scopes: { read: ['orders:read', 'orders:list'] },
    delegation: true,
    actors: ['gateway'],
    max_lifetime_seconds: 60
  }
  t.equal(policyFault(whole), undefined)
  const wrong: [object, RegExp][] = [
    [{ impersonation: undefined }, /must allow impersonation or delegation/],
    [{ impersonation: false, delegation: false }, /must allow impersonation or delegation/],
    [{ actors: ['gateway'] }, /must not name actors without delegation/],
    [{ subject_clients: undefined }, /subject_clients/],
    [{ subject_clients: [] }, /subject_clients/],
    [{ subject_clients: ['a', 'a'] }, /subject_clients/],
    [{ subject_clients: 'app' }, /subject_clients/],
    [{ subject_clients: ['a\0'] }, /subject_clients/],
    [{ audiences: undefined }, /audiences/],
    [{ audiences: ['urn:elsewhere'] }, /audiences must be among its resources/],
    [{ subject_token_types: ['refresh_token'] }, /subject_token_types/],
    [{ scopes: { read: 'write' } }, /scopes/],
    [{ scopes: { 'a b': ['c'] } }, /is not known/],
    [{ impersonation: 'yes' }, /impersonation/],
    [{ max_lifetime_seconds: 9 }, /max_lifetime_seconds/],
    [{ max_lifetime_seconds: 86_401 }, /max_lifetime_seconds/],
    [{ upstream: true }, /upstream is not known/]
  ]
  for (const [over, message] of wrong) t.match(policyFault(over), message, JSON.stringify(over))
  for (const token_exchange of [null, [], 'x', 1])
    t.match(faultsOf({ token_exchange }), { token_exchange: /.+/ })
  t.end()
})

t.test('a policy fits its client', t => {
  t.match(faultsOf({ grant_types: ['client_credentials'] }), { token_exchange: /is of no use without/ })
  t.match(faultsOf({ token_endpoint_auth_method: 'none' }), {
    token_endpoint_auth_method: /anybody could be this client/
  })
  t.match(faultsOf({ resources: 'x' }), { resources: /must be a list/ })
  t.end()
})

t.test('a client without a secret has the grant of workloads alone', t => {
  const workload = { client_name: 'Deployment', grant_types: [bearer], token_endpoint_auth_method: 'none' }
  t.ok(parseClientMetadata(workload).ok)
  for (const more of ['client_credentials', 'authorization_code', 'refresh_token']) {
    const outcome = parseClientMetadata({
      ...workload,
      grant_types: [bearer, more],
      redirect_uris: more === 'authorization_code' ? ['https://app.example/cb'] : []
    })
    t.match(outcome, { ok: false }, more)
    t.ok(!outcome.ok && outcome.faults.some(({ message }) => /alone with none/.test(message)), more)
  }
  t.ok(parseClientMetadata({ client_name: 'Both', grant_types: [bearer, 'client_credentials'] }).ok)
  t.end()
})

t.test('a policy is kept, replaced and taken away with the registration', async t => {
  const ctx = await createContext(t)
  for (const identifier of gateway.resources) await registerResource(ctx, { identifier, scopes: ['read'] })
  const kept = async () => {
    const client = await findClient(ctx.sql, 'gateway')
    return client === null ? null : (metadataOf(client).token_exchange ?? null)
  }
  const scopes = { snake_case: ['camelCase'] }
  await registerClient(ctx, { ...gateway, token_exchange: { ...policy, scopes } }, { clientId: 'gateway' })
  t.strictSame(await kept(), { ...policy, scopes })
  await replaceClient(ctx, 'gateway', { ...gateway, token_exchange: { ...policy, delegation: true } })
  t.strictSame(await kept(), { ...policy, delegation: true })
  await replaceClient(ctx, 'gateway', { ...gateway, token_exchange: undefined })
  t.equal(await kept(), null)
})
