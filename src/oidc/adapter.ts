// oidc-provider's storage. It keeps to the library's contract, but reads in joins and writes in batches (unit-of-work.ts),
// stores hashes instead of ids, and makes every "once" one conditional statement.
import type { Adapter } from 'oidc-provider'
import type { Part, Storage } from './adapter-parts.ts'
import { backchannelRequests } from './backchannel-adapter.ts'
import { deviceCodes } from './device-code-adapter.ts'
import { interactions, sessions } from './session-adapters.ts'
import { accessTokens, artifacts, codes, grants, refreshTokens } from './token-adapters.ts'

const adapters: Record<string, Part> = {
  AccessToken: accessTokens,
  ClientCredentials: accessTokens,
  RefreshToken: refreshTokens,
  AuthorizationCode: codes,
  BackchannelAuthenticationRequest: backchannelRequests,
  DeviceCode: deviceCodes,
  Grant: grants,
  Session: sessions,
  Interaction: interactions
}

/** The library asks for an adapter by the name of a model. */
export const createAdapter =
  (storage: Storage) =>
  (model: string): Adapter => ({ ...refusing, ...(adapters[model] ?? artifacts)(storage, model) })

const refuse = (operation: string) => async (): Promise<never> => {
  throw new Error(`this model knows no ${operation}`)
}
const refusing: Adapter = {
  upsert: refuse('upsert'),
  find: refuse('find'),
  findByUid: refuse('findByUid'),
  findByUserCode: refuse('findByUserCode'),
  consume: refuse('consume'),
  destroy: refuse('destroy'),
  revokeByGrantId: refuse('revokeByGrantId')
}
