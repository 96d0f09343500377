// gatehouse workloads: whose tokens stand for an application, so that it needs no secret.
import { readFileSync } from 'node:fs'
import type { Workload, WorkloadInput } from '../clients/workload-model.ts'
import { listWorkloads } from '../clients/workload-repository.ts'
import { removeWorkload, trustWorkload } from '../clients/workload-service.ts'
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
  words: 'workloads add',
  summary: "Let another issuer's tokens stand for an application (RFC 7523).",
  operands: ['CLIENT_ID'],
  options: {
    issuer: text,
    subject: text,
    claim: { type: 'string', multiple: true },
    audience: text,
    jwks: text,
    reusable: { type: 'boolean' }
  },
  optionHelp: [
    ['--issuer URL', 'Whose tokens, exactly as their iss says it (needed)'],
    ['--subject PATTERN', 'What their sub must be: * stands for anything but / and :, ** for anything but :'],
    ['--claim NAME=VALUE', 'What a claim must be; may be repeated, for one claim too: one of its values'],
    ['--audience TEXT', 'What their aud must hold; default the address of this installation'],
    ['--jwks FILE', "The issuer's keys; default fetched as its discovery document says"],
    ['--reusable', 'A token may be presented until it expires, as those mounted by Kubernetes; default once']
  ],
  run: async ({ values, operands: [clientId = ''], terminal }) => {
    const input = readWorkload(values, clientId)
    return await withContext(terminal, async ctx => {
      const outcome = await trustWorkload(ctx, input)
      if (!outcome.ok) throw registrationFailure(outcome.faults)
      const { workload } = outcome
      return { lines: [`Trusted as ${clientId}.`, `id  ${workload.id}`], json: workload }
    })
  }
}

function readWorkload(values: OptionValues, clientId: string): WorkloadInput {
  const issuer = textOf(values, 'issuer')
  if (issuer === undefined) throw usageFailure('--issuer is needed')
  return {
    clientId,
    issuer,
    audience: textOf(values, 'audience') ?? null,
    subject: textOf(values, 'subject') ?? null,
    claims: readClaims(listOf(values, 'claim') ?? []),
    jwks: readKeys(textOf(values, 'jwks')),
    reusable: values.reusable === true
  }
}

function readClaims(pairs: string[]): Record<string, string[]> {
  const claims = new Map<string, string[]>()
  for (const pair of pairs) {
    const [, name, value] = /^([^=]+)=(.+)$/.exec(pair) ?? []
    if (name === undefined || value === undefined)
      throw usageFailure(`--claim needs NAME=VALUE, not ${JSON.stringify(pair)}`)
    claims.set(name, [...(claims.get(name) ?? []), value])
  }
  return Object.fromEntries(claims)
}

function readKeys(path: string | undefined): unknown {
  if (path === undefined) return null
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new CommandFailure([`${path} cannot be read as JSON: ${(error as Error).message}`])
  }
}

const listAll: Command = {
  words: 'workloads list',
  summary: 'List whose tokens stand for applications.',
  operands: [],
  options: { client: text },
  optionHelp: [['--client CLIENT_ID', 'Those of this application']],
  run: async ({ values, terminal }) =>
    await withContext(terminal, async ctx => {
      const workloads = await listWorkloads(ctx.sql, textOf(values, 'client') ?? null)
      return {
        lines:
          workloads.length === 0
            ? ['No workloads are trusted.']
            : toTable([['ID', 'CLIENT_ID', 'ISSUER', 'SUBJECT', 'CLAIMS'], ...workloads.map(toCells)]),
        json: workloads
      }
    })
}

const toCells = ({ id, clientId, issuer, subject, claims }: Workload) => [
  id,
  clientId,
  issuer,
  subject ?? 'any',
  Object.entries(claims)
    .map(([name, values]) => `${name}=${values.join('|')}`)
    .join(' ')
]

const remove: Command = {
  words: 'workloads remove',
  summary: 'Trust no token by this rule any more.',
  operands: ['ID'],
  options: {},
  optionHelp: [],
  run: async ({ operands: [id = ''], terminal }) =>
    await withContext(terminal, async ctx => {
      if (!(await removeWorkload(ctx, id)))
        throw new CommandFailure([`There is no workload ${JSON.stringify(id)}.`])
      return { lines: [`Removed ${id}.`], json: { id } }
    })
}

export const workloadCommands: Command[] = [add, listAll, remove]
