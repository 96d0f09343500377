// INP-6: no parser of ours can be made slow by what it is given. 100 KB of each kind of trouble, under 50 ms.
import t from 'tap'
import { parseEmail, parseName } from '../../src/accounts/model.ts'
import { parseClientMetadata } from '../../src/clients/metadata-model.ts'
import { pageUriProblem, redirectUriProblem, resourceIndicatorProblem } from '../../src/clients/uri-model.ts'
import { loadConfig } from '../../src/config/load.ts'
import { readCommonPasswords } from '../../src/credentials/common-passwords.ts'
import { readForeignHash } from '../../src/credentials/foreign-hashes.ts'
import { foldPassword } from '../../src/credentials/guessing-model.ts'
import { checkNewPassword, passwordBytes } from '../../src/credentials/model.ts'
import { judgeGuessing, ownWordsOf } from '../../src/credentials/password-policy-service.ts'
import { parsePhc } from '../../src/credentials/phc.ts'
import { prefersHtml } from '../../src/http/error-handler.ts'
import { describeError } from '../../src/http/errors.ts'
import { pageContentSecurityPolicy, sourceOf } from '../../src/http/security-headers.ts'
import { webUrl } from '../../src/http/view.ts'
import { isId } from '../../src/lib/ids.ts'
import { networkOf } from '../../src/lib/networks.ts'
import { parseSender } from '../../src/mail/model.ts'
import { testConfig } from '../helpers/pages.ts'

const size = 100_000
const fill = (pattern: string) => pattern.repeat(Math.ceil(size / pattern.length))

const strings: Record<string, string> = {
  letters: fill('a'),
  'letters, then what spoils them': `${fill('a')}!`,
  ats: fill('@'),
  'an address of dots': `a@${fill('a.')}`,
  'a local part of dots': `${fill('a.')}@example.org`,
  hyphens: `a@${fill('-')}.org`,
  spaces: fill(' '),
  'spaces between': `a${fill(' ')}b`,
  tabs: `${fill('\t ')}x`,
  quotes: fill('"\\'),
  'angle brackets': fill('<'),
  slashes: `https://${fill('/')}`,
  'slashes between': fill('a/'),
  colons: fill(':'),
  'colons and ones': fill('1:'),
  percent: `https://a/${fill('%2e')}`,
  'one long host': `https://${fill('a')}.example/`,
  'many labels': `https://${fill('a.')}example/`,
  'combining marks': `a${fill('\u0301')}`,
  'compatibility letters': fill('\ufdfa'),
  'joined emoji': fill('👩‍👩‍👧‍👦'),
  'halves of pairs': fill('\ud83d'),
  NUL: fill('\0'),
  commas: fill(','),
  'ranges of media types': fill('text/html;q=0.1,'),
  semicolons: fill(';q=1'),
  dollars: fill('$argon2id$v=19$'),
  digits: fill('9'),
  'dashes and digits': fill('0-'),
  'line ends': fill('\r\n'),
  'invisible ones': fill('\u200d\u00ad'),
  punycode: `a@xn--${fill('9')}.org`,
  braces: fill('{"a":'),
  newlines: fill('\n\n ')
}

const common = await readCommonPasswords()
const config = testConfig()
const tolerant = (parse: (text: string) => unknown) => (text: string) => {
  try {
    parse(text)
  } catch {
    // refused is as good as read, if it is quick
  }
}
const uriRules = { applicationType: 'native', development: true } as const
const parsers: Record<string, (text: string) => unknown> = {
  parseEmail,
  parseName,
  parseSender,
  passwordBytes,
  checkNewPassword: text => checkNewPassword(config, text),
  redirectUriProblem: text => redirectUriProblem(text, uriRules),
  pageUriProblem: text => pageUriProblem(text, uriRules),
  resourceIndicatorProblem,
  parseClientMetadata: text =>
    parseClientMetadata({
      client_name: text,
      scope: text,
      contacts: [text],
      redirect_uris: [text],
      logo_uri: text,
      [text]: text
    }),
  parsePhc,
  readForeignHash,
  foldPassword,
  judgeGuessing: text => judgeGuessing(text, [], common),
  ownWordsOf: text => ownWordsOf([text]),
  prefersHtml,
  networkOf: tolerant(networkOf),
  sourceOf,
  pageContentSecurityPolicy: tolerant(text => pageContentSecurityPolicy({ formAction: [text] })),
  webUrl,
  isId,
  describeError: text => describeError({ code: text }),
  settings: text =>
    loadConfig(
      {
        ISSUER: text,
        TRUSTED_PROXIES: text,
        ENCRYPTION_KEY: text,
        SMTP_URL: text,
        DATABASE_URL: text,
        MAIL_FROM: text,
        BRAND_ACCENT_COLOR: text,
        PORT: text
      },
      { writeSecrets: false }
    )
}

for (const [name, parse] of Object.entries(parsers))
  t.test(`INP-6: ${name}`, async t => {
    for (const [what, text] of Object.entries(strings)) {
      let best = Number.POSITIVE_INFINITY
      for (let round = 0; round < 3 && best >= 50; round++) {
        const startedAt = performance.now()
        parse(text)
        best = Math.min(best, performance.now() - startedAt)
      }
      t.ok(best < 50, `${what}: ${best.toFixed(1)} ms`)
    }
  })
