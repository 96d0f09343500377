// The Model Context Protocol's own SDK: a client that was never here before finds out everything by itself, has a person
// sign in, and uses a server with the token (MCP Authorization, revisions 2025-06-18 and 2025-11-25).
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js'
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { agree } from '../helpers/application.ts'
import { startSite } from '../helpers/https-site.ts'
import { createClientProvider, type SavingProvider, startProtectedServer } from '../helpers/mcp.ts'
import { authorizationUrl, get, post, readJwt } from '../helpers/protocol.ts'
import { registered } from '../helpers/registrations.ts'
import { signUp, startService } from '../helpers/service.ts'
import { type Answer, pageText, Visitor } from '../helpers/visitor.ts'

const tools = await startProtectedServer(t)
const site = await startSite(t)
const settings = {
  REGISTRATION_RESOURCES: tools.url,
  REGISTRATION_SCOPES: 'openid,profile,email,offline_access,mcp:tools',
  OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8,::1'
}
const service = await startService(t, {
  environment: { ...settings, DYNAMIC_REGISTRATION: 'open', CLIENT_ID_METADATA_DOCUMENTS: 'on' }
})
tools.trust(service.issuer)
await registerResource(service.app.ctx, {
  identifier: tools.url,
  name: 'Weather tools',
  scopes: ['mcp:tools', 'mcp:admin']
})

const program = {
  client_name: 'Command line assistant',
  redirect_uris: ['http://127.0.0.1:33418/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none'
}

/** Connects; a person is sent to sign in if need be, by `signIn`, which ends at the program's own address. */
async function connect(provider: SavingProvider, signIn: (url: URL) => Promise<Answer>) {
  const open = () => new StreamableHTTPClientTransport(new URL(tools.url), { authProvider: provider })
  const first = open()
  const client = new Client({ name: 'assistant', version: '1.0.0' })
  try {
    await client.connect(first as never)
    return client
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || provider.sentTo === null) throw error
  }
  const back = new URL((await signIn(provider.sentTo)).location ?? '')
  await first.finishAuth(back.searchParams.get('code') ?? '')
  const again = new Client({ name: 'assistant', version: '1.0.0' })
  await again.connect(open() as never)
  return again
}

/** A newcomer, at the page that asks for consent; `look` is shown its words. */
const asNewcomer =
  (email: string, look: (words: string) => void = () => {}) =>
  async (url: URL): Promise<Answer> => {
    const visitor = new Visitor()
    const page = await signUp(service, visitor, { page: await visitor.visit(url.href), email })
    look(pageText(page.text))
    return await agree(visitor, page)
  }

t.test('the metadata have all that a client looks for', async t => {
  for (const path of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'])
    t.match((await get(service, path)).body, {
      registration_endpoint: `${service.issuer}/register`,
      client_id_metadata_document_supported: true,
      authorization_response_iss_parameter_supported: true,
      response_types_supported: ['code']
    })
  const { body } = await get(service, '/.well-known/oauth-authorization-server')
  t.ok((body.code_challenge_methods_supported as string[]).includes('S256'))
  for (const method of ['none', 'private_key_jwt'])
    t.ok((body.token_endpoint_auth_methods_supported as string[]).includes(method))
  const preflight = await fetch(`${service.issuer}/.well-known/oauth-authorization-server`, {
    method: 'OPTIONS',
    headers: {
      origin: 'http://localhost:6274',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'mcp-protocol-version'
    }
  })
  t.equal(preflight.headers.get('access-control-allow-headers'), '*', 'OID-21: for a client in a browser')
})

t.test('a client registers itself, and its person’s token is for the server that it asked for', async t => {
  const provider = createClientProvider(program)
  let words = ''
  const client = await connect(
    provider,
    asNewcomer('ada@example.org', shown => {
      words = shown
    })
  )
  t.match(words, 'Command line assistant asks for access')
  t.match(words, 'It registered itself')
  t.match(words, 'a program on this device')
  t.match(words, 'Use Weather tools for you')
  const answer = await client.callTool({ name: 'whoami' })
  const { header, payload } = readJwt(provider.saved.tokens?.access_token)
  t.match(answer.content, [{ type: 'text', text: payload.sub }])
  t.match(header, { typ: 'at+jwt' })
  t.match(payload, { iss: service.issuer, aud: tools.url, scope: 'mcp:tools' })
  t.equal(payload.client_id, provider.saved.client?.client_id)
  t.equal(tools.letIn.at(-1)?.sub, payload.sub)

  await t.test('a token that is spent is replaced without the person', async t => {
    const before = provider.saved.tokens as OAuthTokens
    provider.saved.tokens = { ...before, access_token: 'spent' }
    const again = await connect(provider, async () => t.fail('the person is asked') as never)
    t.match(await again.callTool({ name: 'whoami' }), { content: [{ text: payload.sub }] })
    t.not(provider.saved.tokens.refresh_token, before.refresh_token)
  })
})

t.test('a client that a document describes needs no registration', async t => {
  const path = '/assistant/client.json'
  const client_id = `${site.origin}${path}`
  const document = {
    ...program,
    client_id,
    client_name: 'Assistant by document',
    redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback']
  }
  site.pages.set(path, { body: document })
  // RFC 8252 §7.3: the document names no port, the program takes one that is free.
  const here = { ...program, redirect_uris: ['http://127.0.0.1:41234/callback'] }
  const provider = createClientProvider(here, client_id)
  let words = ''
  const client = await connect(
    provider,
    asNewcomer('grace@example.org', shown => {
      words = shown
    })
  )
  t.match(words, 'Assistant by document asks for access')
  t.match(words, `It is what ${new URL(site.origin).host} says that it is`)
  t.match(await client.callTool({ name: 'whoami' }), { content: [{ type: 'text' }] })
  t.match(readJwt(provider.saved.tokens?.access_token).payload, { aud: tools.url, client_id })
  t.strictSame(site.asked, [path])
})

t.test('OID-20: neither gets more than the policy has', async t => {
  const client = await registered(service, { ...program, scope: 'mcp:tools mcp:admin' })
  t.equal(client.scope, 'openid mcp:tools')
  const visitor = new Visitor()
  const ask = async (params: Record<string, string>) =>
    await visitor.visit(authorizationUrl(service, client, params))
  const other = await ask({ resource: 'urn:demo:api' })
  t.match(other.location, /error=invalid_target/, 'a resource that is not among REGISTRATION_RESOURCES')
  const unasked = await ask({ scope: 'mcp:admin', resource: tools.url })
  t.notMatch(unasked.text, 'mcp:admin')
  const elsewhere = await ask({ redirect_uri: 'http://127.0.0.1:33418/other' })
  t.equal(elsewhere.location, null)
  t.match(elsewhere.text, /redirect_uri/)
})

t.test('TOK-2: a token without the server as its audience is not let in', async t => {
  const provider = createClientProvider(program)
  const before = tools.letIn.length
  await connect(provider, asNewcomer('alan@example.org'))
  t.ok(tools.letIn.length > before)
  const { body } = await post(service, '/token', {
    grant_type: 'refresh_token',
    refresh_token: provider.saved.tokens?.refresh_token,
    client_id: provider.saved.client?.client_id,
    resource: 'urn:demo:api'
  })
  t.equal(body.error, 'invalid_target')
})
