// What gatehouse roles and gatehouse groups share: people are named by their addresses, what they are by one word.
import { type Account, parseEmail } from '../accounts/model.ts'
import { findAccountByEmailKey } from '../accounts/repository.ts'
import type { Context } from '../context.ts'
import type { Sql } from '../db/connect.ts'
import { parseRole } from '../roles/model.ts'
import {
  type Command,
  CommandFailure,
  type CommandInput,
  type OptionValues,
  textOf,
  usageFailure
} from './command.ts'
import { withContext } from './database.ts'

type Assignment = { account: Account; name: string }
type Change = (ctx: Context, assignment: { accountId: string; name: string }) => Promise<boolean>

export type Kind = {
  /** `roles`, and in JSON the key of somebody's. */
  words: string
  /** `role`: the option that names one. */
  option: string
  summaries: { add: string; remove: string; list: string }
  /** What a person with the name is, in a sentence: “… is admin”. */
  says: (name: string) => string
  add: Change
  remove: Change
  listOf: (sql: Sql, accountId: string) => Promise<string[]>
  listEmails: (sql: Sql, name: string, page: { after: string }) => Promise<string[]>
}

const text = { type: 'string' } as const

/** The commands that give somebody one of a kind, take it from them, and list who has which. */
export function membershipCommands(kind: Kind): Command[] {
  const { words, option, says, summaries } = kind
  const options = { email: text, [option]: text }
  const value = option.toUpperCase()
  const optionHelp: Command['optionHelp'] = [
    ['--email ADDRESS', 'Whose (needed)'],
    [`--${option} ${value}`, 'Letters, digits and . _ : -, in one word (needed)']
  ]
  const command = { operands: [], options, optionHelp }
  const add = async (input: CommandInput) =>
    await assign(kind, input, async (ctx, { account, name }) =>
      (await kind.add(ctx, { accountId: account.id, name }))
        ? `${account.email} ${says(name)} now.`
        : `${account.email} ${says(name)} already.`
    )
  const remove = async (input: CommandInput) =>
    await assign(kind, input, async (ctx, { account, name }) => {
      const not = says(name).replace(/^is/, 'is not')
      if (!(await kind.remove(ctx, { accountId: account.id, name })))
        throw new CommandFailure([`${account.email} ${not}.`])
      return `${account.email} ${not} any more.`
    })
  return [
    { ...command, words: `${words} add`, summary: summaries.add, run: add },
    { ...command, words: `${words} remove`, summary: summaries.remove, run: remove },
    {
      ...command,
      words: `${words} list`,
      summary: summaries.list,
      optionHelp: [
        ['--email ADDRESS', `The ${words} of this person`],
        [`--${option} ${value}`, `The people who have this ${option}`]
      ],
      run: async input => await list(kind, input)
    }
  ]
}

async function assign(
  kind: Kind,
  { values, terminal }: CommandInput,
  change: (ctx: Context, assignment: Assignment) => Promise<string>
) {
  const emailKey = readEmail(values)
  const name = readName(kind, values)
  if (emailKey === null || name === null) throw usageFailure(`--email and --${kind.option} are needed`)
  return await withContext(terminal, async ctx => {
    const account = await accountOf(ctx, emailKey)
    const line = await change(ctx, { account, name })
    return {
      lines: [line],
      json: { email: account.email, [kind.words]: await kind.listOf(ctx.sql, account.id) }
    }
  })
}

async function list(kind: Kind, { values, terminal }: CommandInput) {
  const emailKey = readEmail(values)
  const name = readName(kind, values)
  if (emailKey !== null && name === null)
    return await withContext(terminal, async ctx => {
      const { id, email } = await accountOf(ctx, emailKey)
      const names = await kind.listOf(ctx.sql, id)
      const lines = names.length === 0 ? [`${email} has no ${kind.words}.`] : names
      return { lines, json: { email, [kind.words]: names } }
    })
  if (emailKey === null && name !== null)
    return await withContext(terminal, async ctx => {
      const emails = await listEverybody(kind, ctx, name)
      const lines = emails.length === 0 ? [`Nobody ${kind.says(name)}.`] : emails
      return { lines, json: { [kind.option]: name, emails } }
    })
  throw usageFailure(`One of --email and --${kind.option} is needed`)
}

async function listEverybody({ listEmails }: Kind, { sql }: Context, name: string): Promise<string[]> {
  const emails: string[] = []
  for (;;) {
    const page = await listEmails(sql, name, { after: emails.at(-1) ?? '' })
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

function readName({ option }: Kind, values: OptionValues): string | null {
  const typed = textOf(values, option)
  if (typed === undefined) return null
  const name = parseRole(typed)
  if (name === null)
    throw usageFailure(
      `--${option} needs one word of letters, digits and . _ : -, not ${JSON.stringify(typed)}`
    )
  return name
}

async function accountOf(ctx: Context, emailKey: string): Promise<Account> {
  const account = await findAccountByEmailKey(ctx.sql, emailKey)
  if (account === null) throw new CommandFailure([`There is no account with the address ${emailKey}.`])
  return account
}
