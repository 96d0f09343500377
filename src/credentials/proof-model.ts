// What somebody has proven in a sign-in, and what tokens may say of it. Pure.

/** Authentication contexts, each of which includes the ones before it. */
export const acrLevels = [
  /** One factor: a password, or the person's mailbox. */
  'urn:gatehouse:acr:1fa',
  /** Two different factors. */
  'urn:gatehouse:acr:mfa',
  /** Two factors, one of which cannot be passed on to a false page: a passkey or security key. */
  'urn:gatehouse:acr:phr'
] as const

export type Acr = (typeof acrLevels)[number]

export const [oneFactor, twoFactors, phishingResistant] = acrLevels

export type ProofMethod = 'password' | 'mail' | 'passkey' | 'totp' | 'security_key' | 'recovery_code'

/** One thing that was proven. Stored with the sign-in as JSON, so moments are texts (ISO 8601). */
export type Proof = {
  method: ProofMethod
  at: string
  /** WebAuthn alone: the authenticator verified the person, by PIN or biometrics. */
  userVerified?: boolean
  /** WebAuthn alone: the key cannot leave its device. */
  deviceBound?: boolean
}

/** What a browser session already stands for. */
export type Standing = { acr: string | null; amr: string[]; at: Date }

/** The rank of an acr, 0 for none or an unknown one. */
export const rankOf = (acr: string | null | undefined): number => acrLevels.indexOf(acr as Acr) + 1

/** Whether `actual` is as good as `wanted` asks for. */
export const satisfies = (actual: string | null | undefined, wanted: string): boolean =>
  rankOf(actual) >= rankOf(wanted) && rankOf(wanted) > 0

const firstFactors: readonly ProofMethod[] = ['password', 'mail', 'passkey']
const isWebauthn = ({ method }: Proof) => method === 'passkey' || method === 'security_key'

/** Whether somebody has proven who they are at all; what is missing then is a second factor at most. */
export const hasFirstFactor = (proofs: readonly Proof[]): boolean =>
  proofs.some(({ method }) => firstFactors.includes(method))

/**
 * How sure the proofs make us. A passkey counts as two factors where it verified the person: something they have,
 * and something they know or are. Null: nobody is proven.
 *
 * @see NIST SP 800-63B-4 §2.2, §3.2.5
 */
export function acrOf(proofs: readonly Proof[], standing: Standing | null = null): Acr | null {
  if (!hasFirstFactor(proofs) && standing === null) return null
  const verifiedPasskey = proofs.some(proof => proof.method === 'passkey' && proof.userVerified === true)
  const second = proofs.some(({ method }) => !firstFactors.includes(method))
  const multiple = verifiedPasskey || second
  const own = !multiple ? acrLevels[0] : proofs.some(isWebauthn) ? acrLevels[2] : acrLevels[1]
  const stood = acrLevels[rankOf(standing?.acr) - 1]
  return stood !== undefined && rankOf(stood) > rankOf(own) ? stood : own
}

/**
 * The methods by their names in RFC 8176 §2, each once: `pwd`, `otp` (also codes of a mail and recovery codes), `hwk` or
 * `swk` for a key that is bound to a device or synced, `user` where the person was there, `mfa` for more than one factor.
 */
export function amrOf(proofs: readonly Proof[], standing: Standing | null = null): string[] {
  const names = proofs.flatMap(proof => {
    if (proof.method === 'password') return ['pwd']
    if (!isWebauthn(proof)) return ['otp']
    return [proof.deviceBound ? 'hwk' : 'swk', 'user']
  })
  const multiple = rankOf(acrOf(proofs, standing)) > 1 ? ['mfa'] : []
  return [...new Set([...(standing?.amr ?? []), ...names, ...multiple])]
}

/**
 * `auth_time`: the moment from which everything that is told was proven. A second factor given later does not make
 * an old password a new one.
 */
export function authTimeOf(proofs: readonly Proof[], standing: Standing | null = null): Date | null {
  const moments = [
    ...proofs.map(({ at }) => new Date(at).getTime()),
    ...(standing ? [standing.at.getTime()] : [])
  ]
  return moments.length === 0 ? null : new Date(Math.min(...moments))
}
