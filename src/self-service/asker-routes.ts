// The browser that asked for a reset: the code of the mail counts in it alone.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { remember } from '../http/form-fields.ts'
import { hostCookieName } from '../lib/cookies.ts'
import { createToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'

/** `askedBy` is its secret, `email` the address as it was typed there. */
export type Asker = { askedBy: string; email: string }

const cookieName = ({ issuer }: Oidc) => hostCookieName(issuer, 'reset')

/** Null for a browser that has asked for nothing. */
export function readAsker(oidc: Oidc, { cookies }: FastifyRequest): Asker | null {
  const [, askedBy, email] = /^([\w-]{43})\.([\w-]{0,700})$/.exec(cookies[cookieName(oidc)] ?? '') ?? []
  if (askedBy === undefined || email === undefined) return null
  return { askedBy, email: Buffer.from(email, 'base64url').toString() }
}

/** The secret that this browser asks with: the one it has, so that a mail that was not sent anew leaves the last one good. */
export const askedByOf = (oidc: Oidc, request: FastifyRequest): string =>
  readAsker(oidc, request)?.askedBy ?? createToken()

export function keepAsker(oidc: Oidc, reply: FastifyReply, { askedBy, email }: Asker): void {
  remember(reply, cookieName(oidc), `${askedBy}.${Buffer.from(email).toString('base64url')}`)
}

export function forgetAsker(oidc: Oidc, reply: FastifyReply): void {
  const { secure } = reply.server.csrf
  reply.clearCookie(cookieName(oidc), { path: '/', httpOnly: true, sameSite: 'lax', secure })
}
