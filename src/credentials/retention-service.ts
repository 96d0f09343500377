// What of credentials/ is forgotten once it expires.
import type { RetentionRule } from '../jobs/model.ts'
import { challengeRetention } from './webauthn-challenge-service.ts'

export const credentialRetention: RetentionRule[] = [challengeRetention]
