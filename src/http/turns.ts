// Lets a crowd of forms in a few at a time, so that whatever is answered from memory meanwhile waits for a few of them only.

const perRound = 4
const waiting: (() => void)[] = []
let admitted = 0

function nextRound(): void {
  admitted = 0
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    next()
    if (++admitted === perRound) break
  }
  if (admitted > 0) setImmediate(nextRound)
}

/**
 * Resolves when this request may go on: at once while few come in one round of the event loop, else in a later one, first
 * come, first served. Between rounds other requests are read and answered.
 */
export async function takeTurn(): Promise<void> {
  if (admitted === 0) setImmediate(nextRound)
  if (admitted < perRound) {
    admitted++
    return
  }
  await new Promise<void>(resolve => waiting.push(resolve))
}
