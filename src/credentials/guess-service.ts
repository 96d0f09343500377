// Guessing is bounded, and nobody is locked out: each try at a secret of an account is paid for before it is looked at.
//
// One allowance for each account, whichever secret is tried and by whatever way; one of its own for each browser that has
// signed in to it before, which strangers cannot use up; one for each network, over all accounts.
import { createHmac } from 'node:crypto'
import { sendNotice } from '../accounts/notice-service.ts'
import { findAccount } from '../accounts/repository.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction, type RequestFacts } from '../context.ts'
import { runBatch, type Write } from '../db/batch.ts'
import type { JobHandler, RetentionRule } from '../jobs/model.ts'
import { networkOf } from '../lib/networks.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import { hashToken } from '../lib/tokens.ts'
import {
  accountBudget,
  type Budget,
  type Guess,
  networkBudget,
  noticedFailures,
  type Payment,
  registrationBudget,
  secondsUntil
} from './guess-model.ts'
import {
  consumeBudget,
  consumeGuess,
  deleteExpiredBudgets,
  type Found,
  type GuessRow,
  listBudgets,
  updateBudgetGivenBack
} from './guess-repository.ts'
import type { ProofOfWork } from './proof-of-work-model.ts'
import { askForWork, proofOfWorkRetention, spendWork } from './proof-of-work-service.ts'

const dayMs = 86_400_000
const keptDays = 3
const never = new Date(0)

export type TooMany = { ok: false; reason: 'too_many'; retryAfterSeconds: number }
export type WorkNeeded = { ok: false; reason: 'work_needed'; retryAfterSeconds: number; challenge: string }

export type TakeOutcome =
  | {
      ok: true
      guess: Guess
      /** Whose address it is, with the hash of their password; null for nobody's. */
      found: Found | null
    }
  | TooMany
  | WorkNeeded

/** A try at a secret. `emailKey`: the account's, or the one that was typed, whether or not anybody has it. */
export type Try = { emailKey: string; proofOfWork?: ProofOfWork | undefined }

/**
 * Pays for one guess at an account. To be called before a secret is looked at, outside of any transaction that may roll
 * back, by every way that checks one; `giveBack` when it was right.
 *
 * - `too_many`: the account, or this known browser, has to wait.
 * - `work_needed`: the network has to wait, or to send the form again with the challenge and its solution.
 *
 * An address that nobody has is counted alike, by the same statements. What counts as the same account, browser or
 * network is nothing that a caller can vary: neither case nor header nor the rest of an IPv6 /64. Whoever is refused is
 * not counted and does not make the wait longer. Ten failures at an account are told to its owner, by a job.
 */
export async function takeGuess(ctx: Context, { emailKey, proofOfWork }: Try): Promise<TakeOutcome> {
  const network = networkKey(ctx, 'guess')
  const deviceToken = ctx.request?.deviceToken
  const deviceTokenHash = deviceToken === undefined ? null : hashToken(deviceToken)
  const keys = {
    account: keyHash(ctx, 'account', emailKey),
    device: deviceTokenHash && keyHash(ctx, 'device', `${deviceTokenHash.toString('hex')} ${emailKey}`)
  }
  const worked = network !== null && (await spendWork(ctx, network.scope, proofOfWork))
  const row = await consumeGuess(ctx.sql, {
    emailKey,
    deviceTokenHash,
    account: { keyHash: keys.account, budget: accountBudget, ...momentsOf(ctx) },
    deviceKeyHash: keys.device,
    network: network && { keyHash: network.keyHash, budget: network.budget, ...momentsOf(ctx) },
    worked
  })
  const accountKey = row.knownDevice && keys.device !== null ? keys.device : keys.account
  if (row.account === null) return await refuse(ctx, { row, accountKey, network })
  if (row.account.failures === noticedFailures + 1) await tellOwner(ctx, row.found?.account.id ?? null)
  const { failures, blockedUntil } = row.account
  const payments = [
    ...paymentOf(network, row.network, worked),
    { keyHash: accountKey, blockedUntil: failures > accountBudget.free ? blockedUntil : never }
  ]
  const networkExcess =
    network === null || row.network === null ? 0 : Math.max(0, row.network.failures - network.budget.free)
  return { ok: true, guess: { payments, knownDevice: row.knownDevice, networkExcess }, found: row.found }
}

type Network = NonNullable<ReturnType<typeof networkKey>>

/** A wait that work led past belongs to others: giving back leaves it. */
const paymentOf = (network: Network | null, charged: GuessRow['network'], worked: boolean): Payment[] =>
  network === null || charged === null
    ? []
    : [{ keyHash: network.keyHash, blockedUntil: worked ? never : charged.blockedUntil }]

