// WEB-4: forms that password managers, screen readers and phones understand.
import t, { type Test } from 'tap'
import { createApplication } from '../helpers/application.ts'
import { openSignIn, signUpAndWait } from '../helpers/forms.ts'
import { password, startService } from '../helpers/service.ts'
import type { Answer } from '../helpers/visitor.ts'

type Field = { type: string; autocomplete: string }

function checkForm(
  t: Test,
  { text }: Answer,
  { form, fields, button }: { form: string; fields: Record<string, Field>; button: string }
): void {
  const [, attributes = '', content = ''] =
    new RegExp(`<form\\b([^>]*id="${form}"[^>]*)>(.*?)</form>`, 's').exec(text) ?? []
  t.match(attributes, 'method="post"', form)
  t.match(attributes, /action="\/[^"]*"/)
  t.notMatch(attributes, 'autocomplete="off"')
  const inputs = [...content.matchAll(/<input\b([^>]*)>/gs)]
    .map(([, input = '']) => input)
    .filter(input => !/type="hidden"/.test(input))
  t.strictSame(
    inputs.map(input => /name="(\w+)"/.exec(input)?.[1]),
    Object.keys(fields),
    `${form}: its fields`
  )
  for (const [name, { type, autocomplete }] of Object.entries(fields)) {
    const input = inputs.find(input => input.includes(`name="${name}"`)) ?? ''
    t.match(input, `type="${type}"`, `${name}: type`)
    t.match(input, `autocomplete="${autocomplete}"`, `${name}: autocomplete`)
    t.match(content, new RegExp(`<label for="${name}">[^<]+</label>`), `${name}: label`)
    t.notMatch(input, /maxlength|onpaste|readonly|pattern=/, `${name}: pasting and long values are fine`)
    if (type === 'password') t.notMatch(input, 'value=', `${name}: is never filled in by us`)
  }
  t.match(content, new RegExp(`<button[^>]*id="${button}"`), `${form}: ${button}`)
  t.match(text, /<html lang="en">/)
  t.equal(text.match(/<h1>/g)?.length, 1)
}

t.test('WEB-4: fields say what they are for, have labels, and take what is pasted', async t => {
  const service = await startService(t)
  const application = await createApplication(service)
  const { visitor, page } = await openSignIn(service, { application })
  const email = { type: 'email', autocomplete: 'username' }
  const signIn = {
    form: 'sign-in-form',
    button: 'sign-in',
    fields: {
      email: { ...email, autocomplete: 'username webauthn' },
      password: { type: 'password', autocomplete: 'current-password' }
    }
  }
  const signUp = {
    form: 'sign-up-form',
    button: 'sign-up',
    fields: {
      email,
      name: { type: 'text', autocomplete: 'name' },
      password: { type: 'password', autocomplete: 'new-password' }
    }
  }
  checkForm(t, page, signIn)
  checkForm(t, await visitor.submit(page, 'sign-in-form', { email: 'x', password: '' }), signIn)
  checkForm(t, await visitor.submit(page, 'sign-in-form', { email: 'a@example.org', password }), signIn)
  const form = await visitor.visit(page.url.replace('sign-in', 'sign-up'))
  checkForm(t, form, signUp)
  const faulty = await visitor.submit(form, 'sign-up-form', { email: '', name: '', password: 'x' })
  checkForm(t, faulty, signUp)
  for (const field of ['email', 'name', 'password']) {
    t.match(
      faulty.text,
      new RegExp(`<input id="${field}"[^>]*aria-describedby="${field}-fault"[^>]*aria-invalid="true"`, 's')
    )
    t.match(faulty.text, new RegExp(`id="${field}-fault" role="alert"`))
  }
  const waiting = await signUpAndWait(service, {}, { application })
  const verify = {
    form: 'verify-form',
    button: 'verify',
    fields: { code: { type: 'text', autocomplete: 'one-time-code' } }
  }
  checkForm(t, waiting.page, verify)
  checkForm(t, await waiting.visitor.submit(waiting.page, 'verify-form', { code: '' }), verify)
})
