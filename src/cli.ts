#!/usr/bin/env node
// The operator's command line. It finds the command that was asked for, and turns what comes of it into words and an
// exit code: 0 done, 1 could not be done, 2 asked for wrongly. The commands are in commands/.
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { claimCommands } from './commands/claims.ts'
import { clientCommands } from './commands/clients.ts'
import { type Command, CommandFailure, type Terminal, usageFailure } from './commands/command.ts'
import { groupCommands } from './commands/groups.ts'
import { installationCommands } from './commands/installation.ts'
import { keyCommands } from './commands/keys.ts'
import { registrationTokenCommands } from './commands/registration-tokens.ts'
import { resourceCommands } from './commands/resources.ts'
import { roleCommands } from './commands/roles.ts'
import { workloadCommands } from './commands/workloads.ts'

const commands = [
  ...clientCommands,
  ...resourceCommands,
  ...registrationTokenCommands,
  ...keyCommands,
  ...roleCommands,
  ...groupCommands,
  ...claimCommands,
  ...workloadCommands,
  ...installationCommands
]

const sharedOptions = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const

/** Runs one command line and returns its exit code. Nothing it throws gets past. */
export async function runCommandLine(words: string[], terminal: Terminal): Promise<0 | 1 | 2> {
  const asJson = words.includes('--json')
  try {
    const { lines, json } = await run(words, terminal)
    if (asJson) terminal.writeLine(JSON.stringify(json, null, 2))
    else for (const line of lines) terminal.writeLine(line)
    return 0
  } catch (error) {
    const failure = error instanceof CommandFailure ? error : new CommandFailure([explain(error)])
    if (asJson) terminal.writeErrorLine(JSON.stringify(toJson(failure), null, 2))
    else for (const line of failure.lines) terminal.writeErrorLine(line)
    if (failure.exitCode === 2 && !asJson) terminal.writeErrorLine('`gatehouse help` lists the commands.')
    return failure.exitCode
  }
}

async function run(words: string[], terminal: Terminal) {
  const wanted = words.filter(word => !word.startsWith('-'))
  if (words.length === 0 || wanted[0] === 'help' || (wanted.length === 0 && asksForHelp(words)))
    return help(wanted.slice(1))
  const command = findCommand(wanted)
  if (command === null) throw usageFailure(`There is no command ${JSON.stringify(wanted.join(' '))}.`)
  const { values, positionals } = parse(command, words)
  const operands = positionals.slice(command.words.split(' ').length)
  if (values.help === true) return describe(command)
  if (operands.length !== command.operands.length) throw usageFailure(`Usage: ${usage(command)}`)
  return await command.run({ values, operands, terminal })
}

const asksForHelp = (words: string[]) => words.includes('--help') || words.includes('-h')

/** The command whose words come first; options may stand anywhere. */
function findCommand(words: string[]): Command | null {
  return commands.find(({ words: name }) => `${words.join(' ')} `.startsWith(`${name} `)) ?? null
}

function parse(command: Command, words: string[]) {
  try {
    return parseArgs({
      args: words,
      options: { ...command.options, ...sharedOptions },
      allowPositionals: true,
      strict: true
    })
  } catch (error) {
    throw usageFailure((error as Error).message)
  }
}

function usage({ words, operands, optionHelp }: Command): string {
  const options = optionHelp.length === 0 ? [] : ['[options]']
  return ['gatehouse', words, ...operands, ...options].join(' ')
}

function help(words: string[]) {
  const command = findCommand(words)
  if (command !== null) return describe(command)
  if (words.length > 0) throw usageFailure(`There is no command ${JSON.stringify(words.join(' '))}.`)
  const width = Math.max(...commands.map(command => command.words.length))
  return {
    lines: [
      'Usage: gatehouse COMMAND [options]',
      '',
      ...commands.map(({ words, summary }) => `  ${words.padEnd(width)}  ${summary}`),
      '',
      '--json answers in JSON. `gatehouse help COMMAND` tells the options of a command.',
      'The settings are those of the service: environment variables, see config/reference.md.'
    ],
    json: commands.map(({ words, summary }) => ({ command: words, summary }))
  }
}

function describe(command: Command) {
  const width = Math.max(0, ...command.optionHelp.map(([option]) => option.length))
  const options = command.optionHelp.map(([option, text]) => `  ${option.padEnd(width)}  ${text}`)
  return {
    lines: [
      `Usage: ${usage(command)}`,
      '',
      command.summary,
      ...(options.length === 0 ? [] : ['', ...options])
    ],
    json: {
      command: command.words,
      summary: command.summary,
      operands: command.operands,
      options: command.optionHelp
    }
  }
}

function explain(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  // Several addresses were tried: the error that holds their errors has no words of its own.
  const reason =
    message === '' && error instanceof AggregateError ? String(error.errors[0]?.message) : message
  return ['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'CONNECT_TIMEOUT', 'EAI_AGAIN'].includes(code)
    ? `The database does not answer (${reason}): is DATABASE_URL right?`
    : reason
}

function toJson({ lines, details, exitCode }: CommandFailure) {
  const code = exitCode === 2 ? 'usage_error' : details.length > 0 ? 'validation_error' : 'command_failed'
  return { error: { code, message: lines[0], details } }
}

/** Whether this file was started, whatever link (npm's, in node_modules/.bin) it was started by. */
function isMain(): boolean {
  const [, started] = process.argv
  return started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)
}

if (isMain()) {
  process.exitCode = await runCommandLine(process.argv.slice(2), {
    environment: undefined,
    now: () => new Date(),
    writeLine: line => process.stdout.write(`${line}\n`),
    writeErrorLine: line => process.stderr.write(`${line}\n`)
  })
}
