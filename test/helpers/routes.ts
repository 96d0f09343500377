// Every address that the server answers.
import type { Service } from './service.ts'

export type Route = { url: string; methods: string[] }

/** Reads what the server itself knows of its routes, so that a new one is crawled by itself. */
export function listRoutes({ app }: Service): Route[] {
  const path: string[] = []
  return app.http
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap(line => {
      const [, indent = '', part = '', methods = ''] = /^([│├└─\s]*)(\S*) \(([A-Z, ]+)\)$/.exec(line) ?? []
      if (methods === '') return []
      const depth = indent.replace(/[^│├└\s]/g, '').length / 4
      path.length = Math.floor(depth)
      path.push(part)
      const url = `/${path.join('')}`.replaceAll('//', '/')
      return [{ url, methods: methods.split(', ') }]
    })
}
