// Stylesheets, script, icons and the operator's logo: read once at start, served from memory under names that carry
// their hash, so that browsers keep them for good.
import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { brandIcon, brandStylesheet } from './brand-stylesheet.ts'
import { PageNotFound } from './errors.ts'

const directory = resolve(import.meta.dirname, '../../views/assets')

/** The browser's half of WebAuthn, as its authors bundle it for pages: a script that makes `SimpleWebAuthnBrowser`. */
const webauthnScript = fileURLToPath(
  new URL('../dist/bundle/index.umd.min.js', import.meta.resolve('@simplewebauthn/browser'))
)

const contentTypes: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon'
}

export type Asset = { path: string; contentType: string; body: Buffer }

/** Assets by plain name: `gatehouse.css`, `brand.css`, `brand-logo.svg` … */
export type Assets = Map<string, Asset>

/** Reads the files of views/assets, the script for WebAuthn (as `simplewebauthn.js`), the operator's logo (as `brand-logo.*`) and makes `brand.css`. */
export function loadAssets(config: Config): Assets {
  const assets: Assets = new Map()
  const add = (name: string, body: Buffer) => {
    const extension = extname(name)
    const contentType = contentTypes[extension]
    if (contentType === undefined) throw new Error(`${name}: no content type is known for ${extension}`)
    const path = `/assets/${name.slice(0, -extension.length)}.${hash('sha256', body).slice(0, 16)}${extension}`
    assets.set(name, { path, contentType, body })
  }
  for (const name of readdirSync(directory)) add(name, readFileSync(join(directory, name)))
  add('simplewebauthn.js', readFileSync(webauthnScript))
  add('favicon.svg', Buffer.from(brandIcon(config.brand.accentColor)))
  add('brand.css', Buffer.from(brandStylesheet(config.brand.accentColor)))
  const { logoPath } = config.brand
  if (logoPath !== null) add(`brand-logo${extname(logoPath)}`, readFileSync(logoPath))
  return assets
}

/**
 * Serves `assets` at their paths. A known name with another hash gets what this process has, not to be kept: while
 * a new release is rolled out, a page of one node may ask the other for its stylesheet.
 */
export function registerAssets(app: FastifyInstance, assets: Assets): void {
  app.get('/assets/:file', async (request: FastifyRequest<{ Params: { file: string } }>, reply) => {
    const { file } = request.params
    const asset = assets.get(file.replace(/\.[0-9a-f]{16}(?=\.[a-z]+$)/, ''))
    if (asset === undefined) throw new PageNotFound()
    return sendAsset(reply, asset, asset.path === `/assets/${file}`)
  })
}

function sendAsset(reply: FastifyReply, asset: Asset, current: boolean): FastifyReply {
  return reply
    .header('cache-control', current ? 'public, max-age=31536000, immutable' : 'no-cache')
    .type(asset.contentType)
    .send(asset.body)
}
