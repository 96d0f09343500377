// The scenarios for authorization servers of the Model Context Protocol's own conformance suite, run by its command line.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { agree } from '../helpers/application.ts'
import { freePorts } from '../helpers/process.ts'
import { registered } from '../helpers/registrations.ts'
import { signUp, startService } from '../helpers/service.ts'
import { Visitor } from '../helpers/visitor.ts'

const resource = 'https://mcp.example/mcp'
const service = await startService(t, {
  environment: {
    DYNAMIC_REGISTRATION: 'open',
    CLIENT_ID_METADATA_DOCUMENTS: 'on',
    REGISTRATION_RESOURCES: resource,
    REGISTRATION_SCOPES: 'openid,mcp:tools'
  }
})
await registerResource(service.app.ctx, { identifier: resource, scopes: ['mcp:tools'] })

type Check = { id: string; status: string; errorMessage?: string; details?: { body?: { scope?: string } } }

/** Runs the suite; a newcomer signs in where it says that a browser should be opened. */
async function runSuite(options: string[]): Promise<Check[]> {
  const packagePath = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/package.json'))
  const { bin } = JSON.parse(readFileSync(packagePath, 'utf8')) as { bin: { conformance: string } }
  const results = t.testdir()
  const child = spawn(
    process.execPath,
    [
      join(packagePath, '..', bin.conformance),
      ...['authorization', '--url', service.issuer, '--output-dir', results],
      ...options
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  t.teardown(() => child.kill())
  let output = ''
  let signedIn: Promise<void> | null = null
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    const [url] = /^http:\S+\/auth\?\S+$/m.exec(output) ?? []
    if (url !== undefined) signedIn ??= signIn(url)
  })
  await once(child, 'exit')
  await signedIn
  return readdirSync(results).flatMap(
    scenario => JSON.parse(readFileSync(join(results, scenario, 'checks.json'), 'utf8')) as Check[]
  )
}

async function signIn(url: string): Promise<void> {
  const visitor = new Visitor()
  const page = await signUp(service, visitor, { page: await visitor.visit(url), email: 'ada@example.org' })
  const { location } = await agree(visitor, page)
  await fetch(location ?? '')
}

t.test('every scenario succeeds, with a client that registered itself', async t => {
  const port = await freePorts()
  const { client_id } = await registered(service, {
    redirect_uris: [`http://127.0.0.1:${port}/callback`],
    token_endpoint_auth_method: 'none'
  })
  const checks = await runSuite(['--client-id', client_id, '--port', String(port), '--resource', resource])
  t.ok(checks.length >= 3)
  for (const { id, status, errorMessage } of checks) t.equal(status, 'SUCCESS', errorMessage ?? id)
  const grant = checks.find(({ id }) => id === 'authorization-code-grant')
  t.equal(grant?.details?.body?.scope, 'mcp:tools', 'RFC 6749 §3.3: it asked for none')
})
