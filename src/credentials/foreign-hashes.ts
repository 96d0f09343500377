// Password hashes that other software made: how each kind is read and checked. A person's first sign-in with one replaces
// it, so nothing here makes any. What each stored string looks like stands beside its reader.
import {
  createCipheriv,
  hash,
  type ScryptOptions,
  pbkdf2 as startPbkdf2,
  scrypt as startScrypt
} from 'node:crypto'
import { promisify } from 'node:util'
import { equalBytes } from '../lib/tokens.ts'

/** How a stored hash is checked, off the event loop. */
export type HashCheck = {
  /** About what one check takes on one core. */
  expectedMs: number
  memoryBytes: number
  matches: (password: Buffer) => Promise<boolean>
}

type Parts = Record<string, string>
type Kind = { prefix: string; form: RegExp; read: (parts: Parts, stored: string) => HashCheck | null }

const pbkdf2 = promisify(startPbkdf2)
const scrypt = promisify<Buffer, Buffer, number, ScryptOptions, Buffer>(startScrypt)

const bcryptForm = /^(?:bcrypt(?:_sha256)?\$)?(?<crypt>\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/
const bytes = '[A-Za-z0-9+/._-]'

const kinds: readonly Kind[] = [
  // $2b$12$…, of which $2a$ and $2y$ are other names
  { prefix: '$2', form: bcryptForm, read: readBcrypt },
  // $scrypt$ln=16,r=8,p=1$salt$hash: PHC form, and Passlib's
  {
    prefix: '$scrypt$',
    form: form(
      String.raw`\$scrypt\$ln=(?<ln>\d{1,2}),r=(?<r>\d{1,3}),p=(?<p>\d{1,3})\$(?<salt>B+)\$(?<tag>B+)`
    ),
    read: ({ ln, r, p, salt, tag }) =>
      checkScrypt({ N: 2 ** Number(ln), r: Number(r), p: Number(p) }, decode(salt), decode(tag))
  },
  // $pbkdf2-sha256$i=600000$salt$hash: PHC form; Passlib's has no `i=`, and no `-sha1`
  {
    prefix: '$pbkdf2',
    form: form(
      String.raw`\$pbkdf2(?:-(?<digest>sha1|sha256|sha512))?\$(?:i=)?(?<rounds>\d{1,8})(?:,l=\d{1,3})?\$(?<salt>B*)\$(?<tag>B+)`
    ),
    read: ({ digest = 'sha1', rounds, salt, tag }) =>
      checkPbkdf2({ digest, rounds: Number(rounds) }, decode(salt), decode(tag))
  },
  // $firebase-scrypt$ln=14,r=8$salt$separator$signerKey$hash. A form of ours: `mem_cost` and `rounds` of the project's
  // hash parameters, the user's salt, the project's salt separator and signer key, the user's hash, all in base64.
  {
    prefix: '$firebase-scrypt$',
    form: form(
      String.raw`\$firebase-scrypt\$ln=(?<ln>\d{1,2}),r=(?<r>\d{1,3})\$(?<salt>B+)\$(?<separator>B*)\$(?<signerKey>B+)\$(?<tag>B+)`
    ),
    read: readFirebase
  },
  // The rest is Django's: pbkdf2_sha256$600000$salt$hash, where the salt is taken as text
  {
    prefix: 'pbkdf2_',
    form: form(String.raw`pbkdf2_(?<digest>sha1|sha256)\$(?<rounds>\d{1,8})\$(?<salt>[^$]+)\$(?<tag>B+)`),
    read: ({ digest = '', rounds, salt, tag }) =>
      checkPbkdf2({ digest, rounds: Number(rounds) }, Buffer.from(salt ?? ''), decode(tag))
  },
  // scrypt$16384$salt$8$5$hash
  {
    prefix: 'scrypt$',
    form: form(String.raw`scrypt\$(?<N>\d{1,9})\$(?<salt>[^$]+)\$(?<r>\d{1,3})\$(?<p>\d{1,3})\$(?<tag>B+)`),
    read: ({ N, r, p, salt, tag }) =>
      checkScrypt({ N: Number(N), r: Number(r), p: Number(p) }, Buffer.from(salt ?? ''), decode(tag))
  },
  // bcrypt$$2b$12$… and bcrypt_sha256$$2b$12$…
  { prefix: 'bcrypt', form: bcryptForm, read: readBcrypt }
]

/** `B` stands for a character of base64. No two parts that follow each other can take the same characters. */
function form(source: string): RegExp {
  return new RegExp(`^${source.replaceAll(/B([+*])/g, `${bytes}$1={0,2}`)}$`)
}

/** Padded or not; `-` and `_` as in URLs, and `.` for `+` as Passlib writes it. */
const decode = (base64 = '') => Buffer.from(base64.replaceAll('.', '+'), 'base64')

/**
 * How to check a hash that other software made; null for one that is malformed or of no known kind.
 *
 * Nothing is checked here, and costs are only told: it is for the caller to refuse absurd ones.
 */
export function readForeignHash(stored: string): HashCheck | null {
  // Longer than any of them: a table that was filled by mistake is not matched against patterns.
  if (stored.length > 1024) return null
  const kind = kinds.find(({ prefix }) => stored.startsWith(prefix))
  const parts = kind?.form.exec(stored)?.groups
  return kind === undefined || parts === undefined ? null : kind.read(parts as Parts, stored)
}

/** Of a shorter one, too many passwords would match. */
const isTag = ({ length }: Buffer) => length >= 16 && length <= 128

function checkPbkdf2(
  { digest, rounds }: { digest: string; rounds: number },
  salt: Buffer,
  tag: Buffer
): HashCheck | null {
  if (rounds < 1 || !isTag(tag)) return null
  const blocks = Math.ceil(
    tag.length / { sha1: 20, sha256: 32, sha512: 64 }[digest as 'sha1' | 'sha256' | 'sha512']
  )
  const millionMs = digest === 'sha512' ? 500 : 170
  return {
    expectedMs: (rounds * blocks * millionMs) / 1e6,
    memoryBytes: 0,
    matches: async password => equalBytes(tag, await pbkdf2(password, salt, rounds, tag.length, digest))
  }
}

type ScryptCost = { N: number; r: number; p: number }

function scryptFor({
  N,
  r,
  p
}: ScryptCost): (Omit<HashCheck, 'matches'> & { options: ScryptOptions }) | null {
  if (N < 2 || !Number.isInteger(Math.log2(N)) || r < 1 || p < 1) return null
  const memoryBytes = 128 * r * (N + p)
  return { expectedMs: (N * r * p * 0.8) / 1000, memoryBytes, options: { N, r, p, maxmem: 2 * memoryBytes } }
}

function checkScrypt(cost: ScryptCost, salt: Buffer, tag: Buffer): HashCheck | null {
  const affordable = scryptFor(cost)
  if (affordable === null || !isTag(tag)) return null
  const { options, ...costs } = affordable
  return {
    ...costs,
    matches: async password => equalBytes(tag, await scrypt(password, salt, tag.length, options))
  }
}

/** The hash is the project's signer key, encrypted under what scrypt makes of the password. @see https://github.com/firebase/scrypt */
function readFirebase({ ln, r, salt, separator, signerKey, tag }: Parts): HashCheck | null {
  const affordable = scryptFor({ N: 2 ** Number(ln), r: Number(r), p: 1 })
  const expected = decode(tag)
  if (affordable === null || !isTag(expected)) return null
  const { options, ...costs } = affordable
  return {
    ...costs,
    matches: async password => {
      const key = await scrypt(password, Buffer.concat([decode(salt), decode(separator)]), 32, options)
      const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
      return equalBytes(expected, cipher.update(decode(signerKey)))
    }
  }
}

function readBcrypt({ crypt = '', cost }: Parts, stored: string): HashCheck | null {
  const rounds = Number(cost)
  if (rounds < 4 || rounds > 31) return null
  // Django hashes first, since bcrypt takes 72 bytes of a password at most.
  const prepare = stored.startsWith('bcrypt_sha256$')
    ? (password: Buffer) => Buffer.from(hash('sha256', password))
    : (password: Buffer) => password
  return {
    expectedMs: 70 * 2 ** (rounds - 10),
    memoryBytes: 0,
    matches: async password => await (await loadBcrypt()).verify(prepare(password), crypt)
  }
}

/** An optional package: most installations never see such a hash. */
async function loadBcrypt(): Promise<typeof import('@node-rs/bcrypt')> {
  try {
    return await import('@node-rs/bcrypt')
  } catch (cause) {
    throw new Error('a password hash made by bcrypt needs the optional package @node-rs/bcrypt: install it', {
      cause
    })
  }
}
