// The code that a person copies from a device: its form, and what is stored of it.
import { createHmac } from 'node:crypto'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'

/** 20 letters without vowels, so that no code is a word: eight are 34 bits (RFC 8628 §6.1). */
export const userCodeForm = { charset: 'base-20', mask: '****-****' } as const

const letters = /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/

/** The letters of what was typed, in whichever case and with whatever between them; null: it cannot be a code. */
export function parseUserCode(typed: unknown): string | null {
  if (typeof typed !== 'string' || typed.length > 100) return null
  const code = typed
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[\s\p{P}]/gu, '')
  return letters.test(code) ? code : null
}

/** As the device shows it. */
export const formatUserCode = (code: string): string => `${code.slice(0, 4)}-${code.slice(4)}`

/** Keyed: 34 bits under a plain hash are found within seconds by whoever reads the database. */
export const hashUserCode = (encryptionKey: Buffer, code: string): Buffer =>
  createHmac('sha256', deriveKey(encryptionKey, 'user codes')).update(code).digest()

const keyOf = (encryptionKey: Buffer) => deriveKey(encryptionKey, 'device codes')
const context = (userCodeHash: Buffer) => userCodeHash.toString('base64url')

/** The device code that a user code stands for, so that who has typed the one finds the other. */
export const sealDeviceCode = (encryptionKey: Buffer, userCodeHash: Buffer, deviceCode: string): string =>
  seal(keyOf(encryptionKey), deviceCode, context(userCodeHash)).toString('base64url')

export const openDeviceCode = (encryptionKey: Buffer, userCodeHash: Buffer, sealed: string): string =>
  open(keyOf(encryptionKey), Buffer.from(sealed, 'base64url'), context(userCodeHash)).toString()
