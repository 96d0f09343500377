// More resets than the machine can hash for. On its own: how long a hash takes is learned from the hashes before.
import t from 'tap'
import { askForReset, createPerson, lastReset, newPassword } from '../helpers/resets.ts'
import { startService, Visitor } from '../helpers/service.ts'

t.test('PWD-6: when too many set a password at once, some are told to come back', async t => {
  const slow = await startService(t, {
    environment: { ARGON2_MEMORY_KIB: '77824', ARGON2_ITERATIONS: '2' }
  })
  const email = 'busy@example.org'
  await createPerson(slow, { email })
  await askForReset(slow, email)
  const { link } = await lastReset(slow, email)
  const visitor = new Visitor()
  const form = await visitor.visit(link)
  const answers = await Promise.all(
    Array.from({ length: 60 }, () => visitor.post(form, 'reset-form', { password: newPassword }))
  )
  const shed = answers.filter(({ status }) => status === 503)
  t.ok(shed.length > 5, `${shed.length} were shed`)
  for (const { headers, text } of shed) {
    t.ok(Number(headers.get('retry-after')) >= 1)
    t.match(text, 'We are busy just now')
  }
  t.equal(answers.filter(({ status }) => status === 303).length, 1)
})
