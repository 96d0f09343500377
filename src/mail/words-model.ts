// Sentences of mails that depend on what happened, and what may be quoted in them of what people typed. Pure.
import type { FactorKind, Mail } from './model.ts'

const labelLength = 40

/**
 * The name that somebody gave a thing of theirs, fit for a mail: letters, digits and spaces, one short line.
 *
 * Whoever is in another's account could otherwise have us send them a link: mail programs make one of anything that
 * looks like an address, in plain text too.
 */
export function plainLabel(label: string): string {
  const words = label
    .normalize('NFC')
    .replace(/[^\p{L}\p{M}\p{N}'’()+&-]+/gu, ' ')
    .trim()
  return [...words].slice(0, labelLength).join('').trim()
}

/** `i…@e…`: enough to know one's own address by, of no use as a link, and not the whole address in another's mailbox. */
export function maskedAddress(address: string): string {
  const at = address.lastIndexOf('@')
  const firstOf = (part: string) => /^[a-z0-9]/i.exec(part)?.[0] ?? ''
  return `${firstOf(address)}…@${firstOf(address.slice(at + 1))}…`
}

const factorNames: Record<FactorKind, string> = {
  passkey: 'passkey',
  authenticator: 'authenticator app',
  recovery_codes: 'recovery codes',
  password: 'password'
}

function named({ factor, label }: { factor: FactorKind; label: string }): string {
  const plain = plainLabel(label)
  return plain === '' ? factorNames[factor] : `${factorNames[factor]} “${plain}”`
}

/** What a mail's template is given: its data, with what people typed made plain, and put into sentences. */
export function templateData({ kind, data }: Mail): object {
  switch (kind) {
    case 'factor_added': {
      if (data.factor === 'recovery_codes')
        return { ...data, happened: 'New recovery codes were made. Older ones are no longer good.' }
      const article = data.factor === 'authenticator' ? 'An' : 'A'
      return { ...data, happened: `${article} ${named(data)} can be used to sign in to your account now.` }
    }
    case 'approval_requested':
      return { ...data, application: plainLabel(data.application) }
    case 'factor_removed':
      return { ...data, happened: `The ${named(data)} can no longer be used to sign in to your account.` }
    case 'recovery_code_used':
      return { ...data, left: data.codesLeft === 1 ? 'One code is' : `${data.codesLeft} codes are` }
    case 'address_changed':
      return { ...data, newAddress: maskedAddress(data.newAddress) }
    default:
      return data
  }
}
