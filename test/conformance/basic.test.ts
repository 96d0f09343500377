// The plan oidcc-basic-certification-test-plan: response_type=code.
import t from 'tap'
import { startSuite } from '../helpers/conformance.ts'
import { basicModules } from './basic-modules.ts'
import { runPlan } from './plan.ts'

t.test('Basic OP', async t => {
  await runPlan(t, await startSuite(t), { variant: { responseType: 'code' }, names: basicModules })
})
