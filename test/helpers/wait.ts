// Waiting for what happens in its own time: a mail that leaves, a job that is worked.
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves once `condition` holds; fails after ten seconds. */
export async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('what was waited for did not happen within ten seconds')
    await sleep(5)
  }
}
