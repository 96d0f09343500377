// What a registration is typed as: a file of client metadata, and options that say the same for what is common.
import { readFileSync } from 'node:fs'
import {
  type Command,
  CommandFailure,
  listOf,
  numberOf,
  type OptionValues,
  textOf,
  usageFailure
} from './command.ts'

const text = { type: 'string' } as const
const list = { type: 'string', multiple: true } as const
const flag = { type: 'boolean' } as const

export const registrationOptions: Command['options'] = {
  name: text,
  type: text,
  'redirect-uri': list,
  'post-logout-redirect-uri': list,
  'grant-type': list,
  'auth-method': text,
  public: flag,
  scope: text,
  resource: list,
  'first-party': flag,
  introspection: flag,
  'signing-alg': text,
  'required-acr': text,
  'id-token-alg': text,
  'without-pkce': flag,
  pairwise: flag,
  'access-token-format': text,
  'access-token-lifetime': text,
  'id-token-lifetime': text,
  'refresh-token-idle': text,
  'refresh-token-absolute': text,
  'refresh-token-grace': text,
  'refresh-token-rotation': text,
  'secret-expires-at': text,
  'backchannel-logout-uri': text,
  'client-uri': text,
  'logo-uri': text,
  'policy-uri': text,
  'tos-uri': text,
  metadata: text
}

export const registrationHelp: Command['optionHelp'] = [
  ['--name NAME', 'What people know it by (needed)'],
  ['--redirect-uri URI', 'Where people are sent back to; may be repeated'],
  ['--post-logout-redirect-uri URI', 'Where they land after signing out; may be repeated'],
  ['--type web|native', 'A website, or an app on a device; default web'],
  ['--public', 'It cannot keep a secret (a page or an app): the same as --auth-method none'],
  ['--auth-method METHOD', 'How it proves itself; default client_secret_basic'],
  ['--grant-type GRANT', 'authorization_code (default), refresh_token, client_credentials; may be repeated'],
  ['--scope "A B"', 'The scopes that it may ask for; default all'],
  ['--resource URI', 'A resource that it may ask tokens for; may be repeated'],
  ['--first-party', 'Your own application: people are not asked for consent'],
  ['--introspection', "It guards a resource and may introspect other clients' tokens"],
  ['--signing-alg ALG', 'How its JWT access tokens are signed: ES256, RS256 or EdDSA'],
  ['--required-acr ACR', 'How surely people must prove who they are: urn:gatehouse:acr:mfa or :phr'],
  ['--id-token-alg ALG', 'How its ID tokens are signed: ES256 (default), RS256 or EdDSA'],
  ['--without-pkce', 'It cannot do PKCE; only for one that keeps a secret'],
  ['--pairwise', 'It knows people by subjects of its own, which no other application is told'],
  ['--access-token-format FORMAT', "jwt or opaque; default the resource's"],
  ['--access-token-lifetime SECONDS', 'At most as long as the resource says, where that says anything'],
  ['--id-token-lifetime SECONDS', "Default the installation's"],
  ['--refresh-token-idle SECONDS', "How long one lasts unused; default the installation's"],
  ['--refresh-token-absolute SECONDS', "How long a chain of them lasts; default the installation's"],
  ['--refresh-token-grace SECONDS', "How long a used one's retry is answered; default the installation's"],
  ['--refresh-token-rotation on|off', 'Whether each use gives a new one; default on'],
  ['--secret-expires-at MOMENT', 'When its secret ends, as 2027-01-31 or 2027-01-31T12:00:00Z'],
  ['--backchannel-logout-uri URL', 'Where it is told that somebody has signed out'],
  ['--client-uri, --logo-uri, --policy-uri, --tos-uri URL', 'Shown on the consent page'],
  ['--metadata FILE', 'JSON of RFC 7591 client metadata; options given beside it win']
]

/** The members of client metadata that were typed. */
export const readRegistration = (values: OptionValues): Record<string, unknown> => ({
  ...readFile(textOf(values, 'metadata')),
  ...readOptions(values)
})

function readFile(path: string | undefined): object {
  if (path === undefined) return {}
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch (error) {
    throw new CommandFailure([`${path} cannot be read as JSON: ${(error as Error).message}`])
  }
  throw new CommandFailure([`${path} must hold one JSON object of client metadata`])
}

function readOptions(values: OptionValues): Record<string, unknown> {
  if (values.public === true && values['auth-method'] !== undefined)
    throw usageFailure('--public and --auth-method say two things: leave one out')
  const members = {
    client_name: textOf(values, 'name'),
    application_type: textOf(values, 'type'),
    redirect_uris: listOf(values, 'redirect-uri'),
    post_logout_redirect_uris: listOf(values, 'post-logout-redirect-uri'),
    grant_types: listOf(values, 'grant-type'),
    token_endpoint_auth_method: values.public === true ? 'none' : textOf(values, 'auth-method'),
    scope: textOf(values, 'scope'),
    resources: listOf(values, 'resource'),
    first_party: values['first-party'],
    introspection: values.introspection,
    required_acr: textOf(values, 'required-acr'),
    id_token_signed_response_alg: textOf(values, 'id-token-alg'),
    require_pkce: values['without-pkce'] === true ? false : undefined,
    subject_type: values.pairwise === true ? 'pairwise' : undefined,
    backchannel_logout_uri: textOf(values, 'backchannel-logout-uri'),
    client_uri: textOf(values, 'client-uri'),
    logo_uri: textOf(values, 'logo-uri'),
    policy_uri: textOf(values, 'policy-uri'),
    tos_uri: textOf(values, 'tos-uri'),
    ...readTokenOptions(values)
  }
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

const readTokenOptions = (values: OptionValues) => ({
  access_token_signing_alg: textOf(values, 'signing-alg'),
  access_token_format: textOf(values, 'access-token-format'),
  access_token_lifetime_seconds: numberOf(values, 'access-token-lifetime'),
  id_token_lifetime_seconds: numberOf(values, 'id-token-lifetime'),
  refresh_token_idle_seconds: numberOf(values, 'refresh-token-idle'),
  refresh_token_absolute_seconds: numberOf(values, 'refresh-token-absolute'),
  refresh_token_grace_seconds: numberOf(values, 'refresh-token-grace'),
  refresh_token_rotation: switchOf(values, 'refresh-token-rotation'),
  client_secret_expires_at: readExpiry(values)
})

function switchOf(values: OptionValues, name: string): boolean | undefined {
  const value = textOf(values, name)
  if (value !== undefined && value !== 'on' && value !== 'off') throw usageFailure(`--${name} is on or off`)
  return value === undefined ? undefined : value === 'on'
}

/** When a secret ends, in seconds since 1970; undefined: nobody said. */
export function readExpiry(values: OptionValues): number | undefined {
  const typed = textOf(values, 'secret-expires-at')
  if (typed === undefined) return undefined
  // An ISO date: other forms are read in the time zone of whoever types.
  const milliseconds = /^\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?$/.test(typed) ? Date.parse(typed) : Number.NaN
  if (Number.isNaN(milliseconds))
    throw usageFailure(`--secret-expires-at needs a moment like 2027-01-31, not ${JSON.stringify(typed)}`)
  return Math.floor(milliseconds / 1000)
}
