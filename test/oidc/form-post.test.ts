// response_mode=form_post: the page may post to the application, and to nobody else.
import t from 'tap'
import { agree, createApplication, newcomer } from '../helpers/application.ts'
import { startService, Visitor } from '../helpers/service.ts'

t.test('an answer by form goes to the application alone', async t => {
  const service = await startService(t)
  const application = await createApplication(service)
  const { visitor } = await newcomer(service, application)
  const { url } = await application.begin({ response_mode: 'form_post' })
  const answer = await agree(visitor, await visitor.visit(url))
  t.equal(answer.status, 200)
  t.match(answer.text, `action="${application.redirectUri}"`)
  t.match(answer.text, `name="iss" value="${service.issuer}"`)
  const policy = answer.headers.get('content-security-policy') ?? ''
  t.match(policy, `form-action 'self' ${new URL(application.redirectUri).origin}`)
  t.match(policy, /script-src 'self' 'sha256-/)

  const refused = await new Visitor().visit(
    (await application.begin({ response_mode: 'form_post', prompt: 'none' })).url
  )
  t.match(refused.text, 'name="error" value="login_required"')
  t.match(refused.text, `name="iss" value="${service.issuer}"`)
  const evil = await visitor.visit(
    (await application.begin({ response_mode: 'form_post', redirect_uri: 'https://evil.example/' })).url
  )
  t.notMatch(evil.headers.get('content-security-policy') ?? '', 'evil.example')
})
