// Apache with mod_auth_openidc as a process of the test's own: its directory, its port, nothing of the machine's settings.
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from './wait.ts'

type Teardown = { teardown: (work: () => unknown) => void }

const modules = '/usr/lib/apache2/modules'
const program = '/usr/sbin/apache2'

export const apacheIsThere = (): boolean =>
  existsSync(program) && existsSync(join(modules, 'mod_auth_openidc.so'))

export type Site = {
  /** Directives of the server, `Listen` among them, after those that any server needs. */
  directives: string
  /** Served from the root, by path; server-side includes are evaluated. */
  pages: Record<string, string>
}

export type Apache = { errors: () => string }

/** Starts Apache and waits until it listens; ended at teardown. As root it serves as www-data. */
export async function startApache(t: Teardown, site: Site): Promise<Apache> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-apache-'))
  chmodSync(directory, 0o755)
  for (const [path, text] of Object.entries(site.pages)) {
    const file = join(directory, 'pages', path)
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, text)
  }
  writeFileSync(join(directory, 'apache.conf'), configuration(directory, site))
  // A test that is killed has no teardown: then its end of the pipe closes, `cat` ends, and Apache with it.
  const script = `exec 3<&0
${program} -f "$0/apache.conf" -D FOREGROUND 2>"$0/start.log" &
apache=$!
(cat <&3 >/dev/null; kill $apache) &
wait $apache`
  const child = spawn('/bin/sh', ['-c', script, directory])
  const ended = new Promise(resolve => child.on('exit', resolve))
  t.teardown(async () => {
    child.stdin.end()
    await ended
    rmSync(directory, { recursive: true, force: true })
  })
  const read = (name: string) =>
    existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8') : ''
  const errors = () => read('start.log') + read('error.log')
  const started = waitFor(() => existsSync(join(directory, 'apache.pid')) || child.exitCode !== null)
  await started.catch(() => {})
  if (!existsSync(join(directory, 'apache.pid'))) throw new Error(`Apache did not start:\n${errors()}`)
  return { errors }
}

function configuration(directory: string, { directives }: Site): string {
  const wanted = [
    'mpm_event',
    'authn_core',
    'authz_core',
    'authz_user',
    'auth_openidc',
    'mime',
    'dir',
    'include'
  ]
  // Apache refuses to serve as root; anybody else serves as themselves.
  const user = process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''
  return `
ServerRoot ${directory}
ServerName localhost
PidFile ${directory}/apache.pid
DefaultRuntimeDir ${directory}
Mutex file:${directory} default
ErrorLog ${directory}/error.log
LogLevel warn
${user}
${wanted.map(name => `LoadModule ${name}_module ${modules}/mod_${name}.so`).join('\n')}
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
MinSpareThreads 5
MaxSpareThreads 25
TypesConfig /dev/null
AddType text/html .html
DirectoryIndex index.html
DocumentRoot ${directory}/pages
<Directory ${directory}/pages>
  Options +Includes
  SetOutputFilter INCLUDES
</Directory>
${directives}
`
}
