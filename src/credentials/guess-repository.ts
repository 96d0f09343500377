// The count of guesses. Each is paid for by one conditional statement before it is looked at, so that the bound
// holds for any number at once, and on however many nodes.
import type { Account } from '../accounts/model.ts'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import { type Budget, failuresCounted, type Payment } from './guess-model.ts'

/** What one payment is charged to, and when. */
type Charge = { keyHash: Buffer; budget: Budget; now: Date; expiresAt: Date }

/** Who has an address, as the statement that pays finds them. */
export type Found = { account: Account; passwordHash: string | null }

export type GuessRequest = {
  emailKey: string
  deviceTokenHash: Buffer | null
  account: Charge
  /** Instead of the account's, where the browser is known to it. */
  deviceKeyHash: Buffer | null
  /** Null where no request asks. Not charged for a known browser. */
  network: Charge | null
  /** Proof of work was given: the network's wait does not hold. */
  worked: boolean
}

type Charged = { failures: number; blockedUntil: Date } | null
export type GuessRow = { found: Found | null; knownDevice: boolean; network: Charged; account: Charged }

/** The first payment of a key. A budget has room for one. */
const firstPayment = (sql: Sql, { budget, now, expiresAt }: Charge) => sql`
  1, case when ${budget.free}::int >= 1 then to_timestamp(0)
    else ${now}::timestamptz + make_interval(secs => ${budget.delaysSeconds[0] ?? 0}::int) end,
  ${now}::timestamptz, ${expiresAt}::timestamptz`

/**
 * Every further payment of `b`: forgets what has faded, counts one more, and sets the wait that follows. Paid by work it
 * leaves the wait of others as it is. Nothing is extended by who is refused.
 */
const nextPayment = (sql: Sql, { budget, now, expiresAt }: Charge, worked: boolean) => sql`
  set (failures, blocked_until, updated_at, expires_at) = (
    select counted.failures,
      case when ${worked}::boolean then b.blocked_until
        when counted.failures > ${budget.free}::int then ${now}::timestamptz + make_interval(
          secs => (${budget.delaysSeconds as number[]}::int4[])[counted.failures - ${budget.free}::int])
        else to_timestamp(0) end,
      case when steps > 0 or counted.failures = 1 then ${now}::timestamptz else b.updated_at end,
      greatest(b.expires_at, ${expiresAt}::timestamptz)
    from (select greatest(0, floor(extract(epoch from ${now}::timestamptz - b.updated_at)
        / ${budget.fadeSeconds}::float8))::int as steps) as faded,
      lateral (select 1 + least(greatest(0, b.failures - steps), ${failuresCounted(budget) - 1}::int) as failures) as counted
  )
  where ${worked}::boolean or b.blocked_until <= ${now}::timestamptz`

/**
 * Finds an account by its address and pays for one guess at it, of the account's allowance (or the known browser's) and
 * of the network's. Either both are paid, or none; only where two statements meet can the network's be paid alone.
 *
 * `account` null: refused, as one of the two has to wait.
 */
export async function consumeGuess(sql: Sql, request: GuessRequest): Promise<GuessRow> {
  const { emailKey, deviceTokenHash, account, deviceKeyHash, worked } = request
  const { now } = account
  // Without a request this row is not written: a key that nothing has, and `charged` false.
  const network = request.network ?? account
  const charged = request.network !== null
  // read-only join: accounts with their devices, since what is guessed at, and from where, decides what is charged
  const [row] = await sql<(Account & Columns)[]>`
    with who as (
      select accounts.*, password_credentials.password_hash, exists (
          select from devices where devices.account_id = accounts.id and devices.token_hash = ${deviceTokenHash}::bytea
            and devices.expires_at > ${now}
        ) as known_device
      from accounts left join password_credentials on password_credentials.account_id = accounts.id
      where accounts.email_key = ${emailKey}
    ), budget as (
      select known_device, case when known_device then ${deviceKeyHash}::bytea else ${account.keyHash}::bytea end as key_hash
      from (select coalesce((select known_device from who), false) as known_device) as browser
    ), network as (
      insert into guess_budgets as b (key_hash, failures, blocked_until, updated_at, expires_at)
      select ${network.keyHash}::bytea, ${firstPayment(sql, network)} from budget
      where ${charged}::boolean and not known_device and not exists (
        select from guess_budgets waiting where waiting.key_hash = budget.key_hash and waiting.blocked_until > ${now}
      )
      on conflict (key_hash) do update ${nextPayment(sql, network, worked)}
      returning failures, blocked_until
    ), account as (
      insert into guess_budgets as b (key_hash, failures, blocked_until, updated_at, expires_at)
      select key_hash, ${firstPayment(sql, account)} from budget
      where known_device or not ${charged}::boolean or exists (select from network)
      on conflict (key_hash) do update ${nextPayment(sql, account, false)}
      returning failures, blocked_until
    )
    select who.*, budget.known_device,
      network.failures as network_failures, network.blocked_until as network_blocked_until,
      account.failures as account_failures, account.blocked_until as account_blocked_until
    from budget left join who on true left join network on true left join account on true
  `
  if (row === undefined) throw new Error('the statement that pays for a guess answered nothing')
  return toGuessRow(row)
}

type Columns = {
  passwordHash: string | null
  knownDevice: boolean
  networkFailures: number | null
  networkBlockedUntil: Date
  accountFailures: number | null
  accountBlockedUntil: Date
}

function toGuessRow(row: Account & Columns): GuessRow {
  const { passwordHash, knownDevice, networkFailures, networkBlockedUntil, ...others } = row
  const { accountFailures, accountBlockedUntil, ...account } = others
  const charged = (failures: number | null, blockedUntil: Date): Charged =>
    failures === null ? null : { failures, blockedUntil }
  return {
    found: account.id === null ? null : { account, passwordHash },
    knownDevice,
    network: charged(networkFailures, networkBlockedUntil),
    account: charged(accountFailures, accountBlockedUntil)
  }
}

/** Pays once of one allowance. Null: it has to wait. */
export async function consumeBudget(sql: Sql, charge: Charge, worked: boolean): Promise<Charged> {
  const [row] = await sql<NonNullable<Charged>[]>`
    insert into guess_budgets as b (key_hash, failures, blocked_until, updated_at, expires_at)
    select ${charge.keyHash}::bytea, ${firstPayment(sql, charge)}
    on conflict (key_hash) do update ${nextPayment(sql, charge, worked)}
    returning failures, blocked_until
  `
  return row ?? null
}

export type BudgetState = { keyHash: Buffer; failures: number; blockedUntil: Date }

export async function listBudgets(sql: Sql, keyHashes: Buffer[]): Promise<BudgetState[]> {
  return await sql<BudgetState[]>`
    select key_hash, failures, blocked_until from guess_budgets where key_hash in ${sql(keyHashes)}
  `
}

/** Takes back one payment, and the wait that it caused: not one that another's guess caused. */
export const updateBudgetGivenBack = ({ keyHash, blockedUntil }: Payment): Write => ({
  text: bind => `update guess_budgets set failures = greatest(failures - 1, 0),
    blocked_until = case when blocked_until = ${bind(blockedUntil)} then to_timestamp(0) else blocked_until end
    where key_hash = ${bind(keyHash)}`
})

export async function deleteExpiredBudgets(sql: Sql, now: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from guess_budgets where key_hash in (
      select key_hash from guess_budgets where expires_at < ${now}
      limit ${limit} for update skip locked
    )
  `
  return count
}
