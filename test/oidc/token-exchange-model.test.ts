// The rule of token exchange where no token of today's settings shows it: certificates, and people by pairwise names.
import t from 'tap'
import type { Presented } from '../../src/oidc/presented-tokens.ts'
import { decideExchange, type ExchangeAsk } from '../../src/oidc/token-exchange-model.ts'

const policy = { subject_clients: ['app'], audiences: ['urn:back'], impersonation: true, delegation: true }
const unbound = { jkt: undefined, x5t: undefined }
const presented = (over: Partial<Presented> = {}): Presented => ({
  kind: 'access_token',
  subject: 'ada',
  accountId: 'ada',
  clientId: 'app',
  isPairwise: false,
  audience: 'urn:front',
  scopes: ['read'],
  expiresAt: 0,
  grantId: 'grant',
  sessionUid: null,
  act: null,
  mayAct: undefined,
  signIn: {},
  boundTo: unbound,
  ...over
})
const gateway = { clientId: 'gateway', introspection: true, resources: ['urn:front', 'urn:back'] }
const reasonOf = (over: Partial<ExchangeAsk>, provenKeys: { jkt?: string; x5t?: string } = {}) => {
  const outcome = decideExchange(policy, {
    client: { ...gateway, provenKeys: { ...unbound, ...provenKeys } },
    subject: presented(),
    actor: null,
    audience: 'urn:back',
    issuer: 'https://id.example',
    ...over
  })
  return outcome.ok ? null : outcome.reason
}

t.test('RFC 8705 §3: a token bound to a certificate is exchanged as one bound to a DPoP key is', async t => {
  const bound = { ...unbound, x5t: 'certificate' }
  t.equal(reasonOf({}), null)
  t.equal(reasonOf({ subject: presented({ boundTo: bound }) }), 'key_not_proven')
  t.equal(reasonOf({ subject: presented({ boundTo: bound }) }, { x5t: 'own' }), null)
  t.equal(reasonOf({ subject: presented({ boundTo: bound }) }, { jkt: 'own' }), null)
  const own = { subject: presented({ clientId: 'gateway', boundTo: bound }) }
  const ownPolicy = { ...policy, subject_clients: ['gateway'] }
  const ask = (provenKeys: { jkt?: string; x5t?: string }) =>
    decideExchange(ownPolicy, {
      ...own,
      client: { ...gateway, provenKeys: { ...unbound, ...provenKeys } },
      actor: null,
      audience: null,
      issuer: 'https://id.example'
    })
  t.match(ask({ x5t: 'certificate' }), { ok: true, audience: 'urn:back' })
  for (const other of [{ x5t: 'other' }, { jkt: 'certificate' }])
    t.match(ask(other), { ok: false, reason: 'bound_to_another_key' })
  const actor = presented({ clientId: 'gateway', accountId: null, subject: 'gateway', boundTo: bound })
  t.equal(reasonOf({ actor }), 'bound_to_another_key')
  t.equal(reasonOf({ actor }, { x5t: 'certificate' }), null)
})

t.test('a person whom each client knows by another name is no actor', async t => {
  const actor = presented({ clientId: 'gateway' })
  t.equal(reasonOf({ actor }), null)
  t.equal(reasonOf({ actor: { ...actor, isPairwise: true } }), 'actor_token_not_allowed')
  t.equal(reasonOf({ actor: { ...actor, accountId: null, isPairwise: true } }), null, 'a client has one name')
})
