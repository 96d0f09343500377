// A small MCP server that lets in who has a token of Gatehouse's for it, and an MCP client of the SDK with a person at it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens
} from '@modelcontextprotocol/sdk/shared/auth.js'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'

export type ProtectedServer = {
  /** The resource: what tokens must be for. */
  url: string
  /** The claims of each token that was let in, newest last. */
  letIn: JWTPayload[]
  /** Whose tokens are believed; to be set before the first request. */
  trust: (issuer: string) => void
}

/** @see RFC 9728, MCP Authorization 2025-11-25 */
export async function startProtectedServer(t: {
  teardown: (work: () => unknown) => void
}): Promise<ProtectedServer> {
  let issuer = ''
  let keys: ReturnType<typeof createRemoteJWKSet> | null = null
  const letIn: JWTPayload[] = []
  const verify = async ({ headers }: IncomingMessage): Promise<JWTPayload | null> => {
    const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? []
    keys ??= createRemoteJWKSet(new URL('/jwks', issuer))
    const checks = { issuer, audience: url, typ: 'at+jwt', requiredClaims: ['exp', 'sub', 'client_id'] }
    return await jwtVerify(token, keys, checks).then(
      ({ payload }) => payload,
      () => null
    )
  }
  const server = createServer(async (request, response) => {
    if (request.url === '/.well-known/oauth-protected-resource/mcp') {
      const about = { resource: url, authorization_servers: [issuer], scopes_supported: ['mcp:tools'] }
      return void response.setHeader('content-type', 'application/json').end(JSON.stringify(about))
    }
    const claims = await verify(request)
    if (claims === null || !String(claims.scope).split(' ').includes('mcp:tools')) {
      const about = `${new URL(url).origin}/.well-known/oauth-protected-resource/mcp`
      response.setHeader('www-authenticate', `Bearer resource_metadata="${about}"`)
      return void response.writeHead(401).end()
    }
    letIn.push(claims)
    await answerTools(request, response, String(claims.sub))
  })
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}/mcp`
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url,
    letIn,
    trust: believed => {
      issuer = believed
    }
  }
}

async function answerTools(
  request: IncomingMessage,
  response: ServerResponse,
  subject: string
): Promise<void> {
  const tools = new McpServer({ name: 'weather', version: '1.0.0' })
  tools.registerTool('whoami', { description: 'Who is asking' }, () => ({
    content: [{ type: 'text', text: subject }]
  }))
  // Without sessions: each request stands by itself.
  const transport = new StreamableHTTPServerTransport({})
  await tools.connect(transport as never)
  await transport.handleRequest(request, response)
}

export type SavingProvider = OAuthClientProvider & {
  /** Where the person was last sent to. */
  sentTo: URL | null
  saved: { client?: OAuthClientInformationMixed; tokens?: OAuthTokens; verifier?: string }
}

/** What an MCP client keeps of its sign-in. */
export function createClientProvider(
  metadata: OAuthClientMetadata,
  clientMetadataUrl?: string
): SavingProvider {
  const saved: SavingProvider['saved'] = {}
  const provider: SavingProvider = {
    saved,
    sentTo: null,
    redirectUrl: String(metadata.redirect_uris[0]),
    clientMetadata: metadata,
    ...(clientMetadataUrl === undefined ? {} : { clientMetadataUrl }),
    state: () => 'state-of-the-client',
    clientInformation: () => saved.client,
    saveClientInformation: client => {
      saved.client = client
    },
    tokens: () => saved.tokens,
    saveTokens: tokens => {
      saved.tokens = tokens
    },
    redirectToAuthorization: url => {
      provider.sentTo = url
    },
    saveCodeVerifier: verifier => {
      saved.verifier = verifier
    },
    codeVerifier: () => saved.verifier ?? ''
  }
  return provider
}
