// The WebAuthn library, loaded when the first passkey is met: it takes 25 MB, and many installations see none for days.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const webauthnLibrary = () =>
  require('@simplewebauthn/server') as typeof import('@simplewebauthn/server')

export const webauthnHelpers = () =>
  require('@simplewebauthn/server/helpers') as typeof import('@simplewebauthn/server/helpers')
