// The start page, and the mailbox that stands in for real mail during development.
import { definePage, webUrl } from '../http/view.ts'

export const homePage = definePage<{ issuer: string; demoUrl: string | null }>('development/home', {
  development: { issuer: 'http://localhost:3000', demoUrl: 'http://localhost:3001/' },
  production: { issuer: 'https://id.example.org', demoUrl: null }
})

export type MailboxMessage = {
  id: string
  to: string
  subject: string
  text: string
  html: string
  links: string[]
  sentAt: Date
}

const message: MailboxMessage = {
  id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0de',
  to: 'ines.moreau@example.org',
  subject: 'Confirm your email address',
  text: 'Welcome to Gatehouse.\n\nYour code: 482 913\n\nOr open this link:\nhttp://localhost:3000/verify-email/q0d1Vb7R2mX9sLk4TzYw8HcN3uEpJa6fGi5oKvBtQxM\n\nBoth are good for 24 hours.',
  html: '<p>Welcome to Gatehouse.</p>',
  links: ['http://localhost:3000/verify-email/q0d1Vb7R2mX9sLk4TzYw8HcN3uEpJa6fGi5oKvBtQxM'],
  sentAt: new Date('2026-11-21T14:26:05Z')
}

export const mailboxPage = definePage<{ messages: MailboxMessage[] }>(
  'development/mailbox',
  {
    empty: { messages: [] },
    some: {
      messages: [
        message,
        {
          ...message,
          id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0df',
          subject: 'You have an account already',
          text: 'Somebody, probably you, tried to create an account with this address. There is one already.',
          links: []
        }
      ]
    }
  },
  ({ messages }) => ({
    messages: messages.map(({ links, sentAt, ...rest }) => ({
      ...rest,
      parts: splitAtLinks(rest.text, links),
      sentAt: sentAt.toISOString(),
      sentAtText: `${sentAt.toISOString().slice(0, 19).replace('T', ' ')} UTC`
    }))
  })
)

/** The text with its links where they stand in it. */
function splitAtLinks(text: string, links: string[]): { text: string; link: boolean }[] {
  const parts: { text: string; link: boolean }[] = []
  let rest = text
  for (const link of links) {
    const at = rest.indexOf(link)
    if (at === -1 || webUrl(link) === null) continue
    parts.push({ text: rest.slice(0, at), link: false }, { text: link, link: true })
    rest = rest.slice(at + link.length)
  }
  return [...parts, { text: rest, link: false }]
}
