// The steps of a sign-in: each decides, writes how far the person is, and says where to go on.
import { type EmailToken, findEmailToken } from '../accounts/email-token-repository.ts'
import { type Account, emailKeyOf } from '../accounts/model.ts'
import { eventWrite } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import type { Guess } from '../credentials/guess-model.ts'
import {
  giveBackWrites,
  type TooMany,
  takeGuess,
  type WorkNeeded,
  workAhead
} from '../credentials/guess-service.ts'
import type { ProofOfWork } from '../credentials/proof-of-work-model.ts'
import { type SignInOutcome, signIn } from '../credentials/service.ts'
import {
  confirmEmailByCode,
  confirmEmailByToken,
  fitsSignUp,
  isContested,
  resendConfirmation,
  type SignUpOutcome,
  type SignUpTyped,
  signUp
} from '../credentials/sign-up-service.ts'
import { equalBytes, hashToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'
import {
  abortInteraction,
  finishInteraction,
  type Interaction,
  resumeInteraction,
  saveProgress
} from '../oidc/service.ts'
import { noteDevice } from '../sessions/device-service.ts'
import { nextStep, type Progress } from './model.ts'

/** How a password is told to applications. @see RFC 8176 §2 */
const passwordAmr = ['pwd']

export function progressOf({ authenticated, account, progress, consentNeeded }: Interaction): Progress {
  return {
    authenticated,
    emailVerified: account?.emailVerified ?? false,
    confirmationPending: progress.pendingEmail !== undefined,
    consentNeeded: consentNeeded !== null
  }
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

/** Sends the browser to the step that is due; when none is left, finishes. */
export async function goOn(ctx: Context, oidc: Oidc, interaction: Interaction): Promise<Onward> {
  const step = nextStep(progressOf(interaction))
  if (step !== 'finish' || interaction.account === null) return stepUrl(interaction, step)
  const { at, amr } = { at: interaction.authenticatedAt, amr: interaction.progress.amr ?? passwordAmr }
  const authentication = at === null ? null : { at, amr }
  return await finish(ctx, oidc, interaction, {
    accountId: interaction.account.id,
    authentication,
    agreed: null
  })
}

/** `guess`: what was right, to be given back. */
type FinishFacts = Parameters<typeof finishInteraction>[2] & { guess?: Guess }

async function finish(
  ctx: Context,
  oidc: Oidc,
  interaction: Interaction,
  facts: FinishFacts
): Promise<Onward> {
  const { accountId, guess } = facts
  const about = { accountId, clientId: interaction.client.clientId }
  const events = [
    ...(facts.agreed === null
      ? []
      : [eventWrite(ctx, { type: 'consent.given', ...about, details: { scopes: facts.agreed.scopes } })]),
    eventWrite(ctx, {
      type: 'sign_in.succeeded',
      ...about,
      details: { amr: facts.authentication?.amr ?? [] }
    })
  ]
  // Where a session stands for the person, the browser was noted when that began.
  const device = facts.authentication === null ? null : noteDevice(ctx, { accountId })
  const url = await finishInteraction(oidc, interaction, facts, [
    ...events,
    ...(device?.writes ?? []),
    ...(guess === undefined ? [] : giveBackWrites(guess))
  ])
  return { url, ...(device === null ? {} : { deviceToken: device.outcome().token }) }
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
  if (account.emailVerifiedAt === null) {
    await resendConfirmation(ctx, { accountId: account.id, interactionUid: interaction.uid })
    const progress = { pendingEmail: account.email }
    const change = { accountId: account.id, authenticatedAt: null, progress }
    await saveProgress(oidc, interaction, change, giveBackWrites(guess))
    return { ok: true, ...stepUrl(interaction, 'verify-email') }
  }
  return { ok: true, ...(await authenticated(ctx, { oidc, interaction, account, guess })) }
}

type Authenticated = At & { account: Account; guess: Guess }

/** The person is proven now: what they agreed to with this application decides whether they are asked. */
async function authenticated(
  ctx: Context,
  { oidc, interaction, account, guess }: Authenticated
): Promise<Onward> {
  const at = ctx.now()
  const authentication = { at, amr: passwordAmr }
  const neverAsked = interaction.client.firstParty && interaction.consentNeeded === null
  if (neverAsked)
    return await finish(ctx, oidc, interaction, {
      accountId: account.id,
      authentication,
      agreed: null,
      guess
    })
  const change = { accountId: account.id, authenticatedAt: at, progress: { amr: passwordAmr } }
  await saveProgress(oidc, interaction, change, giveBackWrites(guess))
  return { url: `/interaction/${interaction.uid}/consent` }
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
  const progress = { pendingEmail: outcome.email }
  await saveProgress(oidc, interaction, {
    accountId: outcome.pendingAccountId,
    authenticatedAt: null,
    progress
  })
  return { ok: true, ...stepUrl(interaction, 'verify-email') }
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
  const taken = await takeGuess(ctx, { emailKey: emailKeyOf(email), proofOfWork })
  if (!taken.ok) return taken
  const { guess } = taken
  const outcome = await confirmEmailByCode(ctx, { accountId, interactionUid: interaction.uid, code })
  if (!outcome.ok) return { ...outcome, challenge: workAhead(ctx, guess) }
  return { ok: true, ...(await authenticated(ctx, { oidc, interaction, account: outcome.account, guess })) }
}

/** Sends the confirmation once more. */
export async function resend(ctx: Context, interaction: Interaction): Promise<'sent' | 'capped'> {
  if (interaction.account === null) return 'capped'
  return await resendConfirmation(ctx, { accountId: interaction.account.id, interactionUid: interaction.uid })
}

export type Link = {
  state: 'ready' | 'invalid' | 'expired'
  email: string
  /** The button alone is not enough: the password of the sign-up is asked for, too. */
  passwordNeeded: boolean
}

/**
 * What a mail's link can do in this browser. `waitingUid`: the sign-in that waits for a mail here, null for none.
 *
 * Where several have signed up at the address, a link is sure to be its reader's own only in the browser that asked
 * for it. Elsewhere the password of that sign-up tells: else the owner of the address, who signed up too, might
 * confirm a stranger's sign-up by the stranger's mail.
 */
export async function readLink(
  ctx: Context,
  { token, waitingUid }: { token: string; waitingUid: string | null }
): Promise<Link & { token: EmailToken | null }> {
  const found = await findEmailToken(ctx.sql, hashToken(token))
  if (found === null) return { state: 'invalid', email: '', passwordNeeded: false, token: null }
  const { interactionHash, emailKey: email } = found
  const own =
    waitingUid !== null && interactionHash !== null && equalBytes(hashToken(waitingUid), interactionHash)
  const state = found.expiresAt <= ctx.now() ? 'expired' : 'ready'
  const passwordNeeded = state === 'ready' && !own && (await isContested(ctx, found))
  return { state, email, passwordNeeded, token: found }
}

type LinkUse = { token: string; interactionUid: string | null; waitingUid: string | null; password: unknown }

/**
 * Confirms an address by the mail's link, in whatever browser. The sign-in that asked for the mail goes on, and no
 * other: one that somebody else began with the same address gains nothing. `wrong_password`: see `readLink`; nothing
 * is spent.
 *
 * @throws HashingBusy before anything is written
 */
export async function verifyByLink(
  ctx: Context,
  { token, interactionUid, waitingUid, password }: LinkUse
): Promise<
  { ok: true; continueUid: string | null } | { ok: false; reason: 'invalid' | 'expired' | 'wrong_password' }
> {
  const link = await readLink(ctx, { token, waitingUid })
  if (link.passwordNeeded && link.token !== null && !(await fitsSignUp(ctx, link.token, password)))
    return { ok: false, reason: 'wrong_password' }
  return await inTransaction(ctx, async tx => {
    const outcome = await confirmEmailByToken(tx, token)
    if (!outcome.ok) return outcome
    const { account, interactionHash } = outcome
    if (interactionHash === null) return { ok: true, continueUid: null }
    await resumeInteraction(tx, interactionHash, account.id)
    const named = interactionUid !== null && equalBytes(hashToken(interactionUid), interactionHash)
    return { ok: true, continueUid: named ? interactionUid : null }
  })
}

/** The person agreed to what the application asks for. */
export async function allow(ctx: Context, oidc: Oidc, interaction: Interaction): Promise<Onward> {
  if (interaction.account === null || nextStep(progressOf(interaction)) !== 'consent')
    return await goOn(ctx, oidc, interaction)
  const { authenticatedAt: at, progress } = interaction
  const authentication = at === null ? null : { at, amr: progress.amr ?? passwordAmr }
  return await finish(ctx, oidc, interaction, {
    accountId: interaction.account.id,
    authentication,
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
