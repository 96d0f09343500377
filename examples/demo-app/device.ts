// The demo application as a device without a keyboard, a television say: it shows a code and waits until somebody has
// approved it elsewhere (RFC 8628). A public client of its own, for a device keeps no secret.
import * as oidc from 'openid-client'
import { drawQrCode, type QrCode } from '../../src/lib/qr-code.ts'
import { describe, discoverOnce, type SignedIn, scope } from './relying-party.ts'

/** What the device shows. `signedIn` and `problem` are null while it waits. */
export type DeviceSignIn = {
  userCode: string
  verificationUri: string
  /** With the code in it, to be scanned. */
  verificationUriComplete: string
  qrCode: QrCode
  signedIn: SignedIn | null
  problem: unknown
}

export type Device = { begin: () => Promise<DeviceSignIn>; stop: () => void }

/** `begin` asks for a code, and polls in the background until that is decided or `stop` is called. */
export function createDevice(issuer: string, clientId = 'demo-native'): Device {
  const configuration = discoverOnce(issuer, { client_id: clientId })
  const stopped = new AbortController()
  return {
    begin: async () => {
      const config = await configuration()
      const started = await oidc.initiateDeviceAuthorization(config, { scope })
      const complete = started.verification_uri_complete ?? started.verification_uri
      const shown: DeviceSignIn = {
        userCode: started.user_code,
        verificationUri: started.verification_uri,
        verificationUriComplete: complete,
        qrCode: drawQrCode(complete),
        signedIn: null,
        problem: null
      }
      void oidc
        .pollDeviceAuthorizationGrant(config, started, undefined, { signal: stopped.signal })
        .then(response => describe(config, response, null))
        .then(
          signedIn => Object.assign(shown, { signedIn }),
          problem => Object.assign(shown, { problem })
        )
      return shown
    },
    stop: () => stopped.abort()
  }
}
