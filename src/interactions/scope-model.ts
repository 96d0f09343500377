// What an application may do with a scope, in a person's words.

export type Permission = { title: string; detail: string }

const words: Record<string, Permission> = {
  openid: { title: 'Know that it is you', detail: 'A number that stands for your account' },
  profile: { title: 'See your profile', detail: 'Your name and what else you put there' },
  email: { title: 'See your email address', detail: 'And that you have confirmed it' },
  address: { title: 'See your postal address', detail: '' },
  phone: { title: 'See your phone number', detail: '' },
  offline_access: {
    title: 'Stay connected',
    detail: 'Keep this access while you are not using the application'
  }
}

/** `described`: what the operator says of scopes of their own. */
export function describeScope(scope: string, described: Record<string, string | null>): Permission {
  const own = Object.hasOwn(described, scope) ? described[scope] : undefined
  return (
    (Object.hasOwn(words, scope) ? words[scope] : undefined) ?? {
      title: own ?? scope,
      detail: own ? '' : 'A permission of this name'
    }
  )
}

/** A claim that was asked for by its name. @see OpenID Connect Core 1.0 §5.5 */
export const describeClaim = (claim: string): Permission => ({
  title: `See your ${claim.replaceAll('_', ' ')}`,
  detail: ''
})
