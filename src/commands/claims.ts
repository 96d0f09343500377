// gatehouse claims: what tokens and userinfo say beside the standard claims.
import type { ClaimMapping, Json } from '../clients/claim-model.ts'
import { listClaimMappings } from '../clients/claim-repository.ts'
import { addClaimMapping, removeClaimMapping } from '../clients/claim-service.ts'
import {
  type Command,
  CommandFailure,
  listOf,
  type OptionValues,
  registrationFailure,
  textOf,
  toTable,
  usageFailure
} from './command.ts'
import { withContext } from './database.ts'

const text = { type: 'string' } as const

const add: Command = {
  words: 'claims add',
  summary: 'Have a claim filled in from the profile, roles, groups, or with a constant.',
  operands: ['CLAIM'],
  options: {
    from: text,
    value: text,
    scope: text,
    'client-id': text,
    in: { type: 'string', multiple: true },
    description: text
  },
  optionHelp: [
    ['--from SOURCE', 'roles, groups, or a field of the profile as profile:department'],
    ['--value JSON', 'The same for everybody; instead of --from'],
    ['--in DESTINATION', 'id_token, access_token or userinfo (default); may be repeated'],
    ['--scope SCOPE', 'For whoever was granted this scope; default any'],
    ['--client-id ID', 'For this application; default any'],
    ['--description TEXT', 'What people read of the scope where they are asked to agree']
  ],
  run: async ({ values, operands: [claim = ''], terminal }) => {
    const input = {
      claim,
      ...readSource(values),
      scope: textOf(values, 'scope') ?? null,
      clientId: textOf(values, 'client-id') ?? null,
      description: textOf(values, 'description') ?? null,
      ...(values.in === undefined ? {} : { destinations: listOf(values, 'in') })
    }
    return await withContext(terminal, async ctx => {
      const outcome = await addClaimMapping(ctx, input)
      if (!outcome.ok) throw registrationFailure(outcome.faults)
      return { lines: [`Added ${claim}: ${outcome.mapping.id}`], json: toJson(outcome.mapping) }
    })
  }
}

function readSource(values: OptionValues): { source?: string; path?: string; value?: Json } {
  const from = textOf(values, 'from')
  const value = textOf(values, 'value')
  if ((from === undefined) === (value === undefined))
    throw usageFailure('One of --from and --value is needed')
  if (value !== undefined) return { source: 'constant', value: parseJson(value) }
  const [source = '', path] = from?.split(/:(.*)/s) ?? []
  return { source, ...(path === undefined ? {} : { path }) }
}

function parseJson(value: string): Json {
  try {
    return JSON.parse(value) as Json
  } catch {
    throw usageFailure(`--value needs JSON, as '"a text"', '7' or '["a", "b"]', not ${JSON.stringify(value)}`)
  }
}

const listAll: Command = {
  words: 'claims list',
  summary: 'List the claims that are filled in.',
  operands: [],
  options: {},
  optionHelp: [],
  run: async ({ terminal }) =>
    await withContext(terminal, async ctx => {
      const mappings = await listClaimMappings(ctx.sql)
      const rows = mappings.map(mapping => [
        mapping.id,
        mapping.claim,
        sourceOf(mapping),
        mapping.scope ?? 'any',
        mapping.clientId ?? 'any',
        mapping.destinations.join(' ')
      ])
      return {
        lines:
          rows.length === 0
            ? ['No claims are filled in.']
            : toTable([['ID', 'CLAIM', 'FROM', 'SCOPE', 'CLIENT', 'IN'], ...rows]),
        json: mappings.map(toJson)
      }
    })
}

const sourceOf = ({ source, path, value }: ClaimMapping): string =>
  source === 'profile' ? `profile:${path}` : source === 'constant' ? JSON.stringify(value) : source

const toJson = ({ clientId, createdAt, ...mapping }: ClaimMapping) => ({
  ...mapping,
  client_id: clientId,
  created_at: createdAt.toISOString()
})

const remove: Command = {
  words: 'claims remove',
  summary: 'Have a claim filled in no longer.',
  operands: ['ID'],
  options: {},
  optionHelp: [],
  run: async ({ operands: [id = ''], terminal }) =>
    await withContext(terminal, async ctx => {
      const claim = await removeClaimMapping(ctx, id)
      if (claim === null) throw new CommandFailure([`No claim is filled in as ${JSON.stringify(id)}.`])
      return { lines: [`Removed ${claim}.`], json: { id, claim } }
    })
}

export const claimCommands: Command[] = [add, listAll, remove]
