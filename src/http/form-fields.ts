// What forms bring along, and what a browser is asked to keep for the next one.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'

/** A field of a form, whatever was posted in it: the use cases tell all faults at once, and the page keeps what was typed. */
export const Field = Type.Optional(Type.Unknown())

/** What was typed, to be shown again. */
export const asText = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 1000) : '')

/** Keeps something of little worth to anybody else in this browser for a day. */
export function remember(reply: FastifyReply, name: string, value: string): void {
  const { secure } = reply.server.csrf
  reply.setCookie(name, value, { path: '/', httpOnly: true, sameSite: 'lax', secure, maxAge: 86_400 })
}
