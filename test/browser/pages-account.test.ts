import t from 'tap'
import { checkPages } from '../helpers/sample-pages.ts'

t.test('every page of an account is readable by everybody, in both themes', async t => {
  await checkPages(t, /^self-service/)
})
