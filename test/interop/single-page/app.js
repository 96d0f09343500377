// A single-page application on oidc-client-ts: the same page at its root, where people come back to, and in the frame.
const { UserManager, WebStorageStateStore } = window.oidc

const settings = await (await fetch('/settings.json')).json()
const manager = new UserManager({
  ...settings,
  redirect_uri: `${location.origin}/callback`,
  silent_redirect_uri: `${location.origin}/silent`,
  post_logout_redirect_uri: `${location.origin}/`,
  response_type: 'code',
  loadUserInfo: true,
  monitorSession: false,
  automaticSilentRenew: false,
  silentRequestTimeoutInSeconds: 5,
  // All tabs share it, as they share the person.
  userStore: new WebStorageStateStore({ store: localStorage })
})

async function show() {
  const user = await manager.getUser()
  document.querySelector('#who').textContent = user === null ? 'nobody' : user.profile.name
}

document.querySelector('#sign-in').addEventListener('click', () => manager.signinRedirect())
document.querySelector('#sign-out').addEventListener('click', () => manager.signoutRedirect())

if (location.pathname === '/silent') await manager.signinSilentCallback()
else {
  if (location.pathname === '/callback') {
    await manager.signinCallback()
    history.replaceState(null, '', '/')
  }
  await show()
  window.application = {
    /** New tokens: by the refresh token that all tabs share, else by a frame. */
    renew: async () => {
      const user = await manager.signinSilent().catch(error => error)
      return user.access_token === undefined ? { error: user.error ?? user.message } : user
    },
    user: async () => await manager.getUser(),
    userinfo: async () => {
      const { access_token } = await manager.getUser()
      const answer = await fetch(`${settings.authority}/userinfo`, {
        headers: { authorization: `Bearer ${access_token}` }
      })
      return { status: answer.status, body: await answer.json() }
    },
    revoke: async () => await manager.revokeTokens()
  }
}
