// Who is signed in at our own account pages: the browser's session, as the protocol keeps it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccountFacts } from '../accounts/facts-model.ts'
import { fromSeconds } from '../sessions/model.ts'
import { pinHost } from './mount.ts'
import type { Oidc } from './oidc.ts'
import { createUnit, inUnit } from './unit-of-work.ts'

export type AccountSession = {
  uid: string
  account: AccountFacts
  acr: string | null
  amr: string[]
  /** When the person proved who they are. */
  authTime: Date
}

/** The session of the browser's cookie, in one statement; null when nobody is signed in, or it was ended. */
export async function readAccountSession(
  oidc: Oidc,
  request: IncomingMessage,
  response: ServerResponse
): Promise<AccountSession | null> {
  const unit = createUnit(oidc.ctx.now())
  const { provider } = oidc.current()
  pinHost(request, oidc.issuer)
  const session = await inUnit(unit, () =>
    provider.Session.get(provider.createContext(request, response) as never)
  )
  const account = session.accountId === undefined ? undefined : unit.accounts.get(session.accountId)
  if (account === undefined || session.loginTs === undefined) return null
  return {
    uid: session.uid,
    account,
    acr: session.acr ?? null,
    amr: session.amr ?? [],
    authTime: fromSeconds(session.loginTs)
  }
}
