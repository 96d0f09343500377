// Rich authorization requests (RFC 9396): what is asked for in detail, what people are shown of it, and what tokens carry.
import t from 'tap'
import { describeDetail, displayProblem } from '../../src/oidc/details-model.ts'
import { compileDetailTypes } from '../../src/oidc/rich-authorization.ts'
import { agree } from '../helpers/application.ts'
import {
  authorizationUrl,
  callbackOf,
  createVerifier,
  type Fields,
  get,
  introspect,
  obtainCode,
  post,
  readJwt,
  redeem,
  redirectUriOf,
  refresh,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { writeFiles } from '../helpers/tls.ts'
import { pageText } from '../helpers/visitor.ts'

const types = {
  payment_initiation: {
    title: 'Pay from your account',
    schema: {
      type: 'object',
      properties: {
        type: { const: 'payment_initiation' },
        instructedAmount: {
          type: 'object',
          title: 'Amount',
          properties: {
            currency: { enum: ['EUR', 'USD'] },
            amount: { type: 'string', pattern: '^\\d+\\.\\d{2}$' }
          },
          required: ['currency', 'amount'],
          additionalProperties: false
        },
        creditorName: { type: 'string', title: 'To' },
        remittance_information: { type: 'string' }
      },
      required: ['type', 'instructedAmount', 'creditorName'],
      additionalProperties: false
    }
  },
  account_information: {
    title: 'Read your accounts',
    schema: {
      type: 'object',
      properties: {
        actions: { type: 'array', items: { enum: ['list_accounts', 'read_balances'] } },
        locations: { type: 'array', items: { type: 'string' } }
      },
      required: ['actions']
    }
  }
}
const payment = {
  type: 'payment_initiation',
  instructedAmount: { currency: 'EUR', amount: '123.50' },
  creditorName: 'Kiosk <b>at</b> the harbour'
}
const accounts = { type: 'account_information', actions: ['list_accounts', 'read_balances'] }
const details = (...list: unknown[]) => JSON.stringify(list)

t.test('§4: whatever a detail says has a line of its own, also what is empty', async t => {
  const fieldsOf = (members: object) =>
    describeDetail({ type: 'x', ...members }, { title: 'X', schema: {} }).fields
  t.strictSame(fieldsOf({ unlimited: {}, deep: { inner: {} } }), [
    { label: 'Unlimited', value: '(nothing more said)' },
    { label: 'Deep: Inner', value: '(nothing more said)' }
  ])
  t.strictSame(fieldsOf({ transfers: [{}, {}], nested: [[]], all: [] }), [
    { label: 'Transfers 1', value: '(nothing more said)' },
    { label: 'Transfers 2', value: '(nothing more said)' },
    { label: 'Nested 1', value: '(empty list)' },
    { label: 'All', value: '(empty list)' }
  ])
})

t.test('§4: what cannot be seen is not shown to anybody, in a name or in a value', async t => {
  for (const hidden of ['\u2800', '\u3164', '\u115f', '\u034f', '\ue000', '\ufe0f', '\u{e0041}', '\u200b'])
    for (const members of [
      { to: `a${hidden}` },
      { [`to${hidden}`]: 'a' },
      { list: [{ to: hidden }] },
      { list: [hidden] }
    ])
      t.ok(displayProblem({ type: 'x', ...members }), `U+${hidden.codePointAt(0)?.toString(16)}`)
  t.equal(displayProblem({ type: 'x', to: 'Kühn & Söhne, 東京, naïve \u00a0 ½' }), null)
})

t.test('rich authorization requests', async t => {
  const { file } = writeFiles(t, { file: JSON.stringify(types) })
  const service = await startService(t, { environment: { AUTHORIZATION_DETAILS_TYPES_FILE: file } })
  const shop = await registerPortal(service, {
    client_name: 'Shop',
    first_party: false,
    resources: ['urn:demo:api'],
    authorization_details_types: Object.keys(types)
  })
  const own = await registerPortal(service, {
    client_name: 'Own',
    resources: ['urn:demo:api'],
    authorization_details_types: ['account_information']
  })
  const plain = await registerPortal(service, { client_name: 'Plain' })
  const visitor = await signedInVisitor(service, shop)
  const ask = async (params: Fields, client = shop) =>
    await visitor.visit(authorizationUrl(service, client, params))
  const forApi: Fields = { resource: 'urn:demo:api', scope: 'openid api:read' }
  const tokensFor = async (list: string, over: Fields = {}) => {
    const code = await obtainCode(service, {
      client: shop,
      visitor,
      params: { ...forApi, authorization_details: list }
    })
    return await redeem(service, shop, code, { resource: 'urn:demo:api', ...over })
  }

  await t.test('§10: the metadata lists the types', async t => {
    const { body } = await get(service, '/.well-known/oauth-authorization-server')
    t.strictSame(body.authorization_details_types_supported, Object.keys(types))
  })

  await t.test('§2, §5: a detail that is not as its type says is refused, pushed or not', async t => {
    const wrong: Record<string, string> = {
      'not JSON': '{',
      'not a list': JSON.stringify(payment),
      'not an object': '["payment_initiation"]',
      'without type': details({ actions: [] }),
      'of an unknown type': details({ type: 'other' }),
      'of a type that every object has': details({ type: 'constructor' }),
      'a member missing': details({ ...payment, creditorName: undefined }),
      'a member too many': details({ ...payment, silently: true }),
      'a wrong amount': details({ ...payment, instructedAmount: { currency: 'EUR', amount: '1e9' } }),
      'an action that is none': details({ ...accounts, actions: ['close_accounts'] }),
      'text that reads backwards': details({ ...payment, creditorName: 'Kiosk\u202e' }),
      'text in several lines': details({ ...payment, creditorName: 'Kiosk\nAmount: 1' }),
      'more than anybody reads': details({ ...payment, remittance_information: 'x'.repeat(6000) })
    }
    for (const [what, authorization_details] of Object.entries(wrong)) {
      const params = new URL(authorizationUrl(service, shop, { ...forApi, authorization_details }))
        .searchParams
      const { status, body } = await post(service, '/par', params, { client: shop })
      t.match({ status, body }, { status: 400, body: { error: 'invalid_authorization_details' } }, what)
    }
    const answer = await ask({ ...forApi, authorization_details: details({ ...payment, silently: true }) })
    t.equal(callbackOf(answer).searchParams.get('error'), 'invalid_authorization_details')
    const foreign = await ask({ authorization_details: details(accounts) }, plain)
    t.equal(
      callbackOf(foreign).searchParams.get('error'),
      'invalid_authorization_details',
      'not registered for it'
    )
    const unregistered = await ask({ authorization_details: details(payment) }, own)
    t.equal(callbackOf(unregistered).searchParams.get('error'), 'invalid_authorization_details')
  })

  await t.test('§4: the person is shown all of it in words, as text, and may say no', async t => {
    const page = await ask({ ...forApi, authorization_details: details(payment, accounts) })
    const text = pageText(page.text).replaceAll('&lt;', '<').replaceAll('&gt;', '>')
    for (const words of [
      'Pay from your account',
      'Amount: Currency EUR',
      'Amount: Amount 123.50',
      'To Kiosk <b>at</b> the harbour',
      'Read your accounts',
      'Actions list_accounts, read_balances'
    ])
      t.ok(text.includes(words), words)
    t.notMatch(page.text, '<b>at</b>')
    const denied = await visitor.submit(page, 'consent-form', { decision: 'deny' })
    t.equal(callbackOf(denied).searchParams.get('error'), 'access_denied')
  })

  await t.test('§7, §9: tokens and introspection carry what was agreed to', async t => {
    const { status, body } = await tokensFor(details(payment))
    t.equal(status, 200)
    t.strictSame(body.authorization_details, [payment])
    t.strictSame(readJwt(body.access_token).payload.authorization_details, [payment])
    t.strictSame((await introspect(service, shop, body.access_token)).body.authorization_details, [payment])
    const renewed = await refresh(service, shop, body.refresh_token, { resource: 'urn:demo:api' })
    t.strictSame(renewed.body.authorization_details, [payment])
  })

  await t.test('the same again is asked again, also of those who agreed to it before', async t => {
    for (const params of [
      { authorization_details: details(payment) },
      { authorization_details: details(accounts) }
    ]) {
      t.match((await ask({ ...forApi, ...params })).text, 'id="consent-form"')
      t.match(
        (await ask({ ...forApi, ...params, prompt: 'none' })).location,
        /error=(consent|interaction)_required/
      )
    }
    const before = await ask({ ...forApi })
    t.ok(callbackOf(before).searchParams.has('code'), 'the rest was agreed to for good')
    const inDetail = { ...forApi, authorization_details: details(accounts) }
    const first = await ask(inDetail, own)
    t.match(first.text, 'id="consent-form"', 'the operator’s own applications ask, too')
    const agreed = callbackOf(await agree(visitor, first))
    t.ok(agreed.searchParams.has('code'))
    t.match((await ask(inDetail, own)).text, 'id="consent-form"')
  })

  await t.test('a later sign-in without details gives tokens without', async t => {
    const code = await obtainCode(service, { client: shop, visitor, params: forApi })
    const { body } = await redeem(service, shop, code, { resource: 'urn:demo:api' })
    t.equal(body.authorization_details, undefined)
    t.equal(readJwt(body.access_token).payload.authorization_details, undefined)
  })

  await t.test('§6: at the token endpoint it may be less, and never more', async t => {
    const less = { ...accounts, actions: ['list_accounts'] }
    const narrowed = await tokensFor(details(payment, accounts), { authorization_details: details(less) })
    t.strictSame(narrowed.body.authorization_details, [less])
    t.strictSame(readJwt(narrowed.body.access_token).payload.authorization_details, [less])
    const again = async (list: string) =>
      await refresh(service, shop, narrowed.body.refresh_token, {
        resource: 'urn:demo:api',
        authorization_details: list
      })
    const more = { ...payment, instructedAmount: { currency: 'EUR', amount: '123.51' } }
    for (const wider of [
      more,
      { ...accounts, locations: ['https://elsewhere.example'] },
      { ...accounts, actions: [] }
    ]) {
      const { status, body } = await tokensFor(details(payment, accounts), {
        authorization_details: details(wider)
      })
      t.match({ status, body }, { status: 400, body: { error: 'invalid_authorization_details' } })
    }
    const wider = await again(details(more))
    t.match(wider, { status: 400, body: { error: 'invalid_authorization_details', access_token: undefined } })
    const none = await obtainCode(service, { client: shop, visitor, params: forApi })
    t.match(
      await redeem(service, shop, none, {
        resource: 'urn:demo:api',
        authorization_details: details(accounts)
      }),
      { status: 400, body: { error: 'invalid_authorization_details' } },
      'what nobody was asked'
    )
  })

  await t.test('§7: details for one place are not told at another', async t => {
    const here = { ...accounts, locations: ['urn:demo:api'] }
    const there = { ...accounts, locations: ['https://other.example'] }
    const { body } = await tokensFor(details(here, there))
    t.strictSame(body.authorization_details, [here])
  })

  await t.test('a client by itself has the types that it is registered for', async t => {
    const robot = await service.register({
      client_name: 'Robot',
      grant_types: ['client_credentials'],
      resources: ['urn:demo:api'],
      authorization_details_types: ['account_information']
    })
    const attempt = async (list: string) =>
      await post(
        service,
        '/token',
        { grant_type: 'client_credentials', resource: 'urn:demo:api', authorization_details: list },
        { client: robot }
      )
    t.strictSame((await attempt(details(accounts))).body.authorization_details, [accounts])
    t.match(await attempt(details(payment)), {
      status: 400,
      body: { error: 'invalid_authorization_details' }
    })
  })

  await t.test('details that were not on the page cannot be put under it', async t => {
    const { challenge, verifier } = createVerifier()
    const page = await ask({ ...forApi, code_challenge: challenge, authorization_details: details(payment) })
    const answer = await visitor.post(page, 'consent-form', {
      decision: 'allow',
      authorization_details: details(accounts)
    })
    t.not(answer.status, 200)
    const back = answer.status === 303 ? await visitor.follow(answer) : null
    if (back !== null) {
      const code = callbackOf(back).searchParams.get('code') ?? ''
      const tokens = await redeem(
        service,
        shop,
        { code, verifier, redirectUri: redirectUriOf(shop) },
        { resource: 'urn:demo:api' }
      )
      t.strictSame(tokens.body.authorization_details, [payment])
    }
  })
})

t.test('without a file of types there are none', async t => {
  const service = await startService(t)
  const portal = await registerPortal(service)
  const visitor = await signedInVisitor(service, portal)
  const answer = await visitor.visit(
    authorizationUrl(service, portal, { authorization_details: details(payment) })
  )
  t.ok(callbackOf(answer).searchParams.has('code'), 'RFC 6749 §3.1: an unknown parameter is ignored')
  const { body } = await get(service, '/.well-known/openid-configuration')
  t.notOk('authorization_details_types_supported' in body)
})

t.test('a schema that is none stops the start, with the type’s name', async t => {
  const broken = {
    title: 'x',
    schema: { type: 'object', properties: { a: { type: 'string', pattern: '[' } } }
  }
  await t.rejects(compileDetailTypes({ broken }), /schema of broken/)
})
