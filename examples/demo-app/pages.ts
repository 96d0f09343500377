// The demo application's pages. Every value is escaped; tokens are shown shortened, so that a screenshot gives nothing away.
import type { Problem } from './problems.ts'
import type { SignedIn } from './relying-party.ts'

export type Html = { html: string }

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;'
}
const escapeText = (text: string) => text.replace(/[&<>"']/g, character => escapes[character] ?? '')

/** A template whose values are escaped, unless they are templates themselves. */
export function html(strings: TemplateStringsArray, ...values: (string | Html | Html[])[]): Html {
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

export const nothing: Html = { html: '' }

/** `refreshSeconds`: the page asks for itself again, without script. */
export function layout(title: string, content: Html, refreshSeconds?: number): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${refreshSeconds === undefined ? nothing : html`<meta http-equiv="refresh" content="${String(refreshSeconds)}">`}
<title>${title}</title>
<link rel="stylesheet" href="/demo.css">
<link rel="icon" type="image/svg+xml" href="/icon.svg">
</head>
<body>
<header class="bar"><a href="/" class="brand"><img src="/icon.svg" alt="" width="28" height="28">Demo application</a></header>
<main>${content}</main>
<footer>An example of an application that signs people in with OpenID Connect.</footer>
</body>
</html>
`.html
}

export function startPage({ issuer, signedOut }: { issuer: string; signedOut: boolean }): string {
  return layout(
    'Demo application',
    html`${signedOut ? html`<p class="notice" role="status">You are signed out of this application.</p>` : nothing}
<section class="hero">
<h1>Welcome</h1>
<p class="lead">This application keeps no passwords. Whoever uses it signs in at Gatehouse, with one account for many applications.</p>
<p><a class="button" id="sign-in" href="/sign-in">Sign in</a></p>
<p class="faint">Or <a id="to-device" href="/device">play a television</a>, which shows a code to be approved on a phone.</p>
</section>
<section class="card">
<h2>What happens then</h2>
<ol class="steps">
<li><strong>You go to Gatehouse</strong><span>at ${issuer}, and sign in there or create an account.</span></li>
<li><strong>It asks for your consent</strong><span>and names everything that this application would learn.</span></li>
<li><strong>You come back here</strong><span>and see what the application has got: claims, userinfo and tokens.</span></li>
</ol>
</section>`
  )
}

export function signedInPage(signedIn: SignedIn): string {
  const { claims, userinfo, tokens } = signedIn
  const name = String([userinfo.name, userinfo.email, claims.sub].find(value => typeof value === 'string'))
  return layout(
    'Signed in – Demo application',
    html`<section class="hero">
<div class="person">
<span class="initial" aria-hidden="true">${[...name][0]?.toUpperCase() ?? '?'}</span>
<div>
<h1>Hello, ${name}</h1>
<p>You are signed in${typeof userinfo.email === 'string' ? html` as <strong id="email">${userinfo.email}</strong>` : nothing}.</p>
</div>
</div>
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
    : html`<p class="notice" role="status" id="refreshed">New tokens came at ${moment(signedIn.refreshedAt)}.</p>`
}
</section>
${card('id-token-claims', 'ID token', 'Who signed in, signed by Gatehouse and checked here.', claims)}
${card('userinfo', 'Userinfo', 'What Gatehouse tells whoever brings the access token.', userinfo)}
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

export function problemPage({ title, explanation, detail, status }: Problem): string {
  // What the provider or the way to it did may be gone the next time; a wrong address or a strange form stays wrong.
  const again = status !== 404 && status !== 403
  return layout(
    `${title} – Demo application`,
    html`<section class="hero">
<h1>${title}</h1>
<p class="lead" role="alert" id="problem">${explanation}</p>
<div class="actions">
${again ? html`<a class="button" id="try-again" href="/sign-in">Try again</a>` : nothing}
<a class="button quiet" id="start" href="/">To the start page</a>
</div>
${detail === undefined ? nothing : html`<p class="faint">Told by Gatehouse: <code>${detail}</code></p>`}
</section>`
  )
}

export function card(id: string, title: string, hint: string, members: Record<string, unknown>): Html {
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
