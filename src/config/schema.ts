// Every setting: its name, type, default and what it does. The reference in config/ is generated from here.
import { type Static, Type } from 'typebox'
import { type ProtocolConfig, protocolSettings } from './protocol-schema.ts'

const seconds = (options: { default: number; minimum?: number; maximum?: number; description: string }) =>
  Type.Integer({ minimum: 1, ...options })

/** Settings by environment variable. A secret may also come from a file named by NAME_FILE. */
export const Settings = Type.Object({
  ISSUER: Type.String({
    default: '',
    description:
      'The address that people and applications reach Gatehouse at, without a trailing slash. Everything that Gatehouse emits starts with it. Default: http://localhost:PORT (https with TLS_CERT_FILE), which means development.'
  }),
  HOST: Type.String({
    default: '',
    description: 'The address to listen on. Default: localhost in development, all interfaces in production.'
  }),
  PORT: Type.Integer({ default: 3000, minimum: 1, maximum: 65535, description: 'The port to listen on.' }),
  DATA_DIR: Type.String({
    default: './data',
    description: 'Where the embedded database and development secrets are kept. Not used in production.'
  }),
  DATABASE_URL: Type.String({
    default: '',
    description:
      'PostgreSQL 15 or newer, as postgres://user:password@host:port/database. Without it (development only) an embedded one is started.',
    secret: true
  }),
  DATABASE_POOL_SIZE: Type.Integer({
    default: 10,
    minimum: 2,
    maximum: 100,
    description: 'Connections to PostgreSQL per process. Twice its cores plus two is a good number.'
  }),
  ENCRYPTION_KEY: Type.String({
    default: '',
    description:
      'At least 32 random bytes in base64: stored secrets are sealed, cookies signed, and pairwise subjects made under keys derived from it. `openssl rand -base64 32` makes one. Development makes its own in DATA_DIR.',
    secret: true
  }),
  SMTP_URL: Type.String({
    default: '',
    description:
      'Where mail is sent: smtp://user:password@host:587 or smtps://…:465. Without it (development only) mail goes to /dev/mailbox.',
    secret: true
  }),
  MAIL_FROM: Type.String({
    default: '',
    description:
      "The sender of mail, as `Name <address>` or an address. Default: the brand name and no-reply at the issuer's host."
  }),
  TRUSTED_PROXIES: Type.String({
    default: '',
    description: 'Comma-separated addresses or CIDR ranges whose X-Forwarded-For is believed. Default: none.'
  }),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'How much is logged, as JSON lines on standard output.'
  }),
  BRAND_NAME: Type.String({
    default: 'Gatehouse',
    minLength: 1,
    maxLength: 60,
    description: 'The name on pages and in mail.'
  }),
  BRAND_LOGO: Type.String({
    default: '',
    description: "Path of an SVG or PNG file shown above every page. Default: Gatehouse's own."
  }),
  BRAND_ACCENT_COLOR: Type.String({
    default: '#1f5fd6',
    pattern: '^#[0-9a-fA-F]{6}$',
    description:
      'The colour of buttons and links, as #rrggbb. Shades for both themes are derived from it so that text stays readable.'
  }),
  PASSWORD_MIN_LENGTH: Type.Integer({
    default: 15,
    minimum: 8,
    maximum: 128,
    description:
      "Characters that a password needs. 15 is NIST SP 800-63B-4's minimum where it is the only factor."
  }),
  PWNED_PASSWORDS_URL: Type.String({
    default: '',
    description:
      'Where new passwords are looked up among breached ones, by the first five characters of their SHA-1: https://api.pwnedpasswords.com/range/ or a copy of your own. Default: the list that ships with Gatehouse alone.'
  }),
  PASSWORD_RESET_LIFETIME_SECONDS: seconds({
    default: 3600,
    minimum: 300,
    maximum: 3600,
    description: 'How long a link or code that resets a password lasts.'
  }),
  MAIL_SIGN_IN: Type.Enum(['off', 'on'], {
    default: 'off',
    description:
      'Whether a link or code by mail is a way to sign in, beside passwords and passkeys. It counts as one factor, never as the second.'
  }),
  SECOND_FACTOR: Type.Enum(['optional', 'required'], {
    default: 'optional',
    description:
      'optional: asked of people who have set one up. required: of everybody; who has none sets one up at the next sign-in.'
  }),
  SECOND_FACTOR_ROLES: Type.String({
    default: '',
    description: 'Comma-separated roles whose people need a second factor even where it is optional.'
  }),
  TRUSTED_DEVICE_DAYS: Type.Integer({
    default: 30,
    minimum: 0,
    maximum: 365,
    description:
      'How long a browser that a person trusts is not asked for the second factor again; 0: always asked. An application that demands a second factor is not satisfied by trust.'
  }),
  RECENT_SIGN_IN_SECONDS: seconds({
    default: 600,
    minimum: 60,
    maximum: 86400,
    description: 'How old a sign-in may be when a person changes how they sign in: 10 minutes.'
  }),
  WEBAUTHN_RP_ID: Type.String({
    default: '',
    description:
      "The domain that passkeys belong to: the issuer's host or a parent domain of it. Changing it makes all passkeys useless. Default: the issuer's host."
  }),
  WEBAUTHN_USER_VERIFICATION: Type.Enum(['preferred', 'required'], {
    default: 'preferred',
    description:
      'Whether a security key used as second factor must verify the person by PIN or biometrics. A passkey that is the only thing needed always must.'
  }),
  WEBAUTHN_ATTESTATION: Type.Enum(['none', 'required'], {
    default: 'none',
    description:
      'required: only authenticators whose make is vouched for by WEBAUTHN_ATTESTATION_ROOTS are accepted, see WEBAUTHN_ALLOWED_AAGUIDS. Most passkeys that are synced cannot prove theirs.'
  }),
  WEBAUTHN_ATTESTATION_ROOTS: Type.String({
    default: '',
    description:
      "Path of a PEM file with the makers' root certificates, which attestations must lead to. Needed where attestation is required: without it anybody could make a certificate that claims anything."
  }),
  WEBAUTHN_ALLOWED_AAGUIDS: Type.String({
    default: '',
    description:
      'Comma-separated AAGUIDs of the authenticators that are accepted where attestation is required. Default: any.'
  }),
  WEBAUTHN_RELATED_ORIGINS: Type.String({
    default: '',
    description:
      'Comma-separated origins that may use the passkeys too, published at /.well-known/webauthn (WebAuthn Level 3 §5.11). Default: none.'
  }),
  ARGON2_MEMORY_KIB: Type.Integer({
    default: 19456,
    minimum: 7168,
    maximum: 1048576,
    description: 'Memory of one password hash, in KiB.'
  }),
  ARGON2_ITERATIONS: Type.Integer({
    default: 2,
    minimum: 1,
    maximum: 20,
    description: 'Passes of one password hash. Raised settings rehash at the next sign-in.'
  }),
  ACCESS_TOKEN_SIGNING_ALG: Type.Enum(['ES256', 'RS256', 'EdDSA'], {
    default: 'ES256',
    description: 'How JWT access tokens are signed unless a resource or client says otherwise.'
  }),
  ACCESS_TOKEN_LIFETIME_SECONDS: seconds({
    default: 600,
    minimum: 30,
    maximum: 86400,
    description: 'How long an access token lasts unless its resource says otherwise.'
  }),
  ID_TOKEN_LIFETIME_SECONDS: seconds({
    default: 3600,
    minimum: 30,
    maximum: 86400,
    description: 'How long an ID token lasts.'
  }),
  REFRESH_TOKEN_IDLE_SECONDS: seconds({
    default: 1209600,
    description: 'How long a refresh token lasts unused: 14 days.'
  }),
  REFRESH_TOKEN_ABSOLUTE_SECONDS: seconds({
    default: 7776000,
    description: 'How long a chain of refresh tokens lasts in all: 90 days.'
  }),
  REFRESH_TOKEN_GRACE_SECONDS: Type.Integer({
    default: 10,
    minimum: 0,
    maximum: 120,
    description:
      'How long after its use a refresh token that is sent again gets the same successor, as a retry on a bad network does. Later reuse ends the grant.'
  }),
  SESSION_IDLE_SECONDS: seconds({
    default: 86400,
    minimum: 60,
    description: 'A browser session unused for this long ends: 1 day.'
  }),
  SESSION_ABSOLUTE_SECONDS: seconds({
    default: 1209600,
    minimum: 60,
    description: 'A browser session ends this long after the sign-in: 14 days.'
  }),
  INTERACTION_LIFETIME_SECONDS: seconds({
    default: 3600,
    minimum: 60,
    maximum: 86400,
    description: 'How long a person may take for a sign-in.'
  }),
  EMAIL_TOKEN_LIFETIME_SECONDS: seconds({
    default: 86400,
    minimum: 300,
    maximum: 86400,
    description: 'How long a link or code that confirms an address lasts.'
  }),
  MAILS_PER_RECIPIENT_PER_HOUR: Type.Integer({
    default: 3,
    minimum: 1,
    maximum: 1000,
    description: 'Mails of one kind to one address within an hour; more are not sent.'
  }),
  SIGN_UPS_PER_NETWORK_PER_HOUR: Type.Integer({
    default: 20,
    minimum: 1,
    maximum: 1000000,
    description:
      'Accounts that one network may ask for within an hour before each further one costs work or waiting.'
  }),
  FAILURES_PER_NETWORK_PER_HOUR: Type.Integer({
    default: 50,
    minimum: 1,
    maximum: 1000000,
    description:
      'Wrong passwords and codes, at whatever accounts, from one network within an hour before each further try costs work or waiting.'
  }),
  AUDIT_RETENTION_MONTHS: Type.Integer({
    default: 13,
    minimum: 1,
    maximum: 1200,
    description: 'Whole months that the audit trail is kept for; older ones are dropped.'
  }),
  REQUESTS_PER_ADDRESS_PER_MINUTE: Type.Integer({
    default: 60,
    minimum: 1,
    maximum: 1000000,
    description: 'Forms that one network address (IPv6: /64) may post in a minute: sign-up, sign-in, codes.'
  }),
  ...protocolSettings
})

