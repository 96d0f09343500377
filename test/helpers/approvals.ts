// An application that asks people for their approval without a browser (CIBA), and what they decide at their page.
import type { DemoClient } from '../../src/development/clients-service.ts'
import type { Member } from './account.ts'
import { type Fields, post, type Reply } from './protocol.ts'
import type { Service } from './service.ts'
import type { Answer } from './visitor.ts'

export const cibaGrant = 'urn:openid:params:grant-type:ciba'

export const registerCaller = async (
  service: Service,
  over: Record<string, unknown> = {}
): Promise<DemoClient> =>
  await service.register({
    client_name: 'Harbour Bank',
    client_uri: 'https://bank.example/',
    grant_types: [cibaGrant, 'refresh_token'],
    backchannel_token_delivery_mode: 'poll',
    ...over
  })

export const ask = async (service: Service, client: DemoClient, fields: Fields): Promise<Reply> =>
  await post(service, '/backchannel', { scope: 'openid email', ...fields }, { client })

/** Asks, and answers with the auth_req_id. */
export async function asked(service: Service, client: DemoClient, fields: Fields): Promise<string> {
  const { status, text, body } = await ask(service, client, fields)
  if (status !== 200) throw new Error(text)
  return String(body.auth_req_id)
}

export const pollRequest = async (
  service: Service,
  client: DemoClient,
  authReqId: string,
  fields: Fields = {}
): Promise<Reply> =>
  await post(service, '/token', { grant_type: cibaGrant, auth_req_id: authReqId, ...fields }, { client })

/** The ids of the requests on the page, newest first. */
export const requestsOn = ({ text }: Answer): string[] =>
  [...text.matchAll(/id="decide-([\w-]+)"/g)].map(match => match[1] ?? '')

/** Decides the newest request of the page that somebody opens now. */
export async function decideNewest({ visitor, open }: Member, decision: 'approve' | 'deny'): Promise<Answer> {
  const page = await open('/account/approvals')
  return await visitor.submit(page, `decide-${requestsOn(page)[0]}`, { decision })
}
