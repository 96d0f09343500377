// What every operator's command shares: its shape, its answers, its way of saying what is wrong.
import type { ParseArgsOptionsConfig } from 'node:util'
import type { Environment, Fault as SettingFault } from '../config/load.ts'
import type { Context } from '../context.ts'

/** The world of a command, handed in so that tests can stand in for a terminal. */
export type Terminal = {
  /** Undefined: the environment of this process. */
  environment: Environment | undefined
  now: () => Date
  writeLine: (line: string) => void
  writeErrorLine: (line: string) => void
}

export type OptionValues = Record<string, string | boolean | (string | boolean)[] | undefined>

export type Command = {
  /** As typed: "clients add". */
  words: string
  summary: string
  /** Required, in this order, as in the usage line: CLIENT_ID. */
  operands: string[]
  options: ParseArgsOptionsConfig
  /** One line an option, shown by help. */
  optionHelp: [option: string, text: string][]
  run: (input: CommandInput) => Promise<Answer>
}

export type CommandInput = { values: OptionValues; operands: string[]; terminal: Terminal }

/** What a command says: to people, line by line, or to programs (--json). */
export type Answer = { lines: string[]; json: unknown }

/** Ends a command with words for the operator and an exit code: 1, it could not be done; 2, it was asked for wrongly. */
export class CommandFailure extends Error {
  readonly lines: string[]
  readonly exitCode: 1 | 2
  readonly details: { field: string; message: string }[]

  constructor(
    lines: string[],
    { exitCode = 1, details = [] }: { exitCode?: 1 | 2; details?: { field: string; message: string }[] } = {}
  ) {
    super(lines[0])
    this.lines = lines
    this.exitCode = exitCode
    this.details = details
  }
}

/** A command that was typed wrongly. */
export const usageFailure = (message: string): CommandFailure =>
  new CommandFailure([message], { exitCode: 2 })

/** All faults of settings at once, each with its name and what to put. */
export function settingsFailure(faults: SettingFault[]): CommandFailure {
  const details = faults.map(({ setting, message }) => ({ field: setting, message }))
  return new CommandFailure(['These settings are wrong:', ...details.map(toLine)], { details })
}

/** All faults of what was to be registered at once, by field. */
export function registrationFailure(faults: { field: string; message: string }[]): CommandFailure {
  return new CommandFailure(['This cannot be registered:', ...faults.map(toLine)], { details: faults })
}

const toLine = ({ field, message }: { field: string; message: string }) => `  ${field} ${message}`.trimEnd()

/** Columns of text, as wide as their widest cell. */
export function toTable(rows: string[][]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  )
}

/** Reads an option that is given once, as text. */
export function textOf(values: OptionValues, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** Reads an option that may be given several times. */
export function listOf(values: OptionValues, name: string): string[] | undefined {
  const value = values[name]
  return Array.isArray(value) ? value.filter(entry => typeof entry === 'string') : undefined
}

/** Reads a whole number; anything else is a usage error. */
export function numberOf(values: OptionValues, name: string): number | undefined {
  const text = textOf(values, name)
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text))
    throw usageFailure(`--${name} needs a whole number, not ${JSON.stringify(text)}`)
  return Number(text)
}

/** A log for short work at a terminal: warnings and errors, one line each. */
export function createTerminalLog(writeErrorLine: (line: string) => void): Context['log'] {
  const write = (...[facts, message]: unknown[]) => {
    const error = typeof facts === 'object' && facts !== null && 'err' in facts ? `: ${facts.err}` : ''
    writeErrorLine(`${typeof facts === 'string' ? facts : String(message)}${error}`)
  }
  const quiet = () => {}
  const log: Context['log'] = {
    level: 'warn',
    child: () => log,
    trace: quiet,
    debug: quiet,
    info: quiet,
    warn: write,
    error: write,
    fatal: write,
    silent: quiet
  }
  return log
}
