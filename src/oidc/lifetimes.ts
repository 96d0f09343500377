// How long a client's tokens last: as it is registered, else as the installation is set up.
import type { Client } from 'oidc-provider'
import type { Resource } from '../clients/model.ts'
import type { Config } from '../config/schema.ts'
import type { RegisteredClient } from './registry.ts'

type Settings = Pick<
  Config,
  | 'accessTokenLifetimeSeconds'
  | 'idTokenLifetimeSeconds'
  | 'refreshTokenIdleSeconds'
  | 'refreshTokenAbsoluteSeconds'
  | 'refreshTokenGraceSeconds'
  | 'sessionAbsoluteSeconds'
>

const own = (client: Client | undefined): Partial<RegisteredClient> => client ?? {}

/**
 * How long an access token lasts. A client's lifetime replaces the installation's; where the resource names one as well,
 * the shorter of the two counts: neither can be made to bear with more than it was registered for.
 */
export function accessTokenSeconds(
  settings: Settings,
  client: Client | undefined,
  resource?: Pick<Resource, 'accessTokenLifetimeSeconds'>
): number {
  const named = [own(client).access_token_lifetime_seconds, resource?.accessTokenLifetimeSeconds].filter(
    seconds => typeof seconds === 'number'
  )
  return named.length === 0 ? settings.accessTokenLifetimeSeconds : Math.min(...named)
}

export const idTokenSeconds = (settings: Settings, client: Client | undefined): number =>
  own(client).id_token_lifetime_seconds ?? settings.idTokenLifetimeSeconds

/** How long a refresh token lasts unused, cut short where its chain, `age` seconds old, ends first. */
export function refreshTokenSeconds(settings: Settings, client: Client | undefined, age: number): number {
  const idle = own(client).refresh_token_idle_seconds ?? settings.refreshTokenIdleSeconds
  return Math.max(1, Math.min(idle, chainSeconds(settings, client) - age))
}

const chainSeconds = (settings: Settings, client: Client | undefined): number =>
  own(client).refresh_token_absolute_seconds ?? settings.refreshTokenAbsoluteSeconds

/** For how long a retry with a used refresh token gets the answer of its first use. */
export const graceSeconds = (settings: Settings, client: Client | undefined): number =>
  own(client).refresh_token_grace_seconds ?? settings.refreshTokenGraceSeconds

/** A grant outlives every refresh token that it can have, the one of its session's last day too. */
export const grantSeconds = (settings: Settings, client: Client | undefined): number =>
  chainSeconds(settings, client) + settings.sessionAbsoluteSeconds + 86_400
