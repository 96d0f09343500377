// Runs the modules of a plan of the OpenID Foundation's suite, one test each.
import type { Test } from 'tap'
import {
  registerFor,
  type Suite,
  type SuiteClient,
  unregister,
  type Variant
} from '../helpers/conformance.ts'
import type { Key } from '../helpers/keyed-client.ts'
import { answers } from './answer-modules.ts'
import { asks } from './ask-modules.ts'
import { claims } from './claim-modules.ts'
import { codes } from './code-modules.ts'
import { dynamics } from './dynamic-modules.ts'
import { requestObjects } from './request-object-modules.ts'

export type Run = {
  t: Test
  suite: Suite
  variant: Variant
  /** A client of the variant, registered anew; `key`: which signs its assertions. */
  register: (over?: Record<string, unknown> & { key?: Key }) => Promise<SuiteClient>
}

/** What a module of the suite asks for, in words, and where the specifications ask for it. */
export type Module = { section: string; says: string; run: (run: Run) => Promise<void> }

const modules = { ...answers, ...asks, ...claims, ...codes, ...dynamics, ...requestObjects }
export type ModuleName = keyof typeof modules

/** Each module of a plan in its order, as a test of the same name. */
export async function runPlan(
  t: Test,
  suite: Suite,
  { variant, names }: { variant: Variant; names: readonly ModuleName[] }
): Promise<void> {
  for (const name of names) {
    const { section, says, run }: Module = modules[name]
    await t.test(`${name} (${section}): ${says}`, async t => {
      const registered: SuiteClient[] = []
      const register = async (over: Parameters<Run['register']>[0]) => {
        const client = await registerFor(suite, variant, over)
        registered.push(client)
        return client
      }
      await run({ t, suite, variant, register })
      for (const client of registered) t.equal(await unregister(client), 204)
    })
  }
}
