// Software that comes as Debian packages: there, or installed where that can be done, or missed aloud.
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'

const installer = resolve(import.meta.dirname, '../interop/install-packages.sh')

/**
 * Whether `isThere` holds, if need be after installing the packages of test/interop. Where they cannot be installed,
 * says on standard error what stays untried.
 */
export async function haveInstalled(
  what: string,
  isThere: () => boolean | Promise<boolean>
): Promise<boolean> {
  if (await isThere()) return true
  const problem = await promisify(execFile)(installer).then(
    () => 'it is not there after installing',
    (error: Error & { stderr?: string }) => error.stderr?.trim().split('\n').at(-1) ?? error.message
  )
  if (await isThere()) return true
  const line = '!'.repeat(80)
  process.stderr.write(
    `\n${line}\nSKIPPED: ${what} is not tried against Gatehouse (${problem}).\n${line}\n\n`
  )
  return false
}
