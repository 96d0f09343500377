// The log: JSON lines on standard output, without anything that opens a door.
import Fastify, { type FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/schema.ts'
import { schemaController } from './schemas.ts'

/**
 * Fastify's own logger, made before the server so that what comes first can use it.
 *
 * Lines go to standard output unless `stream` takes them. Errors lose what a driver attaches to them: a statement's parameters may be secrets.
 */
export function createLog(
  level: Config['logLevel'],
  stream: { write: (line: string) => void } = process.stdout
): FastifyBaseLogger {
  const logger = { level, serializers: { err: describeError }, stream }
  return Fastify({ logger, schemaController }).log
}

function describeError(error: Error & { code?: string; cause?: unknown }): {
  type: string
  message: string
  stack: string
  code?: string
  cause?: unknown
} {
  return {
    type: error.name,
    message: error.message,
    stack: error.stack ?? '',
    ...(error.code === undefined ? {} : { code: error.code }),
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {})
  }
}
