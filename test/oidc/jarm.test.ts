// Authorization responses as JWTs (JARM), in every mode, for whoever asks.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { createApplication, openid } from '../helpers/application.ts'
import {
  authorizationUrl,
  callbackOf,
  get,
  readJwt,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

/** What a page that posts itself would post. */
const fieldsOf = (page: string): [string, string][] =>
  [...page.matchAll(/<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"/g)].map(([, name = '', value = '']) => [
    name,
    value
  ])

t.test('JARM', async t => {
  const service = await startService(t)
  const portal = await registerPortal(service)
  const visitor = await signedInVisitor(service, portal)
  const keys = createRemoteJWKSet(new URL('/jwks', service.issuer))

  await t.test('§2.3: each mode carries one signed response and nothing else', async t => {
    const { body } = await get(service, '/.well-known/openid-configuration')
    for (const response_mode of ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt']) {
      t.ok((body.response_modes_supported as string[]).includes(response_mode), response_mode)
      const answer = await visitor.visit(authorizationUrl(service, portal, { response_mode }))
      const parameters =
        response_mode === 'form_post.jwt'
          ? new URLSearchParams(fieldsOf(answer.text))
          : response_mode === 'fragment.jwt'
            ? new URLSearchParams(callbackOf(answer).hash.slice(1))
            : callbackOf(answer).searchParams
      t.strictSame([...parameters.keys()], ['response'], response_mode)
      const { payload, protectedHeader } = await jwtVerify(parameters.get('response') ?? '', keys, {
        issuer: service.issuer,
        audience: portal.client_id
      })
      t.equal(protectedHeader.alg, 'ES256')
      t.match(payload, { code: /.+/, state: 'state-1', exp: Number })
      t.ok((payload.exp ?? 0) - Date.now() / 1000 <= 600, '§2.1: not for long')
    }
  })

  await t.test('§2.4: openid-client checks it and goes on to tokens', async t => {
    const application = await createApplication(service, portal)
    openid.useJwtResponseMode(application.config)
    const { url, finish } = await application.begin({ prompt: 'login consent' })
    t.match(new URL(url).searchParams.get('response_mode'), 'jwt')
    const silent = await application.begin({ prompt: 'none', scope: 'openid' })
    const tokens = await silent.finish((await visitor.visit(silent.url)).location)
    t.ok(tokens.access_token)
    const forged = new URL(
      (await visitor.visit((await application.begin({ prompt: 'none', scope: 'openid' })).url)).location ?? ''
    )
    const response = forged.searchParams.get('response') ?? ''
    forged.searchParams.set(
      'response',
      `${response.slice(0, -10)}${response.at(-10) === 'A' ? 'B' : 'A'}${response.slice(-9)}`
    )
    await t.rejects(finish(forged.href), 'one character off')
  })

  await t.test('§2.2: a refusal is signed too', async t => {
    const nobody = { prompt: 'none', max_age: '0', response_mode: 'jwt' }
    const callback = callbackOf(await visitor.visit(authorizationUrl(service, portal, nobody)))
    t.match(readJwt(callback.searchParams.get('response') ?? '').payload, {
      error: 'login_required',
      iss: service.issuer,
      state: 'state-1'
    })
  })

  await t.test(
    'an application answers in the modes that it registered, and is signed for as it registered',
    async t => {
      const strict = await registerPortal(service, {
        response_modes: ['query.jwt'],
        authorization_signed_response_alg: 'EdDSA'
      })
      for (const response_mode of [undefined, 'query', 'form_post', 'fragment.jwt']) {
        const answer = await visitor.visit(authorizationUrl(service, strict, { response_mode }))
        t.notMatch(answer.location ?? '', /[?&]code=/)
        t.notMatch(answer.text, /name="code"/)
      }
      const callback = callbackOf(
        await visitor.visit(authorizationUrl(service, strict, { response_mode: 'query.jwt' }))
      )
      t.equal(readJwt(callback.searchParams.get('response') ?? '').header.alg, 'EdDSA')
    }
  )
})
