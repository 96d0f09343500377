// The steps of a sign-in: each decides, writes how far the person is, and says where to go on.
import { emailKeyOf } from '../accounts/model.ts'
import { eventWrite } from '../audit/service.ts'
import type { Config } from '../config/schema.ts'
import { type Context, inTransaction } from '../context.ts'
import type { Guess } from '../credentials/guess-model.ts'
import { giveBackWrites, type TooMany, tryGuess, type WorkNeeded } from '../credentials/guess-service.ts'
import { signInByLink } from '../credentials/mail-sign-in-service.ts'
import {
  acrOf,
  amrOf,
  authTimeOf,
  hasFirstFactor,
  type Proof,
  rankOf,
  twoFactors
} from '../credentials/proof-model.ts'
import type { ProofOfWork } from '../credentials/proof-of-work-model.ts'
import { type SignInOutcome, signIn } from '../credentials/service.ts'
import {
  confirmEmailByCode,
  resendConfirmation,
  type SignUpOutcome,
  type SignUpTyped,
  signUp
} from '../credentials/sign-up-service.ts'
import type { Oidc } from '../oidc/oidc.ts'
import {
  abortInteraction,
  finishInteraction,
  type Interaction,
  proveInteraction,
  saveProgress
} from '../oidc/service.ts'
import { noteDevice } from '../sessions/device-service.ts'
import { announceDevice } from '../sessions/new-device-service.ts'
import { nextStep, type Progress, type SecondFactorDue, type Step, secondFactorDue } from './model.ts'

export function progressOf(interaction: Interaction, config: Config, now: Date): Progress {
  const { account, factors, progress, consentNeeded } = interaction
  const secondFactor = secondFactorOf(interaction, config)
  const mayEnrol = secondFactor !== 'set_up' || isFresh(interaction, config, now)
  return {
    authenticated: interaction.authenticated && mayEnrol,
    emailVerified: account?.emailVerified ?? false,
    confirmationPending: progress.pendingEmail !== undefined && !interaction.authenticated,
    secondFactor,
    passkeyDue: progress.passkeyWanted === true && factors?.password === false && factors.webauthn === 0,
    consentNeeded: consentNeeded !== null
  }
}

/** A session alone, as the consent prompt finds it, has been asked already. */
function secondFactorOf(interaction: Interaction, { secondFactor: policy }: Config): SecondFactorDue {
  const { account, factors, standing, wantedAcr, secondFactorRole, deviceTrusted } = interaction
  const proofs = proofsOf(interaction)
  if (account === null || factors === null || !interaction.authenticated) return 'none'
  if (proofs.length === 0 && standing === null) return 'none'
  return secondFactorDue({
    factors,
    acr: acrOf(proofs, standing),
    wantedAcr,
    required: policy.required || secondFactorRole,
    deviceTrusted
  })
}

/** Only who has just proven who they are may set up a factor: an old session may be somebody else's by now. */
function isFresh(interaction: Interaction, config: Config, now: Date): boolean {
  const { standing } = interaction
  if (hasFirstFactor(proofsOf(interaction))) return true
  return standing !== null && now.getTime() - standing.at.getTime() <= config.recentSignInSeconds * 1000
}

/** The sign-in that a step belongs to. */
type At = { oidc: Oidc; interaction: Interaction }

/** Where the browser goes from here: the next step's page, or back to the application. */
export type Onward = {
  url: string
  /** What the browser's device cookie holds from here on: somebody has completed a sign-in there. */
  deviceToken?: string
}

const stepUrl = ({ uid }: Interaction, step: string): Onward => ({ url: `/interaction/${uid}/${step}` })

/** The step that is due for this interaction as it was read. */
export const stepOf = (ctx: Context, interaction: Interaction): Step =>
  nextStep(progressOf(interaction, ctx.config, ctx.now()))

/** Sends the browser to the step that is due; when none is left, finishes. */
export async function goOn(ctx: Context, oidc: Oidc, interaction: Interaction): Promise<Onward> {
  const step = stepOf(ctx, interaction)
  if (step !== 'finish' || interaction.account === null) return stepUrl(interaction, step)
  return await finish(ctx, oidc, interaction, {
    accountId: interaction.account.id,
    authentication: authenticationOf(interaction),
    agreed: null
  })
}

/** What the tokens will say of this sign-in; null where the session stands for it. */
function authenticationOf(interaction: Interaction): FinishFacts['authentication'] {
  const { standing, authenticatedAt: provenAt } = interaction
  const proofs = proofsOf(interaction)
  const acr = acrOf(proofs, standing)
  const authTime = authTimeOf(proofs, standing)
  if (proofs.length === 0 || provenAt === null || acr === null || authTime === null) return null
  return { authTime, provenAt, acr, amr: amrOf(proofs, standing) }
}

