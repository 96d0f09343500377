// Settings from the environment, NAME_FILE files and .env-less defaults. All faults are listed at once.
import { randomBytes, X509Certificate } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Value } from 'typebox/value'
import { isId } from '../lib/ids.ts'
import { isLoopback } from '../lib/urls.ts'
import { type AddFault, certificatesOf, checkUrl, listOf, parseNetworks } from './checks.ts'
import { isForTests, parseProtocol } from './protocol.ts'
import { type Config, Settings } from './schema.ts'

export type Fault = { setting: string; message: string }
export type Environment = Record<string, string | undefined>
export type LoadOutcome = { ok: true; config: Config } | { ok: false; faults: Fault[] }

/**
 * Reads and checks every setting without opening a port or a connection.
 *
 * `faults` holds everything that is wrong, each with the setting's name and what to put. In development a
 * missing ENCRYPTION_KEY is made and kept in DATA_DIR, unless `writeSecrets` is false.
 */
export function loadConfig(
  environment: Environment = process.env,
  { writeSecrets = true } = {}
): LoadOutcome {
  const faults: Fault[] = []
  const fault = (setting: string, message: string) => void faults.push({ setting, message })
  const settings = readSettings(environment, fault)

  const scheme = settings.TLS_CERT_FILE === '' ? 'http' : 'https'
  const issuer = parseIssuer(settings.ISSUER || `${scheme}://localhost:${settings.PORT}`, fault)
  const conformance = settings.PROFILE === 'conformance'
  const development = issuer !== null && (conformance ? isForTests(issuer) : isLoopback(issuer))
  if (issuer !== null && !development) checkProduction(settings, issuer, fault)
  checkUrl('DATABASE_URL', settings.DATABASE_URL, ['postgres:', 'postgresql:'], fault)
  checkUrl('SMTP_URL', settings.SMTP_URL, ['smtp:', 'smtps:'], fault)
  checkUrl('PWNED_PASSWORDS_URL', settings.PWNED_PASSWORDS_URL, ['https:', 'http:'], fault)
  if (issuer !== null) checkWebauthn(settings, issuer, fault)
  const trustedProxies = parseNetworks('TRUSTED_PROXIES', settings.TRUSTED_PROXIES, fault)
  const encryptionKey = parseEncryptionKey(settings.ENCRYPTION_KEY, fault)
  if (settings.BRAND_LOGO !== '') checkLogo(settings.BRAND_LOGO, fault)
  if (settings.SESSION_IDLE_SECONDS > settings.SESSION_ABSOLUTE_SECONDS)
    fault('SESSION_IDLE_SECONDS', 'must not be longer than SESSION_ABSOLUTE_SECONDS')
  if (settings.REFRESH_TOKEN_IDLE_SECONDS > settings.REFRESH_TOKEN_ABSOLUTE_SECONDS)
    fault('REFRESH_TOKEN_IDLE_SECONDS', 'must not be longer than REFRESH_TOKEN_ABSOLUTE_SECONDS')
  const protocol = parseProtocol(settings, issuer, fault)
  if (faults.length > 0 || issuer === null) return { ok: false, faults }

  const dataDir = resolve(settings.DATA_DIR)
  return {
    ok: true,
    config: {
      ...protocol,
      issuer: issuer.href.replace(/\/$/, ''),
      development,
      developmentMailbox: development && settings.SMTP_URL === '',
      host: settings.HOST || (isLoopback(issuer) ? 'localhost' : '::'),
      port: settings.PORT,
      dataDir,
      databaseUrl: settings.DATABASE_URL || null,
      databasePoolSize: settings.DATABASE_POOL_SIZE,
      encryptionKey: encryptionKey ?? (writeSecrets ? developmentKey(dataDir) : randomBytes(32)),
      smtpUrl: settings.SMTP_URL || null,
      mailFrom: settings.MAIL_FROM || `${settings.BRAND_NAME} <no-reply@${issuer.hostname}>`,
      trustedProxies,
      logLevel: settings.LOG_LEVEL,
      brand: {
        name: settings.BRAND_NAME,
        logoPath: settings.BRAND_LOGO === '' ? null : resolve(settings.BRAND_LOGO),
        accentColor: settings.BRAND_ACCENT_COLOR
      },
      passwordMinLength: settings.PASSWORD_MIN_LENGTH,
      pwnedPasswordsUrl:
        settings.PWNED_PASSWORDS_URL === '' ? null : settings.PWNED_PASSWORDS_URL.replace(/\/*$/, '/'),
      passwordResetLifetimeSeconds: settings.PASSWORD_RESET_LIFETIME_SECONDS,
      mailSignIn: settings.MAIL_SIGN_IN === 'on',
      secondFactor: {
        required: settings.SECOND_FACTOR === 'required',
        requiredRoles: listOf(settings.SECOND_FACTOR_ROLES)
      },
      trustedDeviceDays: settings.TRUSTED_DEVICE_DAYS,
      recentSignInSeconds: settings.RECENT_SIGN_IN_SECONDS,
      webauthn: parseWebauthn(settings, issuer),
      argon2: {
        memoryKib: settings.ARGON2_MEMORY_KIB,
        iterations: settings.ARGON2_ITERATIONS,
        parallelism: 1
      },
      accessTokenSigningAlg: settings.ACCESS_TOKEN_SIGNING_ALG,
      accessTokenLifetimeSeconds: settings.ACCESS_TOKEN_LIFETIME_SECONDS,
      idTokenLifetimeSeconds: settings.ID_TOKEN_LIFETIME_SECONDS,
      refreshTokenIdleSeconds: settings.REFRESH_TOKEN_IDLE_SECONDS,
      refreshTokenAbsoluteSeconds: settings.REFRESH_TOKEN_ABSOLUTE_SECONDS,
      refreshTokenGraceSeconds: settings.REFRESH_TOKEN_GRACE_SECONDS,
      sessionIdleSeconds: settings.SESSION_IDLE_SECONDS,
      sessionAbsoluteSeconds: settings.SESSION_ABSOLUTE_SECONDS,
      interactionLifetimeSeconds: settings.INTERACTION_LIFETIME_SECONDS,
      emailTokenLifetimeSeconds: settings.EMAIL_TOKEN_LIFETIME_SECONDS,
      mailsPerRecipientPerHour: settings.MAILS_PER_RECIPIENT_PER_HOUR,
      signUpsPerNetworkPerHour: settings.SIGN_UPS_PER_NETWORK_PER_HOUR,
      failuresPerNetworkPerHour: settings.FAILURES_PER_NETWORK_PER_HOUR,
      auditRetentionMonths: settings.AUDIT_RETENTION_MONTHS,
      // A test suite is one address that signs in all day.
      requestsPerAddressPerMinute: conformance ? 1_000_000 : settings.REQUESTS_PER_ADDRESS_PER_MINUTE
    }
  }
}

/** One line a setting: what is wrong and what to put. */
function readSettings(environment: Environment, fault: AddFault): Settings {
  const settings = Value.Create(Settings) as Record<string, unknown>
  for (const [name, schema] of Object.entries(Settings.properties)) {
    const text = readSetting(environment, name, fault)
    if (text === undefined || text === '') continue
    const value = 'type' in schema && schema.type === 'integer' && /^-?\d+$/.test(text) ? Number(text) : text
    if (Value.Check(schema, value)) settings[name] = value
    else fault(name, `${describe(schema)}, not ${'secret' in schema ? 'this value' : JSON.stringify(text)}`)
  }
  return settings as Settings
}

function readSetting(environment: Environment, name: string, fault: AddFault): string | undefined {
  const path = environment[`${name}_FILE`]
  if (path === undefined || path === '') return environment[name]
  if (environment[name]) fault(name, `is set twice, also by ${name}_FILE: remove one`)
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    fault(`${name}_FILE`, `names a file that cannot be read: ${path}`)
    return undefined
  }
}

function describe(schema: {
  type?: unknown
  enum?: unknown
  minimum?: number
  maximum?: number
  pattern?: string
}): string {
  if (Array.isArray(schema.enum)) return `must be one of ${schema.enum.join(', ')}`
  if (schema.type === 'integer')
    return `must be a whole number${schema.minimum === undefined ? '' : ` from ${schema.minimum}`}${schema.maximum === undefined ? '' : ` to ${schema.maximum}`}`
  if (schema.pattern === '^#[0-9a-fA-F]{6}$') return 'must be a colour like #1f5fd6'
  return 'must be a text of an allowed length'
}

function parseIssuer(text: string, fault: AddFault): URL | null {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    fault('ISSUER', 'must be a URL like https://id.example.org')
    return null
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.pathname !== '/') {
    fault('ISSUER', 'must be an origin alone: no path, query, fragment or user name')
    return null
  }
  return url
}

function checkProduction(settings: Settings, issuer: URL, fault: AddFault): void {
  if (issuer.protocol !== 'https:')
    fault('ISSUER', 'must start with https:// unless it is a loopback address')
  if (settings.DATABASE_URL === '')
    fault('DATABASE_URL', 'is needed in production: postgres://user:password@host:5432/database')
  if (settings.ENCRYPTION_KEY === '')
    fault('ENCRYPTION_KEY', 'is needed in production: put the output of `openssl rand -base64 32`')
  if (settings.SMTP_URL === '') fault('SMTP_URL', 'is needed in production: smtp://user:password@host:587')
}

function checkWebauthn(settings: Settings, { hostname }: URL, fault: AddFault): void {
  const rpId = settings.WEBAUTHN_RP_ID
  if (rpId !== '' && hostname !== rpId && !hostname.endsWith(`.${rpId}`))
    fault('WEBAUTHN_RP_ID', `must be ${hostname} or a parent domain of it, not ${JSON.stringify(rpId)}`)
  for (const entry of listOf(settings.WEBAUTHN_ALLOWED_AAGUIDS).filter(entry => !isId(entry.toLowerCase())))
    fault(
      'WEBAUTHN_ALLOWED_AAGUIDS',
      `must list AAGUIDs like ${'0'.repeat(8)}-…, not ${JSON.stringify(entry)}`
    )
  if (settings.WEBAUTHN_ATTESTATION === 'required' && settings.WEBAUTHN_ATTESTATION_ROOTS === '')
    fault('WEBAUTHN_ATTESTATION_ROOTS', 'is needed where attestation is required: the path of a PEM file')
  if (settings.WEBAUTHN_ATTESTATION_ROOTS !== '') checkRoots(settings.WEBAUTHN_ATTESTATION_ROOTS, fault)
  for (const entry of listOf(settings.WEBAUTHN_RELATED_ORIGINS).filter(entry => !isOrigin(entry)))
    fault(
      'WEBAUTHN_RELATED_ORIGINS',
      `must list origins like https://example.org, not ${JSON.stringify(entry)}`
    )
}

function checkRoots(path: string, fault: AddFault): void {
  try {
    const roots = readCertificates(path)
    if (roots.length === 0) fault('WEBAUTHN_ATTESTATION_ROOTS', `names a file without certificates: ${path}`)
    for (const root of roots) new X509Certificate(root)
  } catch {
    fault('WEBAUTHN_ATTESTATION_ROOTS', `names a file that is not one of PEM certificates: ${path}`)
  }
}

const readCertificates = (path: string): string[] => certificatesOf(readFileSync(path, 'utf8'))

const isOrigin = (text: string): boolean => URL.parse(text)?.origin === text && text.startsWith('https:')

function parseWebauthn(settings: Settings, { hostname }: URL): Config['webauthn'] {
  return {
    rpId: settings.WEBAUTHN_RP_ID || hostname,
    userVerification: settings.WEBAUTHN_USER_VERIFICATION,
    attestationRequired: settings.WEBAUTHN_ATTESTATION === 'required',
    attestationRoots:
      settings.WEBAUTHN_ATTESTATION_ROOTS === '' ? [] : readCertificates(settings.WEBAUTHN_ATTESTATION_ROOTS),
    allowedAaguids: listOf(settings.WEBAUTHN_ALLOWED_AAGUIDS).map(entry => entry.toLowerCase()),
    relatedOrigins: listOf(settings.WEBAUTHN_RELATED_ORIGINS)
  }
}

function parseEncryptionKey(text: string, fault: AddFault): Buffer | null {
  if (text === '') return null
  const key = Buffer.from(text, 'base64')
  const known = new Set(key)
  // A key that somebody typed ("aaaa…", "changeme…") has few distinct bytes or is short.
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text) || key.length < 32 || known.size < 12) {
    fault(
      'ENCRYPTION_KEY',
      'must be at least 32 random bytes in base64: put the output of `openssl rand -base64 32`'
    )
    return null
  }
  return key
}

function checkLogo(path: string, fault: AddFault): void {
  try {
    readFileSync(path)
    if (!/\.(svg|png)$/.test(path)) fault('BRAND_LOGO', 'must name an .svg or .png file')
  } catch {
    fault('BRAND_LOGO', `names a file that cannot be read: ${path}`)
  }
}

/** The key of a development installation, made at its first start; two processes at once end with one. */
function developmentKey(dataDir: string): Buffer {
  const path = join(dataDir, 'encryption-key')
  mkdirSync(dataDir, { recursive: true })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, randomBytes(32).toString('base64'), { mode: 0o600 })
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(draft)
  }
  return Buffer.from(readFileSync(path, 'utf8'), 'base64')
}
