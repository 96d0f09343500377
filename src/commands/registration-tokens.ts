// gatehouse registration-tokens: who may register applications where DYNAMIC_REGISTRATION=token.
import { type InitialAccessToken, listInitialAccessTokens } from '../clients/registration-repository.ts'
import { createInitialAccessToken, removeInitialAccessToken } from '../clients/registration-token-service.ts'
import { type Command, CommandFailure, numberOf, registrationFailure, textOf, toTable } from './command.ts'
import { withContext } from './database.ts'

const text = { type: 'string' } as const

const add: Command = {
  words: 'registration-tokens add',
  summary: 'Make a token that applications register themselves with. It is printed this once.',
  operands: [],
  options: { name: text, uses: text, 'expires-in-days': text },
  optionHelp: [
    ['--name NAME', 'What it is for (needed)'],
    ['--uses N', 'How many applications it is good for; default 1'],
    ['--expires-in-days N', 'How long it is good; default 7']
  ],
  run: async ({ values, terminal }) => {
    const terms = {
      name: textOf(values, 'name') ?? '',
      uses: numberOf(values, 'uses') ?? 1,
      expiresInDays: numberOf(values, 'expires-in-days') ?? 7
    }
    return await withContext(terminal, async ctx => {
      const outcome = await createInitialAccessToken(ctx, terms)
      if (!outcome.ok) throw registrationFailure(outcome.faults)
      return {
        lines: [
          ...toTable([
            ['id', outcome.kept.id],
            ['token', outcome.token]
          ]),
          'The token is not shown again: hand it on now.'
        ],
        json: { ...toJson(outcome.kept), token: outcome.token }
      }
    })
  }
}

const listAll: Command = {
  words: 'registration-tokens list',
  summary: 'List the tokens that applications register themselves with.',
  operands: [],
  options: {},
  optionHelp: [],
  run: async ({ terminal }) =>
    await withContext(terminal, async ctx => {
      const tokens: InitialAccessToken[] = []
      for (;;) {
        const last = tokens.at(-1)
        const page = await listInitialAccessTokens(ctx.sql, last === undefined ? {} : { after: last.id })
        tokens.push(...page)
        if (page.length === 0) break
      }
      const rows = tokens.map(({ id, name, usesLeft, expiresAt }) => [
        id,
        name,
        String(usesLeft),
        expiresAt.toISOString()
      ])
      return {
        lines:
          rows.length === 0
            ? ['There are no registration tokens.']
            : toTable([['ID', 'NAME', 'USES LEFT', 'EXPIRES'], ...rows]),
        json: tokens.map(toJson)
      }
    })
}

const remove: Command = {
  words: 'registration-tokens remove',
  summary: 'End a registration token. What was registered with it stays.',
  operands: ['ID'],
  options: {},
  optionHelp: [],
  run: async ({ operands: [id = ''], terminal }) =>
    await withContext(terminal, async ctx => {
      if (!(await removeInitialAccessToken(ctx, id)))
        throw new CommandFailure([`There is no registration token ${JSON.stringify(id)}.`])
      return { lines: [`Removed ${id}.`], json: { id } }
    })
}

const toJson = ({ id, name, usesLeft, createdAt, expiresAt }: Omit<InitialAccessToken, 'tokenHash'>) => ({
  id,
  name,
  uses_left: usesLeft,
  created_at: createdAt.toISOString(),
  expires_at: expiresAt.toISOString()
})

export const registrationTokenCommands: Command[] = [add, listAll, remove]