/** Two factors are proven, and a passkey or key is asked for on top of them. */
export const phishingResistanceDue = (interaction: Interaction): boolean =>
  rankOf(acrOf(proofsOf(interaction), interaction.standing)) >= rankOf(twoFactors)

/** Who is proven without having typed anything here has followed the link of a mail. */
function proofsOf({ progress: { proofs = [] }, authenticatedAt }: Interaction): Proof[] {
  if (proofs.length > 0 || authenticatedAt === null) return proofs
  return [{ method: 'mail', at: authenticatedAt.toISOString() }]
}

type FinishFacts = Parameters<typeof finishInteraction>[2]

async function finish(
  ctx: Context,
  oidc: Oidc,
  interaction: Interaction,
  facts: FinishFacts
): Promise<Onward> {
  const { accountId } = facts
  const about = { accountId, clientId: interaction.client.clientId }
  const events = [
    ...(facts.agreed === null
      ? []
      : [eventWrite(ctx, { type: 'consent.given', ...about, details: { scopes: facts.agreed.scopes } })]),
    eventWrite(ctx, {
      type: 'sign_in.succeeded',
      ...about,
      details: { acr: facts.authentication?.acr ?? '', amr: facts.authentication?.amr ?? [] }
    })
  ]
  // Where a session stands for the person, the browser was noted when that began.
  const device =
    facts.authentication === null
      ? null
      : noteDevice(ctx, { accountId, trust: interaction.progress.trustDevice === true })
  const url = await finishInteraction(oidc, interaction, facts, [...events, ...(device?.writes ?? [])])
  if (device === null) return { url }
  const { token: deviceToken, newDeviceId: deviceId } = device.outcome()
  if (deviceId !== null && facts.authentication !== null)
    await announceDevice(ctx, { accountId, deviceId, happenedAt: facts.authentication.authTime })
  return { url, deviceToken }
}

/**
 * Signs in with a password and goes on. A right password at an address that nobody has confirmed sends the
 * confirmation first. The refusals are `signIn`'s.
 *
 * @throws HashingBusy; no guess is counted then
 */
export async function signInWithPassword(
  ctx: Context,
  { oidc, interaction, typed }: At & { typed: Parameters<typeof signIn>[1] }
): Promise<({ ok: true } & Onward) | Extract<SignInOutcome, { ok: false }>> {
  const outcome = await signIn(ctx, typed)
  if (!outcome.ok) return outcome
  const { account, guess } = outcome
  const proofs = [proofNow(ctx, 'password')]
  if (account.emailVerifiedAt === null) {
    await resendConfirmation(ctx, { accountId: account.id, interactionUid: interaction.uid })
    const progress = { pendingEmail: account.email, proofs }
    const change = { accountId: account.id, authenticatedAt: null, progress }
    await saveProgress(oidc, interaction, change, giveBackWrites(guess))
    return { ok: true, ...stepUrl(interaction, 'verify-email') }
  }
  const proven = { oidc, interaction, accountId: account.id, proofs, guess }
  return { ok: true, ...(await authenticate(proven)) }
}

export const proofNow = (ctx: Context, method: Proof['method']): Proof => ({
  method,
  at: ctx.now().toISOString()
})

type Proven = At & {
  accountId: string
  proofs: Proof[]
  /** The person asks not to be asked for the second factor here again. */
  trustDevice?: boolean
  /** What was right, to be given back. */
  guess?: Guess
  /** All of it is void once the account is cut off after this moment: the request's beginning, unless said otherwise. */
  since?: Date
}

/**
 * Writes down what the person has proven by now. What comes next is found out where the browser goes: the page that is
 * last in line sends it to the one that is due.
 */
export async function authenticate({
  oidc,
  interaction,
  accountId,
  proofs,
  trustDevice = false,
  guess,
  since = interaction.readAt
}: Proven): Promise<Onward> {
  const { passkeyWanted = false } = interaction.progress
  const progress = {
    proofs,
    ...(passkeyWanted ? { passkeyWanted } : {}),
    ...(trustDevice ? { trustDevice } : {})
  }
  const change = { accountId, authenticatedAt: since, progress }
  await saveProgress(oidc, interaction, change, guess === undefined ? [] : giveBackWrites(guess))
  return stepUrl(interaction, 'consent')
}

/** Adds a proof to those of a sign-in that is under way. */
export async function addProof({
  oidc,
  interaction,
  proof,
  ...rest
}: At & { proof: Proof; trustDevice: boolean; guess?: Guess }): Promise<Onward> {
  const { account, progress } = interaction
  if (account === null) throw new Error('a further proof needs a person')
  return await authenticate({
    oidc,
    interaction,
    accountId: account.id,
    proofs: [...proofsOf(interaction), proof],
    ...rest,
    trustDevice: rest.trustDevice || progress.trustDevice === true,
    since: interaction.authenticatedAt ?? interaction.readAt
  })
}

