// Signing in with a passkey, alone or as the second factor.
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import { findAccount } from '../accounts/repository.ts'
import { recordEvent } from '../audit/service.ts'
import type { Context } from '../context.ts'
import type { Proof } from './proof-model.ts'
import {
  type CeremonyFault,
  type CeremonyOf,
  issueChallenge,
  recordRefusal,
  takeChallenge
} from './webauthn-challenge-service.ts'
import { webauthnLibrary } from './webauthn-library.ts'
import {
  challengeLifetimeSeconds,
  expectedOrigins,
  type Passkey,
  readAssertion,
  spellId,
  userHandleOf
} from './webauthn-model.ts'
import {
  findPasskeyByCredentialId,
  listPasskeys,
  updatePasskeyUsed,
  updateSignCountRegressed
} from './webauthn-repository.ts'

type Assertion = NonNullable<ReturnType<typeof readAssertion>>

/**
 * What `navigator.credentials.get()` is to be given where nobody is known yet. It names no credential, whoever asks and
 * whatever they typed, so it tells nothing about anybody.
 *
 * @see Web Authentication Level 3 §7.2, §14.6.2
 */
export async function beginSignIn(
  ctx: Context,
  { boundTo }: { boundTo: Buffer }
): Promise<PublicKeyCredentialRequestOptionsJSON> {
  return await webauthnLibrary().generateAuthenticationOptions({
    rpID: ctx.config.webauthn.rpId,
    challenge: await issueChallenge(ctx, signInCeremony(boundTo)),
    timeout: challengeLifetimeSeconds * 1000,
    allowCredentials: [],
    userVerification: 'required'
  })
}

export type PasskeySignInOutcome =
  | { ok: true; accountId: string; proof: Proof }
  | { ok: false; reason: 'refused' }
  /** The page may tell the browser to forget it; otherwise it is a refusal like any other. */
  | { ok: false; reason: 'unknown_credential'; credentialId: string }

/**
 * Takes what `navigator.credentials.get()` gave, a JSON text, as all that is needed: the passkey tells who it is, and
 * that they were verified. Its challenge is spent whatever comes of it. A refusal is recorded as `passkey.refused`, a
 * success by the step that goes on with it.
 *
 * A key that did not verify the person when it was added, nor beside another factor since, is refused: who found it
 * may have set its PIN themselves.
 *
 * @see Web Authentication Level 3 §7.2; §4 “uvInitialized”
 */
export async function finishSignIn(
  ctx: Context,
  { boundTo, response: text }: { boundTo: Buffer; response: unknown }
): Promise<PasskeySignInOutcome> {
  const ceremony = signInCeremony(boundTo)
  const refuse = async (fault: CeremonyFault, accountId: string | null = null) => {
    await recordRefusal(ctx, { ...ceremony, accountId }, fault)
    return { ok: false, reason: 'refused' } as const
  }
  const opened = await openAssertion(ctx, ceremony, text)
  if (!opened.ok) return await refuse(opened.fault)
  const { assertion, passkey } = opened
  if (passkey === null) {
    await recordRefusal(ctx, ceremony, 'unknown_credential')
    return { ok: false, reason: 'unknown_credential', credentialId: assertion.response.id }
  }
  const { accountId } = passkey
  if (handleIn(assertion) !== spellId(userHandleOf(accountId))) return await refuse('user_handle', accountId)
  if (!passkey.userVerified) return await refuse('user_verification', accountId)
  const used = await usePasskey(ctx, passkey, { assertion, requireUserVerification: true })
  if (!used.ok) return await refuse(used.fault, accountId)
  const account = await findAccount(ctx.sql, accountId)
  if (account === null || account.disabledAt !== null) return await refuse('account', accountId)
  return { ok: true, accountId, proof: proofOf(ctx, 'passkey', { passkey, userVerified: true }) }
}

export type SecondFactorOf = { accountId: string; boundTo: Buffer }

/**
 * What `navigator.credentials.get()` is to be given once the first factor is proven, never before: it names the
 * account's keys. Null: it has none.
 */
export async function beginSecondFactor(
  ctx: Context,
  { accountId, boundTo }: SecondFactorOf
): Promise<PublicKeyCredentialRequestOptionsJSON | null> {
  const { rpId, userVerification } = ctx.config.webauthn
  const own = await listPasskeys(ctx.sql, accountId)
  if (own.length === 0) return null
  return await webauthnLibrary().generateAuthenticationOptions({
    rpID: rpId,
    challenge: await issueChallenge(ctx, { ceremony: 'second_factor', accountId, boundTo }),
    timeout: challengeLifetimeSeconds * 1000,
    allowCredentials: own.map(({ credentialId, transports }) => ({
      id: spellId(credentialId),
      transports: transports as ('ble' | 'hybrid' | 'internal' | 'nfc' | 'usb')[]
    })),
    userVerification
  })
}

export type SecondFactorOutcome = { ok: true; proof: Proof } | { ok: false; reason: 'refused' }

/**
 * Takes what `navigator.credentials.get()` gave, a JSON text, beside a first factor that is proven: it must be of one
 * of this account's keys. Its challenge is spent whatever comes of it. A refusal is recorded as `passkey.refused`, a
 * success by the step that goes on with it.
 */
