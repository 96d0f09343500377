// gatehouse clients: which applications may send their users here.
import { type Client, metadataOf, type RegisteredBy } from '../clients/model.ts'
import { findClient, listClients } from '../clients/repository.ts'
import {
  type RegisterOutcome,
  registerClient,
  removeClient,
  replaceClient,
  replaceClientSecret
} from '../clients/service.ts'
import { readExpiry, readRegistration, registrationHelp, registrationOptions } from './client-options.ts'
import {
  type Answer,
  type Command,
  CommandFailure,
  type CommandInput,
  registrationFailure,
  textOf,
  toTable
} from './command.ts'
import { withContext } from './database.ts'

const add: Command = {
  words: 'clients add',
  summary: 'Register an application. Its secret is printed this once.',
  operands: [],
  options: { 'client-id': { type: 'string' }, ...registrationOptions },
  optionHelp: [['--client-id ID', 'An id of your choice; else one is made'], ...registrationHelp],
  run: addClient
}

async function addClient({ values, terminal }: CommandInput): Promise<Answer> {
  const metadata = readRegistration(values)
  const clientId = textOf(values, 'client-id')
  return await withContext(terminal, async ctx => {
    const outcome = await registerClient(ctx, metadata, clientId === undefined ? {} : { clientId })
    if (!outcome.ok) throw registrationFailure(outcome.faults)
    return {
      lines: [`Registered ${outcome.metadata.client_name}.`, ...linesOf(outcome)],
      json: toJson(outcome)
    }
  })
}

type Registered = Extract<RegisterOutcome, { ok: true }>

const linesOf = ({ client_id, client_secret }: Registered): string[] => [
  ...toTable([
    ['client_id', client_id],
    ...(client_secret === null ? [] : [['client_secret', client_secret]])
  ]),
  ...(client_secret === null ? [] : ['The secret is not shown again: keep it now.'])
]

const toJson = ({ client_id, client_secret, metadata }: Registered) => ({
  client_id,
  ...(client_secret === null ? {} : { client_secret, client_secret_expires_at: 0 }),
  ...metadata
})

const registrars: Record<RegisteredBy, string> = {
  operator: 'the operator',
  registration: 'itself',
  client_id_metadata_document: 'its document'
}

const update: Command = {
  words: 'clients update',
  summary: 'Change what an application is registered with. What is not named stays.',
  operands: ['CLIENT_ID'],
  options: registrationOptions,
  optionHelp: [...registrationHelp, ['', 'In the JSON of --metadata, null takes a member away']],
  run: updateClient
}

async function updateClient({ values, operands: [clientId = ''], terminal }: CommandInput): Promise<Answer> {
  const changes = readRegistration(values)
  return await withContext(terminal, async ctx => {
    const client = await findClient(ctx.sql, clientId)
    if (client === null) throw unknownClient(clientId)
    if (client.registeredBy !== 'operator')
      throw new CommandFailure([
        `${clientId} was registered by ${registrars[client.registeredBy]}: what it may have is what REGISTRATION_… allow.`
      ])
    const { client_id: _, ...before } = metadataOf(client)
    const members = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null)
    const outcome = await replaceClient(ctx, clientId, Object.fromEntries(members))
    if (!outcome.ok) throw registrationFailure(outcome.faults)
    return {
      lines: [`Changed ${clientId}.`, ...(outcome.client_secret === null ? [] : linesOf(outcome))],
      json: toJson(outcome)
    }
  })
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
        client.firstParty ? 'yes' : 'no',
        registrars[client.registeredBy]
      ])
      return {
        lines:
          rows.length === 0
            ? ['No applications are registered.']
            : toTable([
                ['CLIENT_ID', 'NAME', 'AUTH METHOD', 'GRANT TYPES', 'FIRST PARTY', 'REGISTERED BY'],
                ...rows
              ]),
        json: clients.map(client => ({ ...metadataOf(client), registered_by: client.registeredBy }))
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
  options: { 'secret-expires-at': { type: 'string' } },
  optionHelp: [['--secret-expires-at MOMENT', 'When the new one ends, as 2027-01-31; default never']],
  run: async ({ values, operands: [clientId = ''], terminal }) => {
    const seconds = readExpiry(values) ?? 0
    const expiresAt = seconds === 0 ? null : new Date(seconds * 1000)
    return await withContext(terminal, async ctx => {
      const client_secret = await replaceClientSecret(ctx, clientId, { expiresAt })
      if (client_secret === null) throw unknownClient(clientId, ' that has a secret')
      return {
        lines: [`client_secret  ${client_secret}`, 'The secret is not shown again: keep it now.'],
        json: { client_id: clientId, client_secret, client_secret_expires_at: seconds }
      }
    })
  }
}

const unknownClient = (clientId: string, kind = '') =>
  new CommandFailure([`There is no client ${JSON.stringify(clientId)}${kind}.`])

export const clientCommands: Command[] = [add, update, listAll, remove, secret]
