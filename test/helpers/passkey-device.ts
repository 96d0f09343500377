// A device that keeps passkeys, in a person's browser.
import type { Person } from './person.ts'

export type PasskeyDevice = {
  /** What it keeps, as the browser's debugger tells it. */
  held: () => Promise<{ credentialId: string; userName?: string; userDisplayName?: string }[]>
  /** Whether it recognises who uses it, by a finger or a PIN. */
  recognise: (isUserVerified: boolean) => Promise<unknown>
}

/** Gives the person's first tab a device that says yes to everything, at once: also to what is offered in a field. */
export async function addPasskeyDevice({ context, tab }: Person): Promise<PasskeyDevice> {
  const session = await context.newCDPSession(tab)
  await session.send('WebAuthn.enable')
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true
    }
  })
  return {
    held: async () => (await session.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    recognise: isUserVerified => session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified })
  }
}
