// A browser without script: cookies, redirects on demand, forms found in pages and posted back. What a person does, as HTTP.

export type Answer = { status: number; headers: Headers; url: string; text: string; location: string | null }
export type Form = { action: string; fields: Record<string, string> }

type Cookie = { value: string; path: string }

export class Visitor {
  readonly cookies = new Map<string, Cookie>()

  /** Sends one request and keeps the answer's cookies. Redirects are not followed. */
  async request(
    url: string,
    {
      method = 'GET',
      body,
      headers = {}
    }: { method?: string; body?: URLSearchParams | string; headers?: Record<string, string> } = {}
  ): Promise<Answer> {
    const { pathname, origin } = new URL(url)
    const cookie = [...this.cookies]
      .filter(([, { path }]) => pathMatches(pathname, path))
      .map(([name, { value }]) => `${name.split('|')[0]}=${value}`)
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        ...(cookie.length > 0 ? { cookie: cookie.join('; ') } : {}),
        ...(method === 'POST' ? { origin } : {}),
        ...headers
      },
      ...(body === undefined ? {} : { body })
    })
    for (const line of response.headers.getSetCookie()) this.keep(line)
    const location = response.headers.get('location')
    return {
      status: response.status,
      headers: response.headers,
      url,
      text: await response.text(),
      location: location === null ? null : new URL(location, url).href
    }
  }

  /** Follows redirects until a page, or until a URL that does not begin with `within`. */
  async visit(url: string, { within = new URL(url).origin }: { within?: string } = {}): Promise<Answer> {
    return await this.follow(await this.request(url), within)
  }

  /** Follows an answer's redirects; stops at the first that leaves `within`, whose URL is then `location`. */
  async follow(answer: Answer, within = new URL(answer.url).origin): Promise<Answer> {
    let current = answer
    for (let hops = 0; current.location?.startsWith(within); hops++) {
      if (hops > 20) throw new Error(`redirected in circles at ${current.url}`)
      current = await this.request(current.location ?? '')
    }
    return current
  }

  /** Fills in and posts the form with this id, with what its hidden fields hold, and follows to the next page. */
  async submit(page: Answer, id: string, fields: Record<string, string> = {}): Promise<Answer> {
    return await this.follow(await this.post(page, id, fields))
  }

  /** As `submit`, without following. */
  async post(page: Answer, id?: string, fields: Record<string, string> = {}): Promise<Answer> {
    const form = findForm(page, id)
    return await this.request(form.action, {
      method: 'POST',
      body: new URLSearchParams({ ...form.fields, ...fields })
    })
  }

  /** What this visitor's browser holds for `name`, wherever it is sent. */
  cookie(name: string): string | undefined {
    return [...this.cookies].find(([key]) => key.split('|')[0] === name)?.[1].value
  }

  private keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';').map(part => part.trim())
    const name = pair.slice(0, pair.indexOf('='))
    const attribute = (wanted: string) =>
      attributes.find(part => part.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1)
    const path = attribute('path') ?? '/'
    const expires = attribute('expires')
    const gone = attribute('max-age') === '0' || (expires !== undefined && new Date(expires) <= new Date())
    const key = `${name}|${path}`
    if (gone) this.cookies.delete(key)
    else this.cookies.set(key, { value: pair.slice(name.length + 1), path })
  }
}

const pathMatches = (pathname: string, path: string): boolean =>
  path === '/' || pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)

/**
 * The form with this id in a page, with its hidden fields' values; without an id, the page's first, as the script of a
 * page that posts itself would. Throws with the page's text when it is not there.
 */
export function findForm({ text, url, status }: Answer, id?: string): Form {
  const form = [...text.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].find(
    ([, attributes = '']) => id === undefined || new RegExp(`\\bid="${id}"`).test(attributes)
  )
  if (form === undefined)
    throw new Error(`no form ${id ?? ''} at ${url} (${status}): ${pageText(text).slice(0, 600)}`)
  const fields = [...(form[2] ?? '').matchAll(/<input\b[^>]*>/gs)]
    .map(([input]) => ({
      type: readAttribute(input, 'type'),
      name: readAttribute(input, 'name'),
      value: readAttribute(input, 'value')
    }))
    .filter(({ type }) => type === 'hidden')
  return {
    action: new URL(readAttribute(form[1] ?? '', 'action') ?? '', url).href,
    fields: Object.fromEntries(fields.map(({ name, value }) => [name ?? '', value ?? '']))
  }
}

const readAttribute = (tag: string, name: string): string | undefined => {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1]
  return value
    ?.replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}

/** The words of a page. */
export const pageText = (html: string): string =>
  html
    .replace(/<head>.*?<\/head>/s, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
