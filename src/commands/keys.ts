// gatehouse keys: what tokens are signed with.
import { type SigningAlg, signingAlgs } from '../keys/model.ts'
import { listSigningKeys } from '../keys/repository.ts'
import { finishRotations, type RotationOutcome, rotateSigningKey } from '../keys/service.ts'
import { type Command, numberOf, textOf, toTable, usageFailure } from './command.ts'
import { withContext } from './database.ts'

const rotate: Command = {
  words: 'keys rotate',
  summary:
    'Take the rotation of the signing keys one step further: publish new ones, or sign with those published.',
  operands: [],
  options: {
    alg: { type: 'string' },
    now: { type: 'boolean' },
    revoke: { type: 'boolean' },
    'publish-seconds': { type: 'string' }
  },
  optionHelp: [
    ['--alg ALG', 'Only the key of ES256, RS256 or EdDSA; default all'],
    ['--publish-seconds N', 'How long a new key is published before it signs; default 86400, a day'],
    ['--now', 'Sign with new keys at once, without waiting for caches'],
    ['--revoke', 'A key has leaked: take the old ones back at once, with every token that they signed']
  ],
  run: async ({ values, terminal }) => {
    const algs = readAlgs(textOf(values, 'alg'))
    const publishSeconds = numberOf(values, 'publish-seconds')
    const options = {
      now: values.now === true,
      revoke: values.revoke === true,
      ...(publishSeconds === undefined ? {} : { publishSeconds })
    }
    return await withContext(terminal, async ctx => {
      const outcomes = []
      for (const alg of algs) outcomes.push({ alg, ...(await rotateSigningKey(ctx, alg, options)) })
      const { removed } = await finishRotations(ctx, options)
      return {
        lines: [
          ...outcomes.map(toSentence),
          ...removed.map(kid => `Removed ${kid}: its last token has ended.`)
        ],
        json: { rotations: outcomes, removed }
      }
    })
  }
}

function readAlgs(alg: string | undefined): readonly SigningAlg[] {
  if (alg === undefined) return signingAlgs
  const known = signingAlgs.find(name => name === alg)
  if (known === undefined) throw usageFailure(`--alg must be one of ${signingAlgs.join(', ')}`)
  return [known]
}

function toSentence(outcome: RotationOutcome & { alg: SigningAlg }): string {
  const { alg, kid } = outcome
  if (outcome.step === 'published')
    return `${alg}: published ${kid}. It may sign from ${outcome.signsFrom.toISOString()}: run this again then.`
  if (outcome.step === 'waiting')
    return `${alg}: ${kid} is published and may sign from ${outcome.signsFrom.toISOString()}.`
  const old =
    outcome.retiredKid === null
      ? ''
      : outcome.revoked
        ? ` ${outcome.retiredKid} is revoked.`
        : ` ${outcome.retiredKid} is retired.`
  return `${alg}: ${kid} signs now.${old}`
}

const listAll: Command = {
  words: 'keys list',
  summary: 'List the published signing keys.',
  operands: [],
  options: {},
  optionHelp: [],
  run: async ({ terminal }) =>
    await withContext(terminal, async ctx => {
      const keys = (await listSigningKeys(ctx.sql)).map(({ privateJwkSealed, publicJwk, ...key }) => key)
      const rows = keys.map(({ alg, kid, state, createdAt }) => [alg, kid, state, createdAt.toISOString()])
      return {
        lines:
          rows.length === 0
            ? ['There are no signing keys yet: the first start of the service makes them.']
            : toTable([['ALG', 'KID', 'STATE', 'CREATED'], ...rows]),
        json: keys
      }
    })
}

export const keyCommands: Command[] = [rotate, listAll]
