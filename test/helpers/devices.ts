// A device without a keyboard, and the person who lets it in.
import type { DemoClient } from '../../src/development/clients-service.ts'
import { agree } from './application.ts'
import { type Fields, post, type Reply } from './protocol.ts'
import type { Service } from './service.ts'
import type { Answer, Visitor } from './visitor.ts'

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

export type Started = {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  expires_in: number
  interval: number
}

export async function startDevice(
  service: Service,
  client: DemoClient | undefined,
  fields: Fields = {},
  headers: Record<string, string> = {}
): Promise<Started> {
  if (client === undefined) throw new Error('there is no such client')
  const reply = await post(service, '/device/auth', { scope: 'openid', ...fields }, { client, headers })
  if (reply.status !== 200) throw new Error(reply.text)
  return reply.body as unknown as Started
}

export const poll = async (
  service: Service,
  client: DemoClient | undefined,
  deviceCode: string,
  fields: Fields = {}
): Promise<Reply> =>
  await post(
    service,
    '/token',
    { grant_type: deviceGrant, device_code: deviceCode, ...fields },
    client === undefined ? {} : { client }
  )

/** Types the code at /device, up to the page that tells what it is for. */
export async function typeCode(service: Service, visitor: Visitor, userCode: string): Promise<Answer> {
  const page = await visitor.visit(`${service.issuer}/device`)
  return await visitor.submit(page, 'device-code-form', { user_code: userCode })
}

/** Confirms the device; what comes next is the page that this answers with. */
export const decide = async (
  visitor: Visitor,
  page: Answer,
  decision: 'approve' | 'deny' = 'approve'
): Promise<Answer> => await visitor.submit(page, 'device-confirm-form', { decision })

/** Somebody who is signed in lets the device in, to the page at the end. */
export async function letIn(service: Service, visitor: Visitor, userCode: string): Promise<Answer> {
  return await agree(visitor, await decide(visitor, await typeCode(service, visitor, userCode)))
}
