// gatehouse roles: what people are, for policies such as SECOND_FACTOR_ROLES.
import { type Account, parseEmail } from '../accounts/model.ts'
import { findAccountByEmailKey } from '../accounts/repository.ts'
import type { Context } from '../context.ts'
import { parseRole } from '../roles/model.ts'
import { listEmailsWithRole, listRoles } from '../roles/repository.ts'
import { grantRole, revokeRole } from '../roles/service.ts'
import {
  type Command,
  CommandFailure,
  type CommandInput,
  type OptionValues,
  textOf,
  usageFailure
} from './command.ts'
import { withContext } from './database.ts'

const text = { type: 'string' } as const
const options = { email: text, role: text }
const optionHelp: Command['optionHelp'] = [
  ['--email ADDRESS', 'Whose (needed)'],
  ['--role ROLE', 'Letters, digits and . _ : -, in one word (needed)']
]

const add: Command = {
  words: 'roles add',
  summary: 'Give somebody a role.',
  operands: [],
  options,
  optionHelp,
  run: async input =>
    await assign(input, async (ctx, { account, role }) =>
      (await grantRole(ctx, { accountId: account.id, role }))
        ? `${account.email} is ${role} now.`
        : `${account.email} is ${role} already.`
    )
}

const remove: Command = {
  words: 'roles remove',
  summary: 'Take a role from somebody.',
  operands: [],
  options,
  optionHelp,
  run: async input =>
    await assign(input, async (ctx, { account, role }) => {
      if (!(await revokeRole(ctx, { accountId: account.id, role })))
        throw new CommandFailure([`${account.email} is not ${role}.`])
      return `${account.email} is not ${role} any more.`
    })
}

async function assign(
  { values, terminal }: CommandInput,
  change: (ctx: Context, assignment: { account: Account; role: string }) => Promise<string>
) {
  const emailKey = readEmail(values)
  const role = readRole(values)
  if (emailKey === null || role === null) throw usageFailure('--email and --role are needed')
  return await withContext(terminal, async ctx => {
    const account = await accountOf(ctx, emailKey)
    const line = await change(ctx, { account, role })
    return { lines: [line], json: { email: account.email, roles: await listRoles(ctx.sql, account.id) } }
  })
}

const listAll: Command = {
  words: 'roles list',
  summary: 'List the roles of somebody, or everybody who has a role.',
  operands: [],
  options,
  optionHelp: [
    ['--email ADDRESS', 'The roles of this person'],
    ['--role ROLE', 'The people who have this role']
  ],
  run: async ({ values, terminal }) => {
    const emailKey = readEmail(values)
    const role = readRole(values)
    if (emailKey !== null && role === null)
      return await withContext(terminal, async ctx => {
        const { id, email } = await accountOf(ctx, emailKey)
        const roles = await listRoles(ctx.sql, id)
        return { lines: roles.length === 0 ? [`${email} has no roles.`] : roles, json: { email, roles } }
      })
    if (emailKey === null && role !== null)
      return await withContext(terminal, async ctx => {
        const emails = await listEverybodyWithRole(ctx, role)
        return { lines: emails.length === 0 ? [`Nobody is ${role}.`] : emails, json: { role, emails } }
      })
    throw usageFailure('One of --email and --role is needed')
  }
}

async function listEverybodyWithRole(ctx: Context, role: string): Promise<string[]> {
  const emails: string[] = []
  for (;;) {
    const page = await listEmailsWithRole(ctx.sql, role, { after: emails.at(-1) ?? '' })
    emails.push(...page)
    if (page.length === 0) return emails
  }
}

function readEmail(values: OptionValues): string | null {
  const typed = textOf(values, 'email')
  if (typed === undefined) return null
  const parsed = parseEmail(typed)
  if (!parsed.ok) throw usageFailure(`--email needs an address, not ${JSON.stringify(typed)}`)
  return parsed.emailKey
}

function readRole(values: OptionValues): string | null {
  const typed = textOf(values, 'role')
  if (typed === undefined) return null
  const role = parseRole(typed)
  if (role === null)
    throw usageFailure(`--role needs one word of letters, digits and . _ : -, not ${JSON.stringify(typed)}`)
  return role
}

async function accountOf(ctx: Context, emailKey: string): Promise<Account> {
  const account = await findAccountByEmailKey(ctx.sql, emailKey)
  if (account === null) throw new CommandFailure([`There is no account with the address ${emailKey}.`])
  return account
}

export const roleCommands: Command[] = [add, listAll, remove]
