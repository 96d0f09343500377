// Adding a passkey or security key to an account.
import type {
  PublicKeyCredentialCreationOptionsJSON,
  VerifiedRegistrationResponse
} from '@simplewebauthn/server'
import type { Account } from '../accounts/model.ts'
import { sendNotice } from '../accounts/notice-service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { createId } from '../lib/ids.ts'
import { defaultPasskeyName } from './aaguid-model.ts'
import { type Attestation, isAnonymous, isVouchedFor, readAttestation } from './attestation-model.ts'
import { parseFactorName } from './factor-name-model.ts'
import { findWaysInToChange } from './factor-repository.ts'
import { findPasswordHash } from './repository.ts'
import { isFrozen } from './ways-in-model.ts'
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
  maxPasskeysPerAccount,
  type Passkey,
  readRegistration,
  readTransports,
  spellId,
  userHandleOf
} from './webauthn-model.ts'
import { insertPasskey, listPasskeys } from './webauthn-repository.ts'

const es256 = -7
const edDsa = -8
const rs256 = -257
const algorithms = [es256, edDsa, rs256]

export type Registering = {
  account: Pick<Account, 'id' | 'email' | 'name'>
  /** The sign-in or session that adds it, as a SHA-256 hash. */
  boundTo: Buffer
}

/**
 * What `navigator.credentials.create()` is to be given. Authenticators that hold a passkey of this account already
 * turn it down.
 *
 * The caller has seen to it that the person signed in of late and as strongly as they can.
 *
 * @see Web Authentication Level 3 §7.1
 */
export async function beginRegistration(
  ctx: Context,
  registering: Registering
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const { account } = registering
  const { webauthn, brand } = ctx.config
  const own = await listPasskeys(ctx.sql, account.id)
  const alone = await standsAlone(ctx, account.id)
  return await webauthnLibrary().generateRegistrationOptions({
    rpID: webauthn.rpId,
    rpName: brand.name,
    userID: userHandleOf(account.id),
    userName: account.email,
    userDisplayName: account.name,
    challenge: await issueChallenge(ctx, ceremonyOf(registering)),
    timeout: challengeLifetimeSeconds * 1000,
    attestationType: webauthn.attestationRequired ? 'direct' : 'none',
    supportedAlgorithmIDs: algorithms,
    excludeCredentials: own.map(({ credentialId, transports }) => ({
      id: spellId(credentialId),
      transports: transports as AuthenticatorTransport[]
    })),
    authenticatorSelection: alone
      ? { residentKey: 'required', userVerification: 'required' }
      : { residentKey: 'preferred', userVerification: webauthn.userVerification }
  })
}

type AuthenticatorTransport = 'ble' | 'hybrid' | 'internal' | 'nfc' | 'usb'

export type RegistrationOutcome =
  | { ok: true; passkey: Passkey }
  | { ok: false; reason: 'refused' | 'already_registered' | 'not_allowed' | 'too_many' | 'frozen' }

/**
 * Adds what `navigator.credentials.create()` gave, a JSON text, to the account. Its challenge is spent whatever comes
 * of it. Records `passkey.added` and mails a notice, or records `passkey.refused`.
 *
 * - `refused`: not made for this, by this browser, for this account, in the last five minutes.
 * - `already_registered`: with this account or another.
 * - `not_allowed`: the installation takes only authenticators of certain makes, and this one does not prove to be one.
 * - `frozen`: the owner said “this wasn't me”, and until then nothing may be changed.
 *
 * `name` may be empty: then the passkey is called by its make.
 */
export async function finishRegistration(
  ctx: Context,
  registering: Registering & { response: unknown; name?: unknown }
): Promise<RegistrationOutcome> {
  const ceremony = ceremonyOf(registering)
  const checked = await checkRegistration(ctx, ceremony, registering.response)
  if (!checked.ok) {
    await recordRefusal(ctx, ceremony, checked.fault)
    return { ok: false, reason: checked.fault === 'attestation' ? 'not_allowed' : 'refused' }
  }
  const named = parseFactorName(registering.name)
  return await inTransaction(ctx, async tx => {
    const passkey = {
      ...checked.passkey,
      id: createId(tx.now()),
      name: named.ok ? named.name : defaultPasskeyName(checked.passkey),
      createdAt: tx.now(),
      signCountRegressedAt: null,
      lastUsedAt: null
    }
    return await addPasskey(tx, ceremony, passkey)
  })
}