export async function finishSecondFactor(
  ctx: Context,
  { accountId, boundTo, response: text }: SecondFactorOf & { response: unknown }
): Promise<SecondFactorOutcome> {
  const ceremony = { ceremony: 'second_factor', accountId, boundTo } as const
  const refuse = async (fault: CeremonyFault) => {
    await recordRefusal(ctx, ceremony, fault)
    return { ok: false, reason: 'refused' } as const
  }
  const opened = await openAssertion(ctx, ceremony, text)
  if (!opened.ok) return await refuse(opened.fault)
  const { assertion, passkey } = opened
  if (passkey === null) return await refuse('unknown_credential')
  if (passkey.accountId !== accountId) return await refuse('other_account')
  // A key that cannot be found without a name has no handle to give.
  if (![null, spellId(userHandleOf(accountId))].includes(handleIn(assertion)))
    return await refuse('user_handle')
  const requireUserVerification = ctx.config.webauthn.userVerification === 'required'
  const used = await usePasskey(ctx, passkey, { assertion, requireUserVerification })
  if (!used.ok) return await refuse(used.fault)
  return { ok: true, proof: proofOf(ctx, 'security_key', { passkey, userVerified: used.userVerified }) }
}

/** Reads a response, takes its challenge, and finds whose credential it is of. */
async function openAssertion(
  ctx: Context,
  ceremony: CeremonyOf,
  text: unknown
): Promise<
  { ok: true; assertion: Assertion; passkey: Passkey | null } | { ok: false; fault: CeremonyFault }
> {
  const assertion = readAssertion(text)
  if (assertion === null) return { ok: false, fault: 'malformed' }
  if (!(await takeChallenge(ctx, ceremony, assertion.challenge))) return { ok: false, fault: 'challenge' }
  if (assertion.framed) return { ok: false, fault: 'framed' }
  const { id, rawId } = assertion.response
  const credentialId = Buffer.from(id, 'base64url')
  // One spelling for each credential: with the unused bits set, another text would name the same bytes.
  if (id !== rawId || spellId(credentialId) !== id) return { ok: false, fault: 'malformed' }
  return { ok: true, assertion, passkey: await findPasskeyByCredentialId(ctx.sql, credentialId) }
}

type UseOutcome = { ok: true; userVerified: boolean } | { ok: false; fault: CeremonyFault }

/**
 * Verifies an assertion and writes the use down. Where the counter did not grow, the passkey is marked, the event
 * `passkey.sign_count_regressed` is recorded, and this use of it is refused; one with a higher counter is still good.
 *
 * @see Web Authentication Level 3 §6.1.1
 */
async function usePasskey(
  ctx: Context,
  passkey: Passkey,
  { assertion, requireUserVerification }: { assertion: Assertion; requireUserVerification: boolean }
): Promise<UseOutcome> {
  const info = await verify(ctx, passkey, { assertion, requireUserVerification })
  // A key is made to be synced or not, for good. @see §7.2, “backupEligible”
  if (info === null || (info.credentialDeviceType === 'multiDevice') !== passkey.backupEligible)
    return { ok: false, fault: 'verification' }
  const { id, accountId } = passkey
  const { newCounter: signCount, credentialBackedUp: backedUp, userVerified } = info
  const at = ctx.now()
  if (await updatePasskeyUsed(ctx.sql, { id, signCount, backedUp, userVerified, at }))
    return { ok: true, userVerified }
  if (!(await updateSignCountRegressed(ctx.sql, { id, signCount, at })))
    return { ok: false, fault: 'unknown_credential' }
  const details = { id, signCount, storedSignCount: passkey.signCount }
  await recordEvent(ctx, { type: 'passkey.sign_count_regressed', accountId, details })
  return { ok: false, fault: 'sign_count' }
}

/** Null: something is not as it must be; the library throws at the first thing. Nothing else is called in here. */
async function verify(
  ctx: Context,
  { publicKey }: Passkey,
  { assertion, requireUserVerification }: { assertion: Assertion; requireUserVerification: boolean }
) {
  const { response, challenge } = assertion
  const { clientDataJSON, authenticatorData, signature } = response.response
  try {
    const { verified, authenticationInfo } = await webauthnLibrary().verifyAuthenticationResponse({
      response: {
        ...response,
        response: { clientDataJSON, authenticatorData, signature },
        clientExtensionResults: {}
      },
      expectedChallenge: challenge,
      expectedOrigin: expectedOrigins(ctx.config),
      expectedRPID: ctx.config.webauthn.rpId,
      // The count is compared where it is stored, in the statement that raises it; from 0 the library lets any pass.
      credential: { id: response.id, publicKey: new Uint8Array(publicKey), counter: 0 },
      requireUserVerification
    })
    return verified ? authenticationInfo : null
  } catch (error) {
    ctx.log.debug({ err: error }, 'a passkey was refused')
    return null
  }
}

const handleIn = ({ response }: Assertion): string | null => response.response.userHandle || null

const proofOf = (
  ctx: Context,
  method: 'passkey' | 'security_key',
  { passkey, userVerified }: { passkey: Passkey; userVerified: boolean }
): Proof => ({
  method,
  at: ctx.now().toISOString(),
  userVerified,
  deviceBound: !passkey.backupEligible
})

const signInCeremony = (boundTo: Buffer): CeremonyOf => ({ ceremony: 'sign_in', accountId: null, boundTo })
