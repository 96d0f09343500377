// The parts that the pages of a second factor are made of, in a real browser: the QR code, the recovery codes' list.
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { keyUri } from '../../src/credentials/totp-model.ts'
import { loadAssets } from '../../src/http/assets.ts'
import { drawQrCode } from '../../src/lib/qr-code.ts'
import { openBrowser } from '../helpers/browser.ts'
import { createPagesApp, testConfig } from '../helpers/pages.ts'
import {
  findSeriousViolations,
  openPerson,
  schemes,
  sidewaysOverflow,
  takePictures
} from '../helpers/person.ts'

const config = testConfig()
const browser = await openBrowser(t)
const codes = Array.from({ length: 10 }, (_, index) => `7K3M-9QXT-2BCD-W5H${index}`)
const secret = 'GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ'
const uri = keyUri({ issuer: 'Gatehouse', email: 'ada@example.org', secret: secret.replaceAll(' ', '') })

const parts: Record<string, object> = {
  'recovery-codes': { recoveryCodes: { codes, email: 'ada@example.org' } },
  'totp-enrolment': {
    totp: {
      secret,
      uri,
      qrCode: drawQrCode(uri),
      enrolment: 'AQ',
      name: 'Authenticator app',
      faultTexts: { code: 'This code is not right.' }
    }
  }
}

/** Serves each part in a page of its own, under the policy of every page. */
async function serveParts(t: Test): Promise<string> {
  const assets = loadAssets(config)
  const path = (name: string) => assets.get(name)?.path
  const addRoutes = (app: FastifyInstance) => {
    app.get<{ Params: { name: string } }>('/parts/:name', async ({ params }, reply) => {
      const part = await app.view(`/partials/${params.name}`, parts[params.name] ?? {})
      return reply.type('text/html; charset=utf-8').send(`<!doctype html><html lang="en"><head>
        <meta name="viewport" content="width=device-width, initial-scale=1"><title>Part</title>
        <link rel="stylesheet" href="${path('brand.css')}"><link rel="stylesheet" href="${path('gatehouse.css')}">
        <script src="${path('gatehouse.js')}" defer></script></head>
        <body><div class="page"><main class="card"><h1>Part</h1>${part}</main></div></body></html>`)
    })
  }
  const app = await createPagesApp(t, config, addRoutes)
  return await app.listen({ host: '127.0.0.1', port: 0 })
}

t.test('the parts are readable by everybody, in both themes and on the smallest phone', async t => {
  const address = await serveParts(t)
  const { tab, faults } = await openPerson(t, browser, { screen: 'phone' })
  for (const name of Object.keys(parts)) {
    await tab.goto(`${address}/parts/${name}`)
    for (const scheme of schemes) {
      await tab.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      t.strictSame(await findSeriousViolations(tab), [], `${name}, ${scheme}`)
    }
    if (process.env.PICTURES !== undefined) await takePictures(tab, `part-${name}--phone`)
    await tab.setViewportSize({ width: 320, height: 640 })
    t.equal(await sidewaysOverflow(tab), 0, name)
    await tab.evaluate("document.documentElement.style.fontSize = '200%'")
    t.equal(await sidewaysOverflow(tab), 0, `${name} at twice the size`)
  }
  t.strictSame(faults, [], 'nothing breaks the policy')
})

t.test('recovery codes are saved as a file that no server makes', async t => {
  const address = await serveParts(t)
  const { tab, context, faults } = await openPerson(t, browser)
  await tab.goto(`${address}/parts/recovery-codes`)
  const requests: string[] = []
  context.on('request', request => requests.push(request.url()))
  const saved = tab.waitForEvent('download')
  await tab.click('#save-codes')
  const download = await saved
  t.equal(download.suggestedFilename(), 'recovery-codes.txt')
  t.equal(
    readFileSync(await download.path(), 'utf8'),
    ['Recovery codes of ada@example.org for Gatehouse', '', ...codes, ''].join('\n')
  )
  t.strictSame(
    requests.filter(url => !url.startsWith('blob:')),
    []
  )
  t.strictSame(faults, [])
})

t.test('recovery codes are printed with whose they are, and without buttons', async t => {
  const address = await serveParts(t)
  const { tab } = await openPerson(t, browser)
  await tab.goto(`${address}/parts/recovery-codes`)
  await tab.evaluate('window.print = () => { document.title = "printed" }')
  await tab.click('#print-codes')
  t.equal(await tab.title(), 'printed')
  await tab.emulateMedia({ media: 'print' })
  t.notOk(await tab.isVisible('#print-codes'))
  t.ok(await tab.isVisible('#recovery-codes'))
  const title = "getComputedStyle(document.getElementById('recovery-codes'), '::before').content"
  t.equal(await tab.evaluate(title), '"Recovery codes of ada@example.org for Gatehouse"')
  if (process.env.PICTURES !== undefined) await takePictures(tab, 'part-recovery-codes--paper')
})

t.test('without script the codes are there, and nothing is offered that needs one', async t => {
  const address = await serveParts(t)
  const { tab } = await openPerson(t, browser, { script: false })
  await tab.goto(`${address}/parts/recovery-codes`)
  t.equal(await tab.locator('#recovery-codes li').count(), 10)
  t.notOk(await tab.isVisible('#print-codes'))
  t.notOk(await tab.isVisible('#save-codes'))
})
