// gatehouse resources: which APIs applications may ask tokens for.
import { listResources } from '../clients/repository.ts'
import { registerResource, removeResource } from '../clients/resource-service.ts'
import {
  type Command,
  CommandFailure,
  listOf,
  numberOf,
  registrationFailure,
  textOf,
  toTable
} from './command.ts'
import { withContext } from './database.ts'

const add: Command = {
  words: 'resources add',
  summary: 'Register a resource. A client may use it once its --resource names it.',
  operands: ['IDENTIFIER'],
  options: {
    name: { type: 'string' },
    scope: { type: 'string', multiple: true },
    format: { type: 'string' },
    'signing-alg': { type: 'string' },
    'lifetime-seconds': { type: 'string' }
  },
  optionHelp: [
    ['--name NAME', 'What people know it by; default its identifier'],
    ['--scope SCOPE', 'A scope of its own; may be repeated'],
    ['--format jwt|opaque', 'What its access tokens are; default jwt'],
    ['--signing-alg ALG', "ES256, RS256 or EdDSA; default the client's or the installation's choice"],
    ['--lifetime-seconds N', "How long its access tokens last; default the installation's choice"]
  ],
  run: async ({ values, operands: [identifier = ''], terminal }) => {
    const [name, format, alg] = ['name', 'format', 'signing-alg'].map(option => textOf(values, option))
    const lifetime = numberOf(values, 'lifetime-seconds')
    return await withContext(terminal, async ctx => {
      const outcome = await registerResource(ctx, {
        identifier,
        scopes: listOf(values, 'scope') ?? [],
        ...(name === undefined ? {} : { name }),
        ...(format === undefined ? {} : { accessTokenFormat: format }),
        ...(alg === undefined ? {} : { accessTokenSigningAlg: alg }),
        ...(lifetime === undefined ? {} : { accessTokenLifetimeSeconds: lifetime })
      })
      if (!outcome.ok) throw registrationFailure(outcome.faults)
      return { lines: [`Registered ${identifier}.`], json: outcome.resource }
    })
  }
}

const listAll: Command = {
  words: 'resources list',
  summary: 'List the registered resources.',
  operands: [],
  options: {},
  optionHelp: [],
  run: async ({ terminal }) =>
    await withContext(terminal, async ctx => {
      const resources = await listResources(ctx.sql)
      const rows = resources.map(({ identifier, name, scopes, accessTokenFormat }) => [
        identifier,
        name,
        accessTokenFormat,
        scopes.join(' ')
      ])
      return {
        lines:
          rows.length === 0
            ? ['No resources are registered.']
            : toTable([['IDENTIFIER', 'NAME', 'FORMAT', 'SCOPES'], ...rows]),
        json: resources
      }
    })
}

const remove: Command = {
  words: 'resources remove',
  summary: 'Remove a resource: no new token is made for it.',
  operands: ['IDENTIFIER'],
  options: {},
  optionHelp: [],
  run: async ({ operands: [identifier = ''], terminal }) =>
    await withContext(terminal, async ctx => {
      if (!(await removeResource(ctx, identifier)))
        throw new CommandFailure([`There is no resource ${JSON.stringify(identifier)}.`])
      return { lines: [`Removed ${identifier}.`], json: { identifier } }
    })
}

export const resourceCommands: Command[] = [add, listAll, remove]
