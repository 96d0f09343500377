// The page of the demo application that plays a television: a code, the same as a QR code, and then who signed in.
import type { DeviceSignIn } from './device.ts'
import { card, type Html, html, layout } from './pages.ts'
import type { Problem } from './problems.ts'

const title = 'A television – Demo application'
const again = (label: string): Html =>
  html`<form method="post" action="/device" id="device-form"><button class="button" id="show-code">${label}</button></form>`

export function devicePage(device: DeviceSignIn | null, describe: (problem: unknown) => Problem): string {
  if (device === null)
    return layout(
      title,
      html`<section class="hero">
<h1>This is a television</h1>
<p class="lead">It has no keyboard. It shows a code, and you sign in on your phone.</p>
${again('Show a code')}
</section>`
    )
  if (device.problem !== null) {
    const { title: heading, explanation } = describe(device.problem)
    return layout(
      title,
      html`<section class="hero">
<h1>${heading}</h1>
<p class="lead" role="alert" id="problem">${explanation}</p>
${again('Show another code')}
</section>`
    )
  }
  return device.signedIn === null ? waitingPage(device) : signedInPage(device.signedIn.claims)
}

/** ISO/IEC 18004 §6.3.8: a reader needs four modules of nothing around the code. */
function waitingPage({ userCode, verificationUri, verificationUriComplete, qrCode }: DeviceSignIn): string {
  const side = String(qrCode.size + 8)
  return layout(
    title,
    html`<section class="hero">
<h1>Sign in on your phone</h1>
<p class="lead">Scan this, or open <a id="verification-uri" href="${verificationUriComplete}">${verificationUri}</a> and type the code.</p>
<svg class="qr-code" id="qr-code" viewBox="-4 -4 ${side} ${side}" role="img" aria-label="QR code that leads to the page where you approve this television" shape-rendering="crispEdges"><path fill="#ffffff" d="M-4-4h${side}v${side}h-${side}z"/><path fill="#000000" d="${qrCode.path}"/></svg>
<p class="user-code" id="user-code">${userCode}</p>
<p class="faint" role="status">Waiting. This page looks by itself whether you have approved it.</p>
</section>`,
    3
  )
}

function signedInPage(claims: Record<string, unknown>): string {
  return layout(
    title,
    html`<section class="hero">
<h1 id="on-air">The television is signed in</h1>
<p class="lead">It has got tokens, without ever having seen how you sign in.</p>
${again('Sign in once more')}
</section>
${card('device-claims', 'ID token', 'Who approved it.', claims)}`
  )
}
