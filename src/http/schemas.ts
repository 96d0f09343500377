// How Fastify checks what schemas describe.
import type { FastifyServerOptions } from 'fastify'
import { Compile } from 'typebox/compile'

/**
 * By TypeBox's own checks: Ajv would drop unknown fields and turn texts into numbers. For every instance of Fastify, also
 * those without schemas: one that is given no compilers loads Ajv and what goes with it, which takes 5 MB.
 */
export const schemaController: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: {
    buildValidator: (() =>
      ({ schema }: { schema: Parameters<typeof Compile>[0] }) => {
        const checks = Compile(schema)
        return (value: unknown) => (checks.Check(value) ? { value } : { error: checks.Errors(value) })
      }) as never,
    // Of answers, which have no schemas here.
    buildSerializer: () => () => JSON.stringify
  }
}
