// Says in words what a provider, or the way to it, answered.
import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError
} from 'openid-client'

export type Problem = {
  title: string
  explanation: string
  status: number
  /** The protocol's own words, for whoever develops the application. */
  detail?: string
}

const answers: Record<string, [title: string, explanation: string]> = {
  access_denied: [
    'You are not signed in',
    'You chose not to go on, so nothing was shared with this application. You can try again at any time.'
  ],
  login_required: ['You are not signed in', 'The provider was asked not to show a page, and needs to.'],
  consent_required: ['Your consent is needed', 'The provider was asked not to show a page, and needs to.'],
  invalid_client: [
    'The provider does not know this application',
    'Its id or secret is not the one registered. Start Gatehouse again and then this application, so that it reads the new secret.'
  ],
  invalid_grant: [
    'This sign-in is over',
    'The provider no longer takes its code or refresh token: it was used before, has expired, or was revoked.'
  ],
  expired_token: ['The code is too old', 'Nobody approved it in time. Have a new one shown.'],
  temporarily_unavailable: ['The provider is busy', 'Wait a moment and try again.'],
  server_error: ['The provider failed', 'Its log tells why.']
}

/** Turns anything that a step of the sign-in threw into a page's words. */
export function describeProblem(error: unknown, issuer: string): Problem {
  if (error instanceof AuthorizationResponseError || error instanceof ResponseBodyError)
    return fromCode(error.error, error.error_description)
  if (error instanceof WWWAuthenticateChallengeError)
    return {
      title: 'The provider refused the access token',
      explanation: 'It has expired or was revoked. Sign in again.',
      status: 502
    }
  if (isUnreachable(error))
    return {
      title: 'The provider does not answer',
      explanation: `Nothing answers at ${issuer}. Start it with npm start, and try again.`,
      status: 502
    }
  if (error instanceof ClientError)
    return {
      title: "The provider's answer was not accepted",
      explanation: `A check failed: ${error.message}. Begin the sign-in again from the start page.`,
      status: 502
    }
  console.error(error)
  return {
    title: 'Something went wrong here',
    explanation: 'The terminal that runs this demo tells what.',
    status: 500
  }
}

function fromCode(code: string, description: string | undefined): Problem {
  const [title, explanation] = answers[code] ?? ['The provider refused', 'It answered with an error.']
  const detail = description === undefined ? code : `${code}: ${description}`
  return { title, explanation, detail, status: 400 }
}

function isUnreachable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (
      ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'UND_ERR_SOCKET'].includes(
        code ?? ''
      )
    )
      return true
  }
  return error instanceof Error && ['AbortError', 'TimeoutError'].includes(error.name)
}
