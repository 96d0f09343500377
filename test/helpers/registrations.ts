// Applications that register themselves, as they send it: JSON over the wire.
import type { DemoClient } from '../../src/development/clients-service.ts'
import type { Service } from './service.ts'

export type RegistrationReply = {
  status: number
  headers: Headers
  text: string
  body: Record<string, unknown> & { error?: string; error_description?: string; client_id: string }
}

export type Sending = {
  method?: string
  token?: string | undefined
  contentType?: string
  headers?: Record<string, string>
}

/** Sends `body` as JSON; a text goes as it is, `undefined` not at all. */
export async function sendRegistration(
  { issuer }: Pick<Service, 'issuer'>,
  path: string,
  body: unknown,
  { method = 'POST', token, contentType = 'application/json', headers = {} }: Sending = {}
): Promise<RegistrationReply> {
  const answer = await fetch(new URL(path, issuer), {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': contentType }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) })
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, text, body: readObject(text) }
}

function readObject(text: string): RegistrationReply['body'] {
  try {
    return JSON.parse(text)
  } catch {
    return { client_id: '' }
  }
}

/** Registers, and throws the answer when it was refused. */
export async function registered(
  service: Pick<Service, 'issuer'>,
  metadata: Record<string, unknown>,
  sending: Sending = {}
): Promise<DemoClient & RegistrationReply['body']> {
  const { status, body, text } = await sendRegistration(service, '/register', metadata, sending)
  if (status !== 201) throw new Error(`${status} ${text}`)
  return body as DemoClient & RegistrationReply['body']
}

/** What an application of today registers at the least. */
export const webApplication = {
  client_name: 'Photo album',
  redirect_uris: ['https://album.example/callback'],
  grant_types: ['authorization_code', 'refresh_token']
}