/**
 * Signs up and waits for the confirmation: for a new address and a taken one alike.
 *
 * @throws HashingBusy; no sign-up is counted then
 */
export async function signUpAndWait(
  ctx: Context,
  { oidc, interaction, typed }: At & { typed: Omit<SignUpTyped, 'interactionUid'> }
): Promise<({ ok: true } & Onward) | Extract<SignUpOutcome, { ok: false }>> {
  const outcome = await signUp(ctx, { ...typed, interactionUid: interaction.uid })
  if (!outcome.ok) return outcome
  // The account may be somebody else's: it is kept for the mail's link to match, and nothing is proven by it.
  const progress = {
    pendingEmail: outcome.email,
    ...(typed.withPasskey ? { passkeyWanted: true } : { proofs: [proofNow(ctx, 'password')] })
  }
  await saveProgress(oidc, interaction, {
    accountId: outcome.pendingAccountId,
    authenticatedAt: null,
    progress
  })
  return { ok: true, ...stepUrl(interaction, 'verify-email') }
}

/** Keeps the address that a sign-in code was mailed to; nobody is proven by it, nor told of. */
export async function waitForMailCode(oidc: Oidc, interaction: Interaction, email: string): Promise<Onward> {
  const change = { accountId: null, authenticatedAt: null, progress: { mailCodeEmail: email } }
  await saveProgress(oidc, interaction, change)
  return stepUrl(interaction, 'mail-code/sent')
}

/** Signs in by the link of a mail, in the browser whose sign-in asked for it; else as `signInByLink`. */
export async function signInByMailLink(
  ctx: Context,
  link: Parameters<typeof signInByLink>[1]
): Promise<({ ok: true } & Onward) | Extract<Awaited<ReturnType<typeof signInByLink>>, { ok: false }>> {
  return await inTransaction(ctx, async tx => {
    const outcome = await signInByLink(tx, link)
    if (!outcome.ok) return outcome
    const uid = link.waitingUid ?? ''
    const progress = { proofs: [proofNow(tx, 'mail')] }
    await proveInteraction(tx, uid, { accountId: outcome.account.id, progress })
    return { ok: true, url: `/interaction/${encodeURIComponent(uid)}` }
  })
}

type CodeRefusal = {
  ok: false
  reason: 'invalid' | 'expired' | 'no_attempts_left'
  /** The work that the network's next try needs. */
  challenge?: string | null
}

/**
 * Confirms the address by the code that was typed, and goes on signed in. A code is a guess at the account: `too_many` and
 * `work_needed` are `takeGuess`'s.
 */
export async function verifyByCode(
  ctx: Context,
  { oidc, interaction, typed }: At & { typed: { code: unknown; proofOfWork: ProofOfWork } }
): Promise<({ ok: true } & Onward) | CodeRefusal | TooMany | WorkNeeded> {
  if (interaction.account === null) return { ok: false, reason: 'invalid' }
  const { id: accountId, email } = interaction.account
  const { code, proofOfWork } = typed
  const outcome = await tryGuess(ctx, { emailKey: emailKeyOf(email), proofOfWork }, () =>
    confirmEmailByCode(ctx, { accountId, interactionUid: interaction.uid, code })
  )
  if (!outcome.ok) return outcome
  const { proofs = [proofNow(ctx, 'mail')] } = interaction.progress
  // The confirmation has just cut off whatever was proven before it.
  const proven = { oidc, interaction, accountId, proofs, guess: outcome.guess, since: ctx.now() }
  return { ok: true, ...(await authenticate(proven)) }
}

/** Sends the confirmation once more. */
export async function resend(ctx: Context, interaction: Interaction): Promise<'sent' | 'capped'> {
  if (interaction.account === null) return 'capped'
  return await resendConfirmation(ctx, { accountId: interaction.account.id, interactionUid: interaction.uid })
}

/** The person agreed to what the application asks for. */
export async function allow(ctx: Context, oidc: Oidc, interaction: Interaction): Promise<Onward> {
  if (interaction.account === null || stepOf(ctx, interaction) !== 'consent')
    return await goOn(ctx, oidc, interaction)
  return await finish(ctx, oidc, interaction, {
    accountId: interaction.account.id,
    authentication: authenticationOf(interaction),
    agreed: interaction.consentNeeded
  })
}

/** The person did not agree, or gave up: the application is told access_denied. */
export async function cancel(ctx: Context, oidc: Oidc, interaction: Interaction): Promise<Onward> {
  const about = {
    clientId: interaction.client.clientId,
    ...(interaction.authenticated && interaction.account !== null
      ? { accountId: interaction.account.id }
      : {})
  }
  return {
    url: await abortInteraction(oidc, interaction, [eventWrite(ctx, { type: 'sign_in.cancelled', ...about })])
  }
}
