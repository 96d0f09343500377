// Passkeys and security keys: runs a form's ceremony and posts what came of it, offers passkeys where the address is
// typed, and tells authenticators what became of theirs. `simplewebauthn.js` stands before this script.
//
// <form data-ceremony="registration | authentication" data-options-url="…" [data-autofill] [hidden]> with the fields
// `_csrf` and `response` (empty). Where the browser knows WebAuthn the form is shown, and what stands after it with the
// class `without-passkeys` is not.

const { startAuthentication, startRegistration, WebAuthnAbortService } = SimpleWebAuthnBrowser
const forms = SimpleWebAuthnBrowser.browserSupportsWebAuthn()
  ? [...document.querySelectorAll('form[data-ceremony]')]
  : []

const words = {
  NotAllowedError: 'That was cancelled or took too long. You can try again.',
  InvalidStateError: 'This device has a passkey of your account already.',
  NotSupportedError: 'This device or key cannot be used here. Try another one.',
  ConstraintError: 'This device or key cannot be used here. Try another one.',
  SecurityError: 'Passkeys do not work at this address of the site.',
  NetworkError: 'The site could not be reached. Check your connection and try again.'
}
const otherWords = 'That did not work. You can try again, or go on another way.'

/** A refusal by the service, which brings its own words. */
class Refused extends Error {}

/** The ceremony's options, by a form's POST. They are good for five minutes. */
async function fetchOptions(form) {
  const answer = await fetch(form.dataset.optionsUrl, {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: new URLSearchParams({ _csrf: form.elements._csrf.value }),
    // A redirect means that another step is due by now.
    redirect: 'manual'
  }).catch(() => {
    throw new DOMException('no answer', 'NetworkError')
  })
  if (answer.ok) return await answer.json()
  const { error } = await answer.json().catch(() => ({}))
  throw new Refused(error?.message ?? 'This page is out of date. Reload it and go on from there.')
}

/** Posts the form with the ceremony's result. Not by an event: the page's other scripts would see a second press. */
function send(form, response) {
  form.elements.response.value = JSON.stringify(response)
  form.submit()
}

function say(form, text) {
  const place = form.querySelector('[role="alert"]')
  place.hidden = text === ''
  place.textContent = text
}

/** Makes the form work; from here on it has a place where problems are told. */
function prepare(form) {
  const place = document.createElement('p')
  place.className = 'notice notice-problem'
  place.setAttribute('role', 'alert')
  place.hidden = true
  form.prepend(place)
  form.hidden = false
  form.addEventListener('submit', event => {
    if (event.defaultPrevented) return
    event.preventDefault()
    run(form)
  })
}

function wordsFor(error) {
  if (error instanceof Refused) return error.message
  // The library wraps what it knows better than the browser; the browser's own error is the cause.
  return words[error.cause?.name ?? error.name] ?? words[error.name] ?? otherWords
}

/** A ceremony that somebody asked for is under way: nothing may push itself in front of it. */
let asked = false

const isAbort = error => error.name === 'AbortError' || error.code === 'ERROR_CEREMONY_ABORTED'

async function run(form) {
  say(form, '')
  asked = true
  try {
    const optionsJSON = await fetchOptions(form)
    const start = form.dataset.ceremony === 'registration' ? startRegistration : startAuthentication
    send(form, await start({ optionsJSON }))
  } catch (error) {
    // Pressed again: the later ceremony took the place of this one.
    if (isAbort(error)) return
    form.ariaBusy = null
    asked = false
    say(form, wordsFor(error))
    // What was cancelled ended the offer in the address field, too.
    offer()
  }
}

for (const form of forms) prepare(form)

const autofillForm = forms.find(form => 'autofill' in form.dataset)
/** A challenge is good for five minutes, and an address field may be looked at for longer. */
const renewAfter = 4 * 60_000
let renewal

/** Passkeys among the browser's suggestions in the address field. Whoever does not choose one is not told of errors. */
async function offer() {
  clearTimeout(renewal)
  if (asked || !autofillForm || !(await SimpleWebAuthnBrowser.browserSupportsWebAuthnAutofill())) return
  renewal = setTimeout(renew, renewAfter)
  try {
    const optionsJSON = await fetchOptions(autofillForm)
    if (asked) return
    send(autofillForm, await startAuthentication({ optionsJSON, useBrowserAutofill: true }))
  } catch {
    // The button and the other ways are there.
  }
}

/** In a tab that nobody looks at, nothing is asked for until somebody does. */
function renew() {
  if (document.hidden) document.addEventListener('visibilitychange', offer, { once: true })
  else offer()
}

/** Each signal may be unknown to the browser or refused by it: nothing depends on one. */
function signal({ dataset }) {
  const { rpId, userId, credentialId, credentialIds, name, displayName } = dataset
  const call = (method, details) => PublicKeyCredential[method]?.(details).catch(() => {})
  if (dataset.signal === 'unknown-credential') return call('signalUnknownCredential', { rpId, credentialId })
  const allAcceptedCredentialIds = credentialIds.split(' ').filter(id => id !== '')
  call('signalAllAcceptedCredentials', { rpId, userId, allAcceptedCredentialIds })
  call('signalCurrentUserDetails', { rpId, userId, name, displayName })
}

if (SimpleWebAuthnBrowser.browserSupportsWebAuthn())
  for (const element of document.querySelectorAll('[data-signal]')) signal(element)

offer()
// A page that goes into the browser's memory must not hold a ceremony open; one that comes back offers anew.
window.addEventListener('pagehide', () => {
  clearTimeout(renewal)
  WebAuthnAbortService.cancelCeremony()
})
window.addEventListener('pageshow', event => {
  if (!event.persisted) return
  asked = false
  offer()
})
