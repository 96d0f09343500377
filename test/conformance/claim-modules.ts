// Modules of the OpenID Connect plans: which claims a scope or a claims parameter brings.
import type { Test } from 'tap'
import { get } from '../helpers/conformance.ts'
import { begin, complete, type Finished, finish } from './flow.ts'
import type { Module, Run } from './plan.ts'

/** OpenID Connect Core 1.0 §5.4 */
const claimsOf = {
  profile: [
    ...['name', 'family_name', 'given_name', 'middle_name', 'nickname', 'preferred_username', 'profile'],
    ...['picture', 'website', 'gender', 'birthdate', 'zoneinfo', 'locale', 'updated_at']
  ],
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified']
}
type Scope = keyof typeof claimsOf
type Claims = Record<string, unknown>

/** The types that OpenID Connect Core 1.0 §5.1 gives the claims; the rest are strings. */
const otherTypes: Record<string, string> = {
  email_verified: 'boolean',
  phone_number_verified: 'boolean',
  updated_at: 'number',
  address: 'object'
}

function checkStandardClaims(t: Test, claims: Record<string, unknown>): void {
  for (const name of Object.values(claimsOf).flat())
    if (claims[name] !== undefined) t.equal(typeof claims[name], otherTypes[name] ?? 'string', name)
  if (claims.birthdate !== undefined) t.match(claims.birthdate, /^\d{4}(-\d\d-\d\d)?$/)
  if (claims.updated_at !== undefined)
    t.ok(Number.isInteger(claims.updated_at) && Number(claims.updated_at) <= Date.now() / 1000, 'updated_at')
  if (claims.address !== undefined)
    for (const [name, value] of Object.entries(claims.address as object)) t.type(value, 'string', name)
}

/** What the client learns: from userinfo, or from the ID token where there is no access token. */
async function learnFrom({ suite }: Run, { accessToken, claims }: Finished): Promise<Claims> {
  if (accessToken === null) return claims
  const { body } = await get(suite.service, '/userinfo', { authorization: `Bearer ${accessToken}` })
  return body
}

async function learn(run: Run, params: Record<string, string>) {
  const { t, suite, variant, register } = run
  const finished = await complete(t, suite, { client: await register(), variant, params })
  return { ...finished, learned: await learnFrom(run, finished) }
}

const brings = (...scopes: Scope[]): Module => ({
  section: 'OpenID Connect Core 1.0 §5.1, §5.4',
  says: `scope ${scopes.join(' ')} brings every claim behind it, and no other`,
  run: async run => {
    const { t, suite } = run
    const supported = suite.discovery.scopes_supported as string[]
    for (const scope of scopes) t.ok(supported.includes(scope), `scopes_supported has ${scope}`)
    const { learned, accessToken, claims } = await learn(run, { scope: ['openid', ...scopes].join(' ') })
    checkStandardClaims(t, learned)
    for (const [scope, names] of Object.entries(claimsOf))
      for (const name of names) t.equal(name in learned, scopes.includes(scope as Scope), name)
    if (accessToken !== null) isOfSignInAlone(t, claims)
  }
})

/** Where there is userinfo, an ID token tells no more than it must. @see OpenID Connect Core 1.0 §5.4 */
function isOfSignInAlone(t: Test, claims: Claims): void {
  const told = Object.values(claimsOf)
    .flat()
    .filter(name => name in claims)
  t.strictSame(told, [])
}

export const claims = {
  'oidcc-scope-profile': brings('profile'),
  'oidcc-scope-email': brings('email'),
  'oidcc-scope-address': brings('address'),
  'oidcc-scope-phone': brings('phone'),
  'oidcc-scope-all': brings('email', 'phone', 'address', 'profile'),
  'oidcc-ensure-other-scope-order-succeeds': {
    section: 'RFC 6749 §3.3',
    says: 'the order of scopes is of no account',
    run: async run => {
      const { learned } = await learn(run, { scope: 'email openid' })
      run.t.match(learned, { email: 'foo@op.test', email_verified: true })
    }
  },
  'oidcc-alternate-happy-flow': {
    section: 'RFC 6749 §3.1, §3.3',
    says: 'the order of scopes and of parameters is of no account',
    run: async run => {
      const { t, suite, variant, register } = run
      const begun = await begin(suite, {
        client: await register(),
        variant,
        params: { scope: 'email openid' }
      })
      const { visitor, url } = begun
      url.search = new URLSearchParams([...url.searchParams].sort().reverse()).toString()
      const finished = await finish(t, { ...begun, page: await visitor.visit(url.href) })
      t.match(await learnFrom(run, finished), { email: 'foo@op.test', email_verified: true })
      if (finished.accessToken !== null) isOfSignInAlone(t, finished.claims)
    }
  },
  'oidcc-claims-essential': {
    section: 'OpenID Connect Core 1.0 §5.5, §5.5.1',
    says: 'an essential claim comes where it was asked for, and nowhere else',
    run: async run => {
      const member = run.variant.responseType === 'id_token' ? 'id_token' : 'userinfo'
      const asked = JSON.stringify({ [member]: { name: { essential: true } } })
      const { learned, claims: inIdToken } = await learn(run, { claims: asked })
      run.t.equal(learned.name, 'Foo Test')
      run.t.equal('name' in inIdToken, member === 'id_token')
      checkStandardClaims(run.t, learned)
    }
  }
} satisfies Record<string, Module>
