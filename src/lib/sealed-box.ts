// Secrets that must be read again are stored sealed: AES-256-GCM under a key derived from ENCRYPTION_KEY for one purpose.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const version = 1
const nonceBytes = 12
const tagBytes = 16

/**
 * Derives a 32-byte key that serves one purpose, so that a value sealed for one place cannot be opened in another.
 *
 * @see RFC 5869
 */
export function deriveKey(secret: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `gatehouse ${purpose}`, 32))
}

/** Seals bytes under `key`, bound to `context` (an id, say): version ‖ nonce ‖ tag ‖ ciphertext. */
export function seal(key: Uint8Array, plain: Uint8Array | string, context: string): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([Buffer.of(version), nonce, cipher.getAuthTag(), body])
}

/** Opens what `seal` made. Throws when key, context or bytes are not the ones it was sealed with. */
export function open(key: Uint8Array, box: Uint8Array, context: string): Buffer {
  const bytes = Buffer.from(box)
  if (bytes.length < 1 + nonceBytes + tagBytes || bytes[0] !== version)
    throw new Error('not a sealed box of a known version')
  const nonce = bytes.subarray(1, 1 + nonceBytes)
  const tag = bytes.subarray(1 + nonceBytes, 1 + nonceBytes + tagBytes)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(context)).setAuthTag(tag)
  return Buffer.concat([decipher.update(bytes.subarray(1 + nonceBytes + tagBytes)), decipher.final()])
}