/** Why nothing was taken, read anew: what stood in the way may be younger than the statement that met it. */
async function refuse(
  ctx: Context,
  { row, accountKey, network }: { row: GuessRow; accountKey: Buffer; network: Network | null }
): Promise<TooMany | WorkNeeded> {
  const networkPayment = paymentOf(network, row.network, false)
  if (networkPayment.length > 0) await runBatch(ctx.sql, networkPayment.map(updateBudgetGivenBack))
  const now = ctx.now()
  const states = await listBudgets(ctx.sql, [accountKey, ...(network === null ? [] : [network.keyHash])])
  const stateOf = (key: Buffer) => states.find(state => state.keyHash.equals(key))
  const account = stateOf(accountKey)
  if (network === null || row.knownDevice || (account !== undefined && account.blockedUntil > now))
    return {
      ok: false,
      reason: 'too_many',
      retryAfterSeconds: secondsUntil(account?.blockedUntil ?? now, now)
    }
  return workNeeded(ctx, network, stateOf(network.keyHash))
}

function workNeeded(
  ctx: Context,
  { scope, budget }: Network,
  state: { failures: number; blockedUntil: Date } | undefined
): WorkNeeded {
  const now = ctx.now()
  return {
    ok: false,
    reason: 'work_needed',
    retryAfterSeconds: secondsUntil(state?.blockedUntil ?? now, now),
    challenge: askForWork(ctx, scope, (state?.failures ?? budget.free) - budget.free)
  }
}

/**
 * Pays for a guess, and looks at the secret with `check`. A right one comes with the guess, for the caller to give back;
 * a wrong one with `challenge`, the work that the network's next try needs. The refusals are `takeGuess`'s.
 */
export async function tryGuess<Right extends { ok: true }, Reason extends string>(
  ctx: Context,
  pays: Try,
  check: () => Promise<Right | { ok: false; reason: Reason }>
): Promise<
  (Right & { guess: Guess }) | { ok: false; reason: Reason; challenge: string | null } | TooMany | WorkNeeded
> {
  const taken = await takeGuess(ctx, pays)
  if (!taken.ok) return taken
  const { guess } = taken
  const outcome = await check()
  return outcome.ok ? { ...outcome, guess } : { ...outcome, challenge: workAhead(ctx, guess) }
}

/** The work that the network's next guess needs, to be done while the person types; null where none is needed. */
export function workAhead(ctx: Context, { networkExcess }: Guess): string | null {
  const network = networkKey(ctx, 'guess')
  return network === null || networkExcess === 0 ? null : askForWork(ctx, network.scope, networkExcess)
}

/** The secret was right: takes back this guess's own payment and no other, as part of what finishes the sign-in. */
export const giveBackWrites = ({ payments }: Pick<Guess, 'payments'>): Write[] =>
  payments.map(updateBudgetGivenBack)

/** As `giveBackWrites`, by a statement of its own. Also where the secret was not looked at after all. */
export async function giveBack(ctx: Context, guess: Pick<Guess, 'payments'>): Promise<void> {
  await runBatch(ctx.sql, giveBackWrites(guess))
}

/**
 * Pays for one sign-up of this network. It is not given back: what is bounded is accounts and mails. `work_needed` as
 * with `takeGuess`.
 */
export async function takeSignUp(
  ctx: Context,
  proofOfWork: ProofOfWork | undefined
): Promise<{ ok: true; payments: readonly Payment[] } | WorkNeeded> {
  const network = networkKey(ctx, 'sign_up')
  if (network === null) return { ok: true, payments: [] }
  const worked = await spendWork(ctx, network.scope, proofOfWork)
  const charge = { keyHash: network.keyHash, budget: network.budget, ...momentsOf(ctx) }
  const charged = await consumeBudget(ctx.sql, charge, worked)
  if (charged !== null) return { ok: true, payments: paymentOf(network, charged, worked) }
  const [state] = await listBudgets(ctx.sql, [network.keyHash])
  return workNeeded(ctx, network, state)
}

/**
 * Pays for one guess at a code that belongs to nobody yet, a device's: of the network's allowance, and of one that whoever
 * is signed in has for such codes. As with `takeGuess`, before the code is looked at; `giveBack` when it was right.
 */
export async function takeCodeGuess(
  ctx: Context,
  { accountId, proofOfWork }: { accountId: string | null; proofOfWork?: ProofOfWork | undefined }
): Promise<{ ok: true; guess: Guess } | TooMany | WorkNeeded> {
  const network = networkKey(ctx, 'guess')
  const moments = momentsOf(ctx)
  const worked = network !== null && (await spendWork(ctx, network.scope, proofOfWork))
  const charged = network && (await consumeBudget(ctx.sql, { ...network, ...moments }, worked))
  if (network !== null && charged === null) {
    const [state] = await listBudgets(ctx.sql, [network.keyHash])
    return workNeeded(ctx, network, state)
  }
  const payments = paymentOf(network, charged, worked)
  const networkExcess = Math.max(0, (charged?.failures ?? 0) - (network?.budget.free ?? 0))
  if (accountId === null) return { ok: true, guess: { payments, knownDevice: false, networkExcess } }
  const own = await pay(ctx, keyHash(ctx, 'user_code', accountId), accountBudget)
  if (own.ok)
    return { ok: true, guess: { payments: [...payments, own.payment], knownDevice: false, networkExcess } }
  await giveBack(ctx, { payments })
  return own
}

