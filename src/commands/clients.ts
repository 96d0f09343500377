// gatehouse clients: which applications may send their users here.
import { readFileSync } from 'node:fs'
import { type Client, metadataOf } from '../clients/model.ts'
import { listClients } from '../clients/repository.ts'
import { registerClient, removeClient, replaceClientSecret } from '../clients/service.ts'
import {
  type Answer,
  type Command,
  CommandFailure,
  type CommandInput,
  listOf,
  type OptionValues,
  registrationFailure,
  textOf,
  toTable,
  usageFailure
} from './command.ts'
import { withContext } from './database.ts'

const text = { type: 'string' } as const
const list = { type: 'string', multiple: true } as const
const flag = { type: 'boolean' } as const

const add: Command = {
  words: 'clients add',
  summary: 'Register an application. Its secret is printed this once.',
  operands: [],
  options: {
    'client-id': text,
    name: text,
    type: text,
    'redirect-uri': list,
    'post-logout-redirect-uri': list,
    'grant-type': list,
    'auth-method': text,
    public: flag,
    scope: text,
    resource: list,
    'first-party': flag,
    introspection: flag,
    'signing-alg': text,
    'required-acr': text,
    'client-uri': text,
    'logo-uri': text,
    'policy-uri': text,
    'tos-uri': text,
    metadata: text
  },
  optionHelp: [
    ['--name NAME', 'What people know it by (needed)'],
    ['--redirect-uri URI', 'Where people are sent back to; may be repeated'],
    ['--post-logout-redirect-uri URI', 'Where they land after signing out; may be repeated'],
    ['--client-id ID', 'An id of your choice; else one is made'],
    ['--type web|native', 'A website, or an app on a device; default web'],
    ['--public', 'It cannot keep a secret (a page or an app): the same as --auth-method none'],
    ['--auth-method METHOD', 'How it proves itself; default client_secret_basic'],
    [
      '--grant-type GRANT',
      'authorization_code (default), refresh_token, client_credentials; may be repeated'
    ],
    ['--scope "A B"', 'The scopes that it may ask for; default all'],
    ['--resource URI', 'A resource that it may ask tokens for; may be repeated'],
    ['--first-party', 'Your own application: people are not asked for consent'],
    ['--introspection', "It guards a resource and may introspect other clients' tokens"],
    ['--signing-alg ALG', 'How its JWT access tokens are signed: ES256, RS256 or EdDSA'],
    ['--required-acr ACR', 'How surely people must prove who they are: urn:gatehouse:acr:mfa or :phr'],
    ['--client-uri, --logo-uri, --policy-uri, --tos-uri URL', 'Shown on the consent page'],
    ['--metadata FILE', 'JSON of RFC 7591 client metadata; options given beside it win']
  ],
  run: addClient
}

async function addClient({ values, terminal }: CommandInput): Promise<Answer> {
  const metadata = { ...readMetadata(textOf(values, 'metadata')), ...metadataFromOptions(values) }
  const clientId = textOf(values, 'client-id')
  return await withContext(terminal, async ctx => {
    const outcome = await registerClient(ctx, metadata, clientId === undefined ? {} : { clientId })
    if (!outcome.ok) throw registrationFailure(outcome.faults)
    const { client_id, client_secret } = outcome
    return {
      lines: [
        `Registered ${outcome.metadata.client_name}.`,
        ...toTable([
          ['client_id', client_id],
          ...(client_secret === null ? [] : [['client_secret', client_secret]])
        ]),
        ...(client_secret === null ? [] : ['The secret is not shown again: keep it now.'])
      ],
      json: {
        client_id,
        ...(client_secret === null ? {} : { client_secret, client_secret_expires_at: 0 }),
        ...outcome.metadata
      }
    }
  })
}

function readMetadata(path: string | undefined): object {
  if (path === undefined) return {}
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch (error) {
    throw new CommandFailure([`${path} cannot be read as JSON: ${(error as Error).message}`])
  }
  throw new CommandFailure([`${path} must hold one JSON object of client metadata`])
}

function metadataFromOptions(values: OptionValues): Record<string, unknown> {
  if (values.public === true && values['auth-method'] !== undefined)
    throw usageFailure('--public and --auth-method say two things: leave one out')
  const members = {
    client_name: textOf(values, 'name'),
    application_type: textOf(values, 'type'),
    redirect_uris: listOf(values, 'redirect-uri'),
    post_logout_redirect_uris: listOf(values, 'post-logout-redirect-uri'),
    grant_types: listOf(values, 'grant-type'),
    token_endpoint_auth_method: values.public === true ? 'none' : textOf(values, 'auth-method'),
    scope: textOf(values, 'scope'),
    resources: listOf(values, 'resource'),
    first_party: values['first-party'],
    introspection: values.introspection,
    access_token_signing_alg: textOf(values, 'signing-alg'),
    required_acr: textOf(values, 'required-acr'),
    client_uri: textOf(values, 'client-uri'),
    logo_uri: textOf(values, 'logo-uri'),
    policy_uri: textOf(values, 'policy-uri'),
    tos_uri: textOf(values, 'tos-uri')
  }
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

const listAll: Command = {
  words: 'clients list',
  summary: 'List the registered applications.',
  operands: [],
  options: {},
  optionHelp: [],
  run: async ({ terminal }) =>
    await withContext(terminal, async ctx => {
      const clients: Client[] = []
      for (;;) {
        const page = await listClients(ctx.sql, { after: clients.at(-1)?.clientId ?? '' })
        clients.push(...page)
        if (page.length === 0) break
      }
      const rows = clients.map(client => [
        client.clientId,
        client.clientName,
        client.tokenEndpointAuthMethod,
        client.grantTypes.join(' '),
        client.firstParty ? 'yes' : 'no'
      ])
      return {
        lines:
          rows.length === 0
            ? ['No applications are registered.']
            : toTable([['CLIENT_ID', 'NAME', 'AUTH METHOD', 'GRANT TYPES', 'FIRST PARTY'], ...rows]),
        json: clients.map(metadataOf)
      }
    })
}

const remove: Command = {
  words: 'clients remove',
  summary: 'Remove an application, with every grant that people gave it.',
  operands: ['CLIENT_ID'],
  options: {},
  optionHelp: [],
  run: async ({ operands: [clientId = ''], terminal }) =>
    await withContext(terminal, async ctx => {
      if (!(await removeClient(ctx, clientId))) throw unknownClient(clientId)
      return { lines: [`Removed ${clientId}.`], json: { client_id: clientId } }
    })
}

const secret: Command = {
  words: 'clients secret',
  summary: 'Give an application a new secret, printed this once; the old one ends now.',
  operands: ['CLIENT_ID'],
  options: {},
  optionHelp: [],
  run: async ({ operands: [clientId = ''], terminal }) =>
    await withContext(terminal, async ctx => {
      const client_secret = await replaceClientSecret(ctx, clientId)
      if (client_secret === null) throw unknownClient(clientId, ' that has a secret')
      return {
        lines: [`client_secret  ${client_secret}`, 'The secret is not shown again: keep it now.'],
        json: { client_id: clientId, client_secret, client_secret_expires_at: 0 }
      }
    })
}

const unknownClient = (clientId: string, kind = '') =>
  new CommandFailure([`There is no client ${JSON.stringify(clientId)}${kind}.`])

export const clientCommands: Command[] = [add, listAll, remove, secret]
