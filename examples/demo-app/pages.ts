// The demo application's pages. Every value is escaped; tokens are shown shortened, so that a screenshot gives nothing away.
import type { Problem } from './problems.ts'
import type { SignedIn } from './relying-party.ts'

type Html = { html: string }

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;'
}
const escapeText = (text: string) => text.replace(/[&<>"']/g, character => escapes[character] ?? '')

/** A template whose values are escaped, unless they are templates themselves. */
function html(strings: TemplateStringsArray, ...values: (string | Html | Html[])[]): Html {
  const rendered = values.map(value =>
    typeof value === 'string'
      ? escapeText(value)
      : [value]
          .flat()
          .map(part => part.html)
          .join('')
  )
  return { html: String.raw({ raw: strings }, ...rendered) }
}

const nothing: Html = { html: '' }

function layout(title: string, content: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="stylesheet" href="/demo.css">
</head>
<body>
<header class="bar"><a href="/" class="brand">Demo application</a></header>
<main>${content}</main>
<footer>An example of an application that signs its users in with OpenID Connect.</footer>
</body>
</html>
`.html
}

export function startPage({ issuer, signedOut }: { issuer: string; signedOut: boolean }): string {
  return layout(
    'Demo application',
    html`<section class="hero">
${signedOut ? html`<p class="notice" role="status">You are signed out of this application.</p>` : nothing}
<h1>Who are you?</h1>
<p>This application keeps no passwords. It sends you to <strong>${issuer}</strong> and learns there who you are.</p>
<p><a class="button" id="sign-in" href="/sign-in">Sign in</a></p>
</section>`
  )
}

export function signedInPage(signedIn: SignedIn): string {
  const { claims, userinfo, tokens } = signedIn
  const name = [userinfo.name, userinfo.email, claims.sub].find(value => typeof value === 'string')
  return layout(
    'Signed in – Demo application',
    html`<section class="hero">
<h1>Hello, ${String(name)}</h1>
<p>You are signed in${typeof userinfo.email === 'string' ? html` as <strong id="email">${userinfo.email}</strong>` : nothing}.</p>
<div class="actions">
${
  tokens.refreshToken === null
    ? nothing
    : html`<form method="post" action="/refresh" id="refresh-form"><button class="button" id="refresh">Refresh the tokens</button></form>`
}
<form method="post" action="/sign-out" id="sign-out-form"><button class="button quiet" id="sign-out">Sign out</button></form>
</div>
${
  signedIn.refreshedAt === null
    ? nothing
    : html`<p class="notice" role="status" id="refreshed">Refreshed at ${moment(signedIn.refreshedAt)}.</p>`
}
</section>
${card('id-token-claims', 'ID token', 'Signed by the provider, checked here.', claims)}
${card('userinfo', 'Userinfo', 'Asked for with the access token.', userinfo)}
${card('tokens', 'Tokens', 'Shortened: whoever holds one can use it.', {
  'Access token': shorten(tokens.accessToken),
  'Its kind': tokens.accessToken.split('.').length === 3 ? 'JWT' : 'opaque',
  Expires: tokens.expiresAt ?? 'not told',
  Scope: tokens.scope,
  'Refresh token': tokens.refreshToken === null ? 'none' : shorten(tokens.refreshToken),
  'ID token': shorten(tokens.idToken)
})}`
  )
}

export function problemPage({ title, explanation }: Problem): string {
  return layout(
    `${title} – Demo application`,
    html`<section class="hero">
<h1>${title}</h1>
<p role="alert" id="problem">${explanation}</p>
<p><a class="button" id="start" href="/">To the start page</a></p>
</section>`
  )
}

function card(id: string, title: string, hint: string, members: Record<string, unknown>): Html {
  const rows = Object.entries(members).map(
    ([name, value]) => html`<tr><th scope="row">${name}</th><td>${show(name, value)}</td></tr>\n`
  )
  return html`<section class="card" id="${id}"><h2>${title}</h2><p class="hint">${hint}</p><table><tbody>
${rows}</tbody></table></section>`
}

/** Claims that are moments are counted in seconds since 1970: people read dates. */
const secondsClaims = ['iat', 'exp', 'auth_time', 'updated_at', 'nbf']

function show(name: string, value: unknown): Html {
  if (typeof value === 'number' && secondsClaims.includes(name))
    return html`${moment(new Date(value * 1000))} <span class="faint">${String(value)}</span>`
  if (value instanceof Date) return moment(value)
  if (typeof value === 'string') return html`${value}`
  return html`<code>${JSON.stringify(value)}</code>`
}

const moment = (date: Date): Html =>
  html`<time datetime="${date.toISOString()}">${date
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC')}</time>`

const shorten = (token: string) => `${token.slice(0, 10)}… (${token.length} characters)`
