// Two people and a stranger, a browser for each, and every form that has to do with getting back in: sent at random, with
// what anybody has at hand, right or wrong.
import { findAccount } from '../../src/accounts/repository.ts'
import { listMailbox } from '../../src/development/service.ts'
import { createHolder, type Holder } from './factors.ts'
import { newPassword } from './resets.ts'
import { password, type Service } from './service.ts'
import { type Answer, findForm, Visitor } from './visitor.ts'
import { waitFor } from './wait.ts'

export type Random = { below: (limit: number) => number; pick: <T>(from: readonly T[]) => T }

/** Numbers that look random: the same for the same seed. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const below = (limit: number) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  return { below, pick: from => from[below(from.length)] as (typeof from)[number] }
}

const kinds = [
  'reset-password',
  'not-me',
  'undo-address',
  'verify-email',
  'account/security/address'
] as const
export type Kind = (typeof kinds)[number]

/** What a mail brought. */
export type Secret = {
  kind: Kind
  token: string
  code: string
  /** Whose mail it was, by name, and the browser that it was for. */
  owner: string
  askedBy: string
}

export type Browser = { name: string; visitor: Visitor; csrf: string; uids: string[] }
export type Person = { id: string; holder: Holder }

export type Fuzz = {
  service: Service
  random: Random
  people: Record<string, Person>
  browsers: Browser[]
  /** The newest first. */
  secrets: Secret[]
  seenMails: Set<string>
  /** Names, by address. */
  owners: Record<string, string>
  /** The browser that last asked for a mail to somebody. */
  askers: Record<string, string>
}

export async function createFuzz(service: Service, seed: number): Promise<Fuzz> {
  const fuzz: Fuzz = {
    service,
    random: createRandom(seed),
    people: {},
    browsers: [],
    secrets: [],
    seenMails: new Set(),
    owners: {},
    askers: {}
  }
  for (const name of ['ada', 'eve', 'stranger']) {
    const visitor = new Visitor()
    const page = await visitor.visit(`${service.issuer}/reset-password`)
    const csrf = findForm(page, 'reset-request-form').fields._csrf ?? ''
    fuzz.browsers.push({ name, visitor, csrf, uids: [] })
    if (name === 'stranger') continue
    const holder = await createHolder(service, { totp: true, recoveryCodes: true })
    fuzz.people[name] = { id: holder.account.id, holder }
    fuzz.owners[holder.email] = name
    await service.mailTo(holder.email, 2)
  }
  // The notices of what they have set up would take that away: not what this is about.
  await readMails(fuzz)
  fuzz.secrets = []
  service.advance(60)
  return fuzz
}

/** Reads the mails that have come since. */
export async function readMails(fuzz: Fuzz): Promise<void> {
  for (const { id, to, text, links } of (await listMailbox(fuzz.service.app.ctx)).reverse()) {
    if (fuzz.seenMails.has(id)) continue
    fuzz.seenMails.add(id)
    const owner = fuzz.owners[to] ?? to
    for (const link of links) {
      const path = new URL(link).pathname.slice(1)
      const kind = kinds.find(kind => path.startsWith(`${kind}/`))
      if (kind === undefined) continue
      const token = path.slice(kind.length + 1)
      const code = /\b\d{6}\b/.exec(text)?.[0] ?? ''
      fuzz.secrets.unshift({ kind, token, code, owner, askedBy: fuzz.askers[owner] ?? '' })
    }
  }
}

/** Waits for the reset that a browser has had mailed to somebody. */
export async function awaitReset(fuzz: Fuzz, owner: string, browser: Browser): Promise<void> {
  const last = () =>
    fuzz.secrets.find(({ kind, owner: whose }) => kind === 'reset-password' && whose === owner)
  const before = last()
  fuzz.askers[owner] = browser.name
  await waitFor(async () => {
    await readMails(fuzz)
    return last() !== before
  })
}

/** What must not change by itself. */
export type Snapshot = { password: string | null; email: string; factors: string; sessions: number }

export async function look({ service: { pool } }: Fuzz, { id }: Person): Promise<Snapshot> {
  const [row] = await pool<Snapshot[]>`
    select a.email, (select password_hash from password_credentials where account_id = a.id) as password,
      concat_ws(' ', (select string_agg(id::text, ' ' order by id) from totp_credentials where account_id = a.id),
        (select string_agg(id::text, ' ' order by id) from webauthn_credentials where account_id = a.id),
        (select count(*) from recovery_codes where account_id = a.id)) as factors,
      (select count(*)::int from sessions where account_id = a.id) as sessions
    from accounts a where a.id = ${id}`
  if (row === undefined) throw new Error('the account is gone')
  return { ...row }
}

export type Step = { path: string; fields: Record<string, string>; secret: Secret | null }

/** A form of some page, filled in with what somebody has, or with what nobody has. Half of them fit what is sent. */
export async function drawStep(fuzz: Fuzz): Promise<Step> {
  const { random, service } = fuzz
  const emails: string[] = []
  for (const { id } of Object.values(fuzz.people))
    emails.push((await findAccount(service.pool, id))?.email ?? '')
  const secret = drawSecret(fuzz)
  const uid = random.pick([...fuzz.browsers.flatMap(({ uids }) => uids.slice(-2)), 'nobody-s'])
  const isOff = random.below(8) === 0
  const token = isOff ? oneCharacterOff(secret.token) : secret.token
  const fitting = [`/${secret.kind}/${token}`, `/${secret.kind}/sent`]
  const path = random.pick(
    random.below(2) === 0 ? fitting : [...formsWith(token, uid), ...interactionForms(uid)]
  )
  const isTyped = !path.includes(token)
  return {
    path,
    fields: {
      email: random.pick([...emails, 'nobody@example.org']),
      code: secret.code,
      password: random.pick([password, newPassword, 'short']),
      name: 'Somebody',
      decision: 'allow'
    },
    secret: isOff && !isTyped ? null : secret
  }
}

function drawSecret({ random, secrets }: Fuzz): Secret {
  const nobodys = { kind: random.pick(kinds), token: 'x'.repeat(43), code: '000000', owner: '', askedBy: '' }
  const newest = secrets.find(({ kind }) => kind === 'reset-password')
  const recent = secrets.slice(0, 12)
  if (recent.length === 0 || random.below(4) === 0) return nobodys
  return newest !== undefined && random.below(2) === 0 ? newest : random.pick(recent)
}

const oneCharacterOff = (token: string) => `${token.startsWith('A') ? 'B' : 'A'}${token.slice(1)}`

const formsWith = (token: string, uid: string): string[] => [
  '/reset-password',
  '/reset-password/sent',
  '/account/security/address/sent',
  ...kinds.map(kind => `/${kind}/${token}`),
  `/verify-email/${token}?interaction=${uid}`
]

const interactionForms = (uid: string): string[] =>
  [
    'sign-in',
    'sign-in/passkey',
    'sign-up',
    'verify-email',
    'verify-email/resend',
    'second-factor/totp',
    'second-factor/recovery-code',
    'second-factor/passkey',
    'set-up/totp',
    'set-up/passkey',
    'passkey/password',
    'passkey/passkey',
    'consent'
  ].map(form => `/interaction/${uid}/${form}`)

export async function send(
  { service }: Fuzz,
  { visitor, csrf }: Browser,
  { path, fields }: Step
): Promise<Answer> {
  const body = new URLSearchParams({ _csrf: csrf, ...fields })
  return await visitor.request(`${service.issuer}${path}`, { method: 'POST', body })
}
