// The page for everything that stops: what happened, what to do now, and the id to quote.
import { definePage } from './view.ts'

export type ErrorPageData = {
  status: number
  title: string
  explanation: string
  nextStep: string
  link: { href: string; label: string } | null
  requestId: string
}

export const errorPage = definePage<ErrorPageData>('http/error', {
  'not-found': {
    status: 404,
    title: 'There is no page here',
    explanation: 'The address may have been mistyped, or the page has moved.',
    nextStep: 'Check the address, or go back to the application that you came from.',
    link: { href: '/', label: 'Go to the start page' },
    requestId: 'req-8f3a'
  },
  broken: {
    status: 500,
    title: 'Something went wrong here',
    explanation: 'The fault is ours, and it has been recorded. Nothing that you typed was at fault.',
    nextStep: 'Try again in a minute. If it happens again, send the request number below to your support.',
    link: null,
    requestId: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0de'
  }
})
