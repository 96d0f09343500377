// What scopes of OpenID Connect let an application do, in words. Pure.

const scopeWords: Record<string, { title: string; detail: string }> = {
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

export const describeScopes = (scopes: readonly string[]) =>
  scopes.map(scope =>
    Object.hasOwn(scopeWords, scope)
      ? scopeWords[scope]
      : { title: scope, detail: 'A permission of this name' }
  )
