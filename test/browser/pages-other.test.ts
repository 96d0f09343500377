import t from 'tap'
import { checkPages } from '../helpers/sample-pages.ts'

t.test('every other page is readable by everybody, in both themes', async t => {
  await checkPages(t, /^(?!interactions|self-service)/)
})
