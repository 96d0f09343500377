// Subjects that tell applications apart: each sector knows a person by a name of its own.
import { createHmac } from 'node:crypto'
import type { Client } from 'oidc-provider'
import type { Config } from '../config/schema.ts'
import { deriveKey } from '../lib/sealed-box.ts'

/**
 * The library's `pairwiseIdentifier`: HMAC-SHA-256 over sector and account. The same at every sign-in and every node;
 * nobody without ENCRYPTION_KEY can tell whose it is, nor that two of two sectors are one person's.
 *
 * @see OpenID Connect Core 1.0 §8.1
 */
export function createPairwiseIdentifier({ encryptionKey }: Pick<Config, 'encryptionKey'>) {
  const key = deriveKey(encryptionKey, 'pairwise subjects')
  return async (_ctx: unknown, accountId: string, client: Client): Promise<string> =>
    createHmac('sha256', key)
      // As JSON: no other sector and account read as the same text.
      .update(JSON.stringify([client.sectorIdentifier, accountId]))
      .digest('base64url')
}
