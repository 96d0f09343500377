// The pages of a sign-in as somebody with a tool of their own meets them: opened, filled in wrongly, compared.
import { type Application, createApplication } from './application.ts'
import { password, type Service } from './service.ts'
import { type Answer, findForm, Visitor } from './visitor.ts'

export type Opened = {
  visitor: Visitor
  page: Answer
  /** Redeems the URL that the browser comes back to. */
  finish: Awaited<ReturnType<Application['begin']>>['finish']
}

/** A browser at the sign-in page of an application. */
export async function openSignIn(
  service: Service,
  { application, visitor = new Visitor(), params = {} }: OpenOptions = {}
): Promise<Opened> {
  const { url, finish } = await (application ?? (await createApplication(service))).begin(params)
  return { visitor, page: await visitor.visit(url), finish }
}

type OpenOptions = { application?: Application; visitor?: Visitor; params?: Record<string, string> }

/** A browser at the sign-up page of an application. */
export async function openSignUp(service: Service, options: OpenOptions = {}): Promise<Opened> {
  const opened = await openSignIn(service, options)
  return { ...opened, page: await opened.visitor.visit(opened.page.url.replace('/sign-in', '/sign-up')) }
}

export type Typed = { email?: string; name?: string; password?: string }

/** Signs up as far as the page that waits for the mail's code. */
export async function signUpAndWait(
  service: Service,
  typed: Typed = {},
  options: OpenOptions = {}
): Promise<Opened> {
  const opened = await openSignUp(service, options)
  const page = await opened.visitor.submit(opened.page, 'sign-up-form', {
    email: 'ada@example.org',
    name: 'Ada',
    password,
    ...typed
  })
  return { ...opened, page }
}

/** Link and code of the newest confirmation that was mailed to an address. */
export async function lastConfirmation(service: Service, address: string, count = 1) {
  const [mail] = await service.mailTo(address, count)
  return {
    link: mail?.links.find(link => link.includes('/verify-email/')) ?? '',
    code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
  }
}

/** Posts the form with this body as it stands, after its CSRF field. */
export async function postRaw(
  visitor: Visitor,
  page: Answer,
  {
    form,
    body,
    contentType = 'application/x-www-form-urlencoded'
  }: { form: string; body: string; contentType?: string }
): Promise<Answer> {
  const { action, fields } = findForm(page, form)
  const hidden = new URLSearchParams(fields).toString()
  return await visitor.request(action, {
    method: 'POST',
    body: `${hidden}&${body}`,
    headers: { 'content-type': contentType }
  })
}

/** What an observer can compare of two answers: without what is made for each request, or was typed into it. */
export function comparable(answer: Answer, typed: string[] = []): object {
  const uid = /\/interaction\/([\w-]+)/.exec(answer.url)?.[1] ?? 'no-uid'
  const mask = (text: string) =>
    [uid, ...typed]
      .filter(secret => secret !== '')
      .reduce((masked, secret) => masked.replaceAll(secret, '…'), text)
      .replace(/name="_csrf" value="[^"]*"/g, 'name="_csrf"')
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'an id')
  const varying = new Set(['date', 'content-length', 'keep-alive'])
  const cookies = answer.headers
    .getSetCookie()
    .map(line => mask(line).replace(/^([\w-]+)=[^;]*/, '$1'))
    .sort()
  return {
    status: answer.status,
    location: answer.location === null ? null : mask(answer.location),
    headers: Object.fromEntries(
      [...answer.headers]
        .filter(([name]) => !varying.has(name) && name !== 'set-cookie')
        .map(([name, value]) => [name, mask(value)])
    ),
    cookies,
    body: mask(answer.text)
  }
}

/** A field of a page as the person sees it filled in. */
export function typedIn({ text }: Answer, field: string): string | undefined {
  const input = new RegExp(`<input id="${field}"[^>]*>`, 's').exec(text)?.[0]
  return input === undefined ? undefined : (/ value="([^"]*)"/.exec(input)?.[1] ?? '')
}

/** The fault that a page tells of a field. */
export const faultOf = ({ text }: Answer, field: string): string | undefined =>
  new RegExp(`id="${field}-fault"[^>]*>([^<]+)`).exec(text)?.[1]

// Mail, rotation of keys, the audit trail's months, retention: they run whenever it is their time.
const ofJobs =
  /pgboss|mail_outbox set|development_mailbox|from mail_outbox|pg_notify|private_jwk|signing keys|lock_timeout|partition|pg_inherits|^ ?delete from .* limit /

/** The statements that the service sent for requests since `statements` was cut: without its jobs' own. */
export const statementsOf = (service: Service): string[] =>
  service.statements.map(text => text.replace(/\s+/g, ' ')).filter(text => !ofJobs.test(text))
