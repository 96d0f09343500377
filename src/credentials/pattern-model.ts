// Repetition, sequences, rows and columns of keys: text that goes on as it did a moment ago, moved by a fixed step.
// `aaaa` and `abcabc` are moved by nothing, `abcd` and `112233` by one letter or digit, `1qaz2wsx3edc` by one key.

/** Rows of keys are this far apart, more than any is long. */
const rowDistance = 16

const keyboards = [
  ['1234567890-=', 'qwertyuiop[]', "asdfghjkl;'", 'zxcvbnm,./'],
  ['1234567890ß', 'qwertzuiopü+', 'asdfghjklöä#', 'yxcvbnm,.-'],
  ['1234567890', 'azertyuiop^$', 'qsdfghjklmù*', 'wxcvbn,;:!'],
  ['1234567890-=', 'йцукенгшщзхъ', 'фывапролджэ', 'ячсмитьбю.'],
  ['789', '456', '123']
].map(
  rows =>
    new Map(
      rows.flatMap((row, y) => Array.from(row, (key, x): [string, number] => [key, x + y * rowDistance]))
    )
)

type Space = {
  /** The text's characters as numbers; NaN: has no place here. */
  places: Float64Array
  steps: ReadonlySet<number>
  /** How far back a pattern may have begun. */
  reach: number
}

const codeSteps = new Set([0, 1, -1, 2, -2])
const keySteps = new Set([1, -1, rowDistance, -rowDistance])

/**
 * For each kind of pattern a function that is told, place after place, how many bits it takes to get to the place, and
 * answers how many it takes to get past the character there by a pattern. Beginning one costs; going on is free.
 */
export function createPatterns(text: string): ((at: number, bits: number) => number)[] {
  const placesOf = (place: (at: number) => number) =>
    Float64Array.from({ length: text.length }, (_, at) => place(at))
  const codes = { places: placesOf(at => text.charCodeAt(at)), steps: codeSteps, reach: 64 }
  const keys = keyboards.map(keyboard => ({
    places: placesOf(at => keyboard.get(text[at] ?? '') ?? Number.NaN),
    steps: keySteps,
    reach: 8
  }))
  return [codes, ...keys].map(createPattern)
}

function createPattern({ places, steps, reach }: Space): (at: number, bits: number) => number {
  // By distance: the step that is being repeated there, and the bits at the cheapest place where it began.
  const repeated = new Float64Array(reach + 1).fill(Number.NaN)
  const costs = new Float64Array(reach + 1).fill(Number.POSITIVE_INFINITY)
  return (at, bits) => {
    let cheapest = Number.POSITIVE_INFINITY
    for (let distance = 1; distance <= Math.min(at, reach); distance++) {
      const step = (places[at] ?? 0) - (places[at - distance] ?? 0)
      const begun = steps.has(step)
        ? bits + (step === 0 ? 2.5 : 4.5) + Math.log2(distance)
        : Number.POSITIVE_INFINITY
      const gone = step === repeated[distance] ? (costs[distance] ?? begun) : Number.POSITIVE_INFINITY
      const cost = Math.min(begun, gone)
      repeated[distance] = step
      costs[distance] = cost
      cheapest = Math.min(cheapest, cost)
    }
    return cheapest
  }
}