async function addPasskey(tx: Context, ceremony: CeremonyOf, passkey: Passkey): Promise<RegistrationOutcome> {
  const { accountId, id, name, aaguid, userVerified } = passkey
  const held = await findWaysInToChange(tx.sql, accountId)
  // Who has not shown that the address is theirs must not leave a key in an account that its owner confirms later.
  if (held === null || held.account.disabledAt !== null || held.account.emailVerifiedAt === null) {
    await recordRefusal(tx, ceremony, 'account')
    return { ok: false, reason: 'refused' }
  }
  if (isFrozen(held.ways, tx.now())) return { ok: false, reason: 'frozen' }
  if (held.ways.webauthn >= maxPasskeysPerAccount) return { ok: false, reason: 'too_many' }
  if (!(await insertPasskey(tx.sql, passkey))) {
    await recordRefusal(tx, ceremony, 'known_credential')
    return { ok: false, reason: 'already_registered' }
  }
  await recordEvent(tx, { type: 'passkey.added', accountId, details: { id, aaguid, userVerified } })
  await sendNotice(tx, held.account, {
    kind: 'factor_added',
    data: { factor: 'passkey', label: name },
    happenedAt: passkey.createdAt
  })
  return { ok: true, passkey }
}

type NewPasskey = Omit<Passkey, 'id' | 'name' | 'createdAt' | 'signCountRegressedAt' | 'lastUsedAt'>
type Checked = { ok: true; passkey: NewPasskey } | { ok: false; fault: CeremonyFault }

async function checkRegistration(
  ctx: Context,
  ceremony: CeremonyOf & { accountId: string },
  text: unknown
): Promise<Checked> {
  const answer = readRegistration(text)
  if (answer === null) return { ok: false, fault: 'malformed' }
  if (!(await takeChallenge(ctx, ceremony, answer.challenge))) return { ok: false, fault: 'challenge' }
  if (answer.framed) return { ok: false, fault: 'framed' }
  const attestation = readAttestation(answer.response.response.attestationObject)
  if (attestation === null) return { ok: false, fault: 'malformed' }
  const { attestationRequired, userVerification } = ctx.config.webauthn
  if (!attestationRequired && !isAnonymous(attestation)) return { ok: false, fault: 'attestation' }

  const alone = await standsAlone(ctx, ceremony.accountId)
  const info = await verify(ctx, answer, alone || userVerification === 'required')
  // The library does not look whether the response speaks of the credential that was attested.
  if (info === null || info.credential.id !== answer.response.id) return { ok: false, fault: 'verification' }
  if (attestationRequired && !isAllowed(ctx, attestation, info.aaguid))
    return { ok: false, fault: 'attestation' }
  return {
    ok: true,
    passkey: {
      accountId: ceremony.accountId,
      credentialId: Buffer.from(info.credential.id, 'base64url'),
      publicKey: Buffer.from(info.credential.publicKey),
      signCount: info.credential.counter,
      transports: readTransports(answer.response.response.transports),
      aaguid: info.aaguid,
      backupEligible: info.credentialDeviceType === 'multiDevice',
      backedUp: info.credentialBackedUp,
      userVerified: info.userVerified
    }
  }
}

type Info = NonNullable<VerifiedRegistrationResponse['registrationInfo']>

/** Null: something is not as it must be; the library throws at the first thing. Nothing else is called in here. */
async function verify(
  ctx: Context,
  { response, challenge }: NonNullable<ReturnType<typeof readRegistration>>,
  requireUserVerification: boolean
): Promise<Info | null> {
  const { clientDataJSON, attestationObject } = response.response
  try {
    const { registrationInfo } = await webauthnLibrary().verifyRegistrationResponse({
      response: {
        ...response,
        response: { clientDataJSON, attestationObject },
        clientExtensionResults: {}
      },
      expectedChallenge: challenge,
      expectedOrigin: expectedOrigins(ctx.config),
      expectedRPID: ctx.config.webauthn.rpId,
      requireUserVerification,
      supportedAlgorithmIDs: algorithms
    })
    return registrationInfo ?? null
  } catch (error) {
    ctx.log.debug({ err: error }, 'a passkey was refused')
    return null
  }
}

function isAllowed(ctx: Context, attestation: Attestation, aaguid: string): boolean {
  const { allowedAaguids, attestationRoots } = ctx.config.webauthn
  const named = allowedAaguids.length === 0 || allowedAaguids.includes(aaguid)
  try {
    return named && isVouchedFor(attestation, attestationRoots, ctx.now())
  } catch (error) {
    ctx.log.debug({ err: error }, 'an attestation could not be read')
    return false
  }
}

/**
 * Whether the account has no password, so that the passkey must be found without a name and verify the person by
 * itself. Read from the account at either end of the ceremony: a browser cannot ask for less.
 */
const standsAlone = async (ctx: Context, accountId: string): Promise<boolean> =>
  (await findPasswordHash(ctx.sql, accountId)) === null

const ceremonyOf = ({ account, boundTo }: Registering) =>
  ({ ceremony: 'registration', accountId: account.id, boundTo }) as const