export type Settings = Static<typeof Settings>

/** The settings as the rest of the code reads them: checked, typed, with what follows from them. */
export type Config = ProtocolConfig & {
  issuer: string
  /** The issuer is a loopback address, or one for conformance tests: secrets are made up, mail stays here, http is allowed. */
  development: boolean
  /** Development without SMTP_URL: the mailbox page and the demo application exist. */
  developmentMailbox: boolean
  host: string
  port: number
  dataDir: string
  databaseUrl: string | null
  databasePoolSize: number
  encryptionKey: Buffer
  smtpUrl: string | null
  mailFrom: string
  trustedProxies: string[]
  logLevel: Settings['LOG_LEVEL']
  brand: { name: string; logoPath: string | null; accentColor: string }
  passwordMinLength: number
  /** Ends in a slash; null: breached passwords are not looked up. */
  pwnedPasswordsUrl: string | null
  passwordResetLifetimeSeconds: number
  mailSignIn: boolean
  secondFactor: { required: boolean; requiredRoles: string[] }
  trustedDeviceDays: number
  recentSignInSeconds: number
  webauthn: {
    rpId: string
    userVerification: Settings['WEBAUTHN_USER_VERIFICATION']
    attestationRequired: boolean
    /** PEM. */
    attestationRoots: string[]
    /** Lower case; empty: any. */
    allowedAaguids: string[]
    relatedOrigins: string[]
  }
  argon2: { memoryKib: number; iterations: number; parallelism: 1 }
  accessTokenSigningAlg: Settings['ACCESS_TOKEN_SIGNING_ALG']
  accessTokenLifetimeSeconds: number
  idTokenLifetimeSeconds: number
  refreshTokenIdleSeconds: number
  refreshTokenAbsoluteSeconds: number
  refreshTokenGraceSeconds: number
  sessionIdleSeconds: number
  sessionAbsoluteSeconds: number
  interactionLifetimeSeconds: number
  emailTokenLifetimeSeconds: number
  mailsPerRecipientPerHour: number
  signUpsPerNetworkPerHour: number
  failuresPerNetworkPerHour: number
  auditRetentionMonths: number
  requestsPerAddressPerMinute: number
}
