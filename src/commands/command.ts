// What every operator's command shares: its options, its output, its way of saying what is wrong.
import type { Context } from '../context.ts'

/** Says nothing: a command answers on standard output, and what goes wrong is its exit code and one line. */
export const silentLog: Context['log'] = {
  level: 'silent',
  child: () => silentLog,
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  fatal: () => {},
  silent: () => {}
}
