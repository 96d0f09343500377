// Whether one token may be had for another: the policy of the client and what the tokens say. Pure.
import type { ExchangePolicy } from '../clients/exchange-model.ts'
import { type Actor, mayIntrospect } from './model.ts'
import type { Presented } from './presented-tokens.ts'
import type { RegisteredClient } from './registry.ts'

/** How many may have acted one for the other. Longer chains tell of a loop. */
const longestChain = 5

/** The client that asks, and the keys that it proved to have in this request. */
export type Exchanger = Pick<RegisteredClient, 'clientId' | 'introspection' | 'resources'> & {
  provenKeys: { jkt: string | undefined; x5t: string | undefined }
}

export type ExchangeAsk = {
  client: Exchanger
  subject: Presented
  /** Null: none was presented, so the result does not say who acts. */
  actor: Presented | null
  /** Null: none was named. */
  audience: string | null
  issuer: string
}

export type Refusal =
  | 'no_policy'
  | 'subject_token_invalid'
  | 'subject_token_not_allowed'
  | 'actor_token_invalid'
  | 'actor_token_not_allowed'
  | 'may_act_of_others'
  | 'impersonation_not_allowed'
  | 'delegation_not_allowed'
  | 'chain_too_long'
  | 'audience_not_allowed'
  | 'scope_not_allowed'
  | 'bound_to_another_key'
  | 'key_not_proven'

/**
 * Decides an exchange. `act` is who acts in the result: the actor before those who acted already, who are never left out.
 *
 * @see RFC 8693 §2.1, §4.1, §4.4
 */
export function decideExchange(
  policy: ExchangePolicy | undefined,
  ask: ExchangeAsk
):
  | { ok: true; policy: ExchangePolicy; audience: string; act: Actor | null }
  | { ok: false; reason: Refusal } {
  const { client, subject, actor } = ask
  if (policy === undefined) return refused('no_policy')
  if (!isSubjectAllowed(client, policy, subject)) return refused('subject_token_not_allowed')
  const audience = ask.audience ?? (policy.audiences.length === 1 ? policy.audiences[0] : undefined)
  if (audience === undefined || !policy.audiences.includes(audience)) return refused('audience_not_allowed')
  if (actor === null && policy.impersonation !== true) return refused('impersonation_not_allowed')
  if (actor !== null && policy.delegation !== true) return refused('delegation_not_allowed')
  if (actor !== null && !isActorAllowed(client, policy, actor)) return refused('actor_token_not_allowed')
  if (!isNamedByMayAct(ask)) return refused('may_act_of_others')
  const reason = bindingProblem(ask)
  if (reason !== null) return refused(reason)
  const { act: earlier } = subject
  const act = actor === null ? earlier : { sub: actor.subject, ...(earlier === null ? {} : { act: earlier }) }
  return lengthOf(act) > longestChain ? refused('chain_too_long') : { ok: true, policy, audience, act }
}

const refused = (reason: Refusal) => ({ ok: false, reason }) as const

/** Whether the client came by a token rightly: it is its own, or for a resource that it guards. */
const isMeantFor = (client: Exchanger, { clientId, audience }: Presented): boolean =>
  mayIntrospect(client, { clientId, aud: audience ?? undefined })

function isSubjectAllowed(client: Exchanger, policy: ExchangePolicy, subject: Presented): boolean {
  const { subject_token_types: kinds = ['access_token'] } = policy
  if (!kinds.includes(subject.kind) || !policy.subject_clients.includes(subject.clientId)) return false
  // An ID token is for the client that it was given to, which hands it on: the policy alone says from whom.
  return subject.kind === 'id_token' || isMeantFor(client, subject)
}

function isActorAllowed(client: Exchanger, { actors }: ExchangePolicy, actor: Presented): boolean {
  if (!(actors ?? [client.clientId]).includes(actor.clientId) || !isMeantFor(client, actor)) return false
  // A person whom each client knows by another name: the chain would give away which is whose.
  if (actor.accountId !== null && actor.isPairwise) return false
  // One who acts for another already cannot lend that: whose act it would be could not be told from the chain.
  return actor.act === null
}

/** A subject token that says who may act lets nobody else: the actor, or where there is none the client. @see RFC 8693 §4.4 */
function isNamedByMayAct({ client, subject: { mayAct }, actor, issuer }: ExchangeAsk): boolean {
  if (mayAct === undefined) return true
  if (typeof mayAct !== 'object' || mayAct === null) return false
  const { sub, iss = issuer, client_id: named, ...unknown } = mayAct as Record<string, unknown>
  const party = actor ?? { subject: client.clientId, clientId: client.clientId }
  return (
    sub === party.subject &&
    iss === issuer &&
    (named === undefined || named === party.clientId) &&
    // What identifies them in a way that we do not know may name somebody else.
    Object.keys(unknown).length === 0
  )
}

/**
 * A token that is bound to a key never becomes one that is not. It may be exchanged by whoever proves to have that key, or by
 * the guard of the resource that it is for, who has seen that proven; an actor's only by whoever has its key.
 *
 * @see RFC 9449 §9, RFC 8705 §3
 */
function bindingProblem({ client, subject, actor }: ExchangeAsk): Refusal | null {
  const { provenKeys } = client
  const isBound = ({ boundTo }: Presented) => (boundTo.jkt ?? boundTo.x5t) !== undefined
  const isHolder = ({ boundTo }: Presented) =>
    boundTo.jkt === undefined ? boundTo.x5t === provenKeys.x5t : boundTo.jkt === provenKeys.jkt
  if (actor !== null && isBound(actor) && !isHolder(actor)) return 'bound_to_another_key'
  if (!isBound(subject)) return null
  if ((provenKeys.jkt ?? provenKeys.x5t) === undefined) return 'key_not_proven'
  return isHolder(subject) || subject.clientId !== client.clientId ? null : 'bound_to_another_key'
}

function lengthOf(act: Actor | null): number {
  let length = 0
  for (let actor: Actor | undefined = act ?? undefined; actor !== undefined; actor = actor.act) length++
  return length
}

/**
 * The scopes that the result may have: those of the subject token at its own resource; at another what the policy makes
 * of them. Never more than the client may have there.
 */
export function exchangeableScopes(
  policy: ExchangePolicy,
  subject: Presented,
  resource: { identifier: string; scopes: Set<string> }
): string[] {
  const { scopes = {} } = policy
  const offered =
    subject.audience === resource.identifier
      ? subject.scopes
      : subject.scopes.flatMap(scope => (Object.hasOwn(scopes, scope) ? (scopes[scope] ?? []) : []))
  return [...new Set(offered)].filter(scope => resource.scopes.has(scope))
}
