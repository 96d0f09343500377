// The plan oidcc-formpost-basic-certification-test-plan: the Basic plan, with every answer as a form that the browser posts.
import t from 'tap'
import { startSuite } from '../helpers/conformance.ts'
import { basicModules } from './basic-modules.ts'
import { runPlan } from './plan.ts'

t.test('Form Post OP', async t => {
  const variant = { responseType: 'code', responseMode: 'form_post' as const }
  await runPlan(t, await startSuite(t), { variant, names: basicModules })
})
