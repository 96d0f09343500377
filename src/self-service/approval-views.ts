// The page on which a person decides what applications asked for without a browser, and its words.
import { definePage, webUrl } from '../http/view.ts'
import { describeClaim, describeScope } from '../interactions/scope-model.ts'
import type { SignedIn } from './account-views.ts'
import { at, momentOf, samplePerson } from './listed-views.ts'

export type ListedApproval = {
  /** Fit for an id in the page. */
  id: string
  /** `vouchedFor`: the operator has registered it. */
  client: { name: string; host: string; logoUrl: string | null; vouchedFor: boolean }
  bindingMessage: string | null
  scopes: string[]
  /** What the operator says of scopes of their own. */
  described: Record<string, string | null>
  /** Claims that are asked for by name. */
  claims: string[]
  resources: { name: string; scopes: string[] }[]
  ip: string | null
  askedAt: Date
  minutesLeft: number
}

export type ApprovalDone = 'approved' | 'denied' | 'gone'

export type ApprovalsData = SignedIn & { notice: ApprovalDone | null; approvals: ListedApproval[] }

const bank: ListedApproval = {
  id: 'Qm9uam91cg',
  client: {
    name: 'Harbour Bank telephone service',
    host: 'harbour-bank.example',
    logoUrl: null,
    vouchedFor: true
  },
  bindingMessage: 'Call 4711 – Anna',
  scopes: ['openid', 'profile'],
  described: {},
  claims: [],
  resources: [],
  ip: '203.0.113.7',
  askedAt: at('2026-11-21'),
  minutesLeft: 8
}
const none: ApprovalsData = { signedInAs: samplePerson, notice: null, approvals: [] }

export const approvalsPage = definePage<ApprovalsData>(
  'self-service/approvals',
  {
    none,
    one: { ...none, approvals: [bank] },
    several: {
      ...none,
      notice: 'approved',
      approvals: [
        {
          ...bank,
          id: 'R3V0ZW4',
          client: {
            name: 'Till 3',
            host: '',
            logoUrl: 'https://photos.tidewater.example/logo.png',
            vouchedFor: false
          },
          bindingMessage: null,
          scopes: ['openid', 'offline_access', 'org'],
          described: { org: 'See which department you work in' },
          claims: ['phone_number'],
          resources: [{ name: 'Loyalty points', scopes: ['points:read', 'points:spend'] }],
          ip: null,
          minutesLeft: 1
        },
        bank
      ]
    },
    denied: { ...none, notice: 'denied' },
    gone: { ...none, notice: 'gone' }
  },
  ({ approvals, notice }) => ({
    approvals: approvals.map(approval => ({
      ...approval,
      client: {
        ...approval.client,
        initial: [...approval.client.name][0]?.toUpperCase() ?? '?',
        logoUrl: webUrl(approval.client.logoUrl)
      },
      permissions: [
        ...approval.scopes.map(scope => describeScope(scope, approval.described)),
        ...approval.claims.map(describeClaim)
      ],
      askedText: momentOf(approval.askedAt),
      leftText: approval.minutesLeft === 1 ? 'a minute' : `${approval.minutesLeft} minutes`
    })),
    noticeText:
      notice &&
      {
        approved: 'You approved it. The application goes on within a few seconds.',
        denied: 'You denied it. The application is told so, and gets nothing.',
        gone: 'This request is over, or was decided before. Nothing was changed.'
      }[notice]
  })
)