/**
 * Pays for one application that registers itself from this network without a token. It is not given back, and no work
 * leads past the wait: programs have time.
 */
export async function takeRegistration(ctx: Context): Promise<{ ok: true } | TooMany> {
  if (ctx.request === undefined) return { ok: true }
  const key = keyHash(ctx, 'registration', networkOf(ctx.request.ip))
  const charge = { keyHash: key, budget: registrationBudget, ...momentsOf(ctx) }
  if ((await consumeBudget(ctx.sql, charge, false)) !== null) return { ok: true }
  const [state] = await listBudgets(ctx.sql, [key])
  const now = ctx.now()
  return { ok: false, reason: 'too_many', retryAfterSeconds: secondsUntil(state?.blockedUntil ?? now, now) }
}

/**
 * Pays for one look at whom an application's login hint means, as with `takeCodeGuess`: an application has as many wrong
 * ones as a network has wrong passwords.
 */
export async function takeHintGuess(
  ctx: Context,
  clientId: string
): Promise<{ ok: true; guess: Pick<Guess, 'payments'> } | TooMany> {
  const budget = networkBudget(ctx.config.failuresPerNetworkPerHour)
  const paid = await pay(ctx, keyHash(ctx, 'login_hint', clientId), budget)
  return paid.ok ? { ok: true, guess: { payments: [paid.payment] } } : paid
}

async function pay(
  ctx: Context,
  keyHash: Buffer,
  budget: Budget
): Promise<{ ok: true; payment: Payment } | TooMany> {
  const moments = momentsOf(ctx)
  const charged = await consumeBudget(ctx.sql, { keyHash, budget, ...moments }, false)
  if (charged !== null) {
    const blockedUntil = charged.failures > budget.free ? charged.blockedUntil : never
    return { ok: true, payment: { keyHash, blockedUntil } }
  }
  const [state] = await listBudgets(ctx.sql, [keyHash])
  const retryAfterSeconds = secondsUntil(state?.blockedUntil ?? moments.now, moments.now)
  return { ok: false, reason: 'too_many', retryAfterSeconds }
}

type BudgetKind = 'account' | 'device' | 'guess' | 'sign_up' | 'user_code' | 'login_hint' | 'registration'

/** Nothing in the database tells which addresses were typed, or where from: who has it alone cannot try them all. */
function keyHash(ctx: Context, kind: BudgetKind, name: string): Buffer {
  const key = deriveKey(ctx.config.encryptionKey, 'guess budgets')
  return createHmac('sha256', key).update(`${kind}\n${name}`).digest()
}

function networkKey(ctx: Context, purpose: 'guess' | 'sign_up') {
  if (ctx.request === undefined) return null
  const { failuresPerNetworkPerHour, signUpsPerNetworkPerHour } = ctx.config
  const network = networkOf(ctx.request.ip)
  return {
    scope: { purpose, network },
    keyHash: keyHash(ctx, purpose, network),
    budget: networkBudget(purpose === 'guess' ? failuresPerNetworkPerHour : signUpsPerNetworkPerHour)
  }
}

/** Rows outlive what they count by days. The day alone is stored, so that most payments change no index. */
function momentsOf(ctx: Context): { now: Date; expiresAt: Date } {
  const now = ctx.now()
  return { now, expiresAt: new Date(now.getTime() - (now.getTime() % dayMs) + keptDays * dayMs) }
}

type Alarm = { accountId: string | null; request: Pick<RequestFacts, 'id' | 'ip' | 'userAgent'> | null }

/** By a job, also where there is nobody to tell: the answer must take as long. */
async function tellOwner(ctx: Context, accountId: string | null): Promise<void> {
  const { request } = ctx
  const facts = request && { id: request.id, ip: request.ip, userAgent: request.userAgent.slice(0, 400) }
  await ctx.enqueue(ctx.sql, 'guessing-slowed', { accountId, request: facts ?? null } satisfies Alarm)
}

/** Tells an account's owner that somebody guesses, with what is known of the last try. Records `account.guessing_slowed`. */
export const guessHandlers: Record<string, JobHandler> = {
  'guessing-slowed': async (ctx, { data }) => {
    const { accountId, request } = data as Alarm
    if (accountId === null) return
    await inTransaction({ ...ctx, ...(request === null ? {} : { request }) }, async tx => {
      await recordEvent(tx, {
        type: 'account.guessing_slowed',
        accountId,
        details: { failures: noticedFailures }
      })
      const account = await findAccount(tx.sql, accountId)
      if (account?.emailVerifiedAt && account.disabledAt === null)
        await sendNotice(tx, account, { kind: 'many_failures', data: { failures: noticedFailures } })
    })
  }
}

export const guessRetention: RetentionRule[] = [
  { table: 'guess_budgets', deleteExpired: deleteExpiredBudgets },
  proofOfWorkRetention
]
