// The errors that stop a request everywhere alike, and what people and programs are told of them. Their words are the
// only error texts that leave the service; error-handler.ts sends them.
import type { FastifyError } from 'fastify'

/** What is said of an error: what happened, why, what to do now. */
export type ErrorWords = { title: string; explanation: string; nextStep: string }

/** A fault in a request's input. */
export type FaultDetail = { field: string; message: string }

/** What an error may carry beside its kind; `withFacts` attaches it. */
export type ErrorFacts = {
  retryAfterSeconds?: number
  details?: FaultDetail[]
  link?: { href: string; label: string }
}

const wordsByCode = new Map<string, ErrorWords>()

function defineError(code: string, statusCode: number, words: ErrorWords) {
  wordsByCode.set(code, words)
  return class extends Error {
    readonly code = code
    readonly statusCode = statusCode
    constructor() {
      super(words.explanation)
    }
  }
}

export const CsrfRefused = defineError('csrf_refused', 403, {
  title: 'This form is out of date',
  explanation:
    'It was open for long, or this browser keeps no cookies, so we cannot be sure that it was you who sent it.',
  nextStep:
    'Go back, reload the page and send the form again. If that does not help, allow cookies for this site.'
})

export const PageNotFound = defineError('not_found', 404, {
  title: 'There is no page here',
  explanation: 'The address may have been mistyped, or the page has moved.',
  nextStep: 'Check the address, or go back to the application that you came from.'
})

export const InteractionExpired = defineError('interaction_expired', 400, {
  title: 'This sign-in has ended',
  explanation: 'It was finished already, stayed open for too long, or was begun in another browser.',
  nextStep: 'Go back to the application that you want to use and sign in from there.'
})

export const PageOutOfDate = defineError('page_out_of_date', 409, {
  title: 'This page is out of date',
  explanation: 'What it shows has changed since it was opened.',
  nextStep: 'Reload the page and go on from there.'
})

export const TooManyRequests = defineError('too_many_requests', 429, {
  title: 'Too many tries',
  explanation: 'Many requests came from your network within a short time.',
  nextStep: 'Wait a minute, then try again.'
})

export const ServiceBusy = defineError('temporarily_unavailable', 503, {
  title: 'We are busy just now',
  explanation: 'The service cannot answer this at the moment. Nothing that you did was wrong.',
  nextStep: 'Wait a moment, then try again.'
})

export const ValidationFailed = defineError('validation_error', 400, {
  title: 'Something in this request is not right',
  explanation: 'One or more values are missing or not allowed.',
  nextStep: 'Go back, check what was entered and send it again.'
})

/** Attaches facts to an error that is about to be thrown: `throw withFacts(new ServiceBusy(), { retryAfterSeconds: 3 })`. */
export function withFacts<E extends Error>(error: E, facts: ErrorFacts): E & ErrorFacts {
  return Object.assign(error, facts)
}

const otherErrors: Record<number, { code: string; words: ErrorWords }> = {
  400: {
    code: 'invalid_request',
    words: {
      title: 'This request cannot be read',
      explanation: 'It is incomplete or garbled.',
      nextStep: 'Go back, reload the page and try again.'
    }
  },
  413: {
    code: 'content_too_large',
    words: {
      title: 'That was too much at once',
      explanation: 'The request is larger than this service accepts.',
      nextStep: 'Go back, shorten what you entered and send it again.'
    }
  },
  415: {
    code: 'unsupported_media_type',
    words: {
      title: 'This request cannot be read',
      explanation: 'It was sent as a type of content that is not accepted at this address.',
      nextStep: 'Go back, reload the page and send the form from there.'
    }
  },
  500: {
    code: 'server_error',
    words: {
      title: 'Something went wrong here',
      explanation: 'The fault is ours, and it has been recorded.',
      nextStep: 'Try again in a minute. If it happens again, send the request number below to your support.'
    }
  }
}

/** When to try again after an outage. */
export const outageSeconds = 5
const ownCode = (error: Partial<FastifyError>) => String(error.code ?? '').toLowerCase()

export type ErrorAnswer = ErrorFacts & { status: number; code: string; words: ErrorWords }

/**
 * How an error is answered. Only errors of this file bring their own words; of any other its status counts, and
 * `message` is never shown. A lost database is 503, everything unknown 500.
 */
export function describeError(error: Partial<FastifyError> & ErrorFacts): ErrorAnswer {
  const { retryAfterSeconds, details, link } = error
  const facts = {
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(details === undefined ? {} : { details }),
    ...(link === undefined ? {} : { link })
  }
  const own = wordsByCode.get(ownCode(error))
  if (own !== undefined)
    return { ...facts, status: error.statusCode ?? 500, code: ownCode(error), words: own }
  if (isOutage(error)) return { ...known('temporarily_unavailable', 503), retryAfterSeconds: outageSeconds }
  if (error.validation !== undefined)
    return { ...known('validation_error', 400), details: error.validation.flatMap(readValidationFault) }

  const status = error.statusCode ?? 500
  if (status === 403) return { ...facts, ...known('forbidden', 403) }
  if (status === 404) return known('not_found', 404)
  if (status === 429) return { ...facts, ...known('too_many_requests', 429) }
  if (status === 503) return { ...facts, ...known('temporarily_unavailable', 503) }
  const clientsFault = status >= 400 && status < 500
  const other = otherErrors[status] ?? otherErrors[clientsFault ? 400 : 500]
  if (other === undefined) throw new Error(`no words for status ${status}`)
  return { status: clientsFault ? status : 500, ...other }
}

function known(code: string, status: number): ErrorAnswer {
  const words = wordsByCode.get(code)
  if (words === undefined) throw new Error(`no words for ${code}`)
  return { status, code, words }
}

/** Codes of sockets, of postgres.js, and PostgreSQL's classes 08, 53 and 57P: the database is away or full. */
export function isOutage({ code }: Partial<FastifyError>): boolean {
  return /^(ECONN(REFUSED|RESET|ABORTED)|ENOTFOUND|EPIPE|ETIMEDOUT|CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|08...|53...|57P0.)$/.test(
    String(code ?? '')
  )
}

type ValidationFault = NonNullable<FastifyError['validation']>[number]

/** One detail a field. Both validators are understood: TypeBox names several members at once, Ajv one. */
function readValidationFault({ instancePath, keyword, params, message }: ValidationFault): FaultDetail[] {
  const at = instancePath.slice(1).replaceAll('/', '.')
  const under = (names: unknown, text: string) =>
    [names].flat().map(name => ({ field: at === '' ? String(name) : `${at}.${name}`, message: text }))
  if (keyword === 'required') return under(params.requiredProperties ?? params.missingProperty, 'is missing')
  if (keyword === 'additionalProperties')
    return under(params.additionalProperties ?? params.additionalProperty, 'is not known here')
  // TypeBox says of each unknown member once more that its schema is false.
  if (keyword === 'boolean') return []
  return [{ field: at, message: message ?? 'is not allowed' }]
}
