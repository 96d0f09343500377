// How many guesses a password withstands whose parts are what guessers try first: common passwords and words, what
// belongs to the person, repetition, sequences, rows of keys. Pure.
//
// The cheapest way through the text is looked for: a step over a part costs as many bits as a guesser needs to pick it.
// So it does not matter how parts are put together, only how many there are and how common each is.
import { createPatterns } from './pattern-model.ts'

/** Fewer bits than this are found within some 30 million guesses. Four words picked at random have many more. */
export const enoughBits = 25

/** As many characters as a new password may have. Folding can make more of them: some become eighteen. */
const maxLength = 256

/** Words, each with its place in the order in which guessers try them, from 1 on. */
export type Ranks = {
  ranks: ReadonlyMap<string, number>
  /** Beginnings of the words that are longer, of some lengths: where a text has none of them, no such word begins. */
  beginnings: ReadonlySet<string>
}

type Word = { length: number; bits: number }
/** The words that begin at a place in the text. */
export type WordFinder = (at: number) => readonly Word[]

/** Picking one more word costs this beside its rank: how to write it, and that it is one at all. */
const wordBits = 1.5
/** Writing it with digits and signs that look like its letters. */
const disguiseBits = 1

/** Longer words' beginnings are known at each multiple of this length. */
export const beginningLength = 4

/** The text whichever case, width or ligature it was typed in, as guessers' rules go through them anyway. */
export function foldPassword(password: string): string {
  return password.normalize('NFKC').toLowerCase().slice(0, maxLength)
}

const disguises: Record<string, string> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't',
  '+': 't'
}

/** The text as it is, and with digits and signs read as letters. All are equally long. */
export function readingsOf(text: string): string[] {
  const read = (one: string) => text.replace(/[@430$57+1!|]/g, sign => disguises[sign] ?? one)
  return [...new Set([text, read('i'), read('l')])]
}

/** Finds common words where it is asked for them, and remembers. */
export function createCommonWordFinder(
  readings: readonly string[],
  { ranks, beginnings }: Ranks
): WordFinder {
  const found = new Map<number, Word[]>()
  const findAt = (at: number) =>
    readings.flatMap((text, reading) => {
      const words: Word[] = []
      for (let length = 1; at + length <= text.length; length++) {
        const part = text.slice(at, at + length)
        const rank = ranks.get(part)
        if (rank !== undefined) words.push({ length, bits: wordCost(rank, reading) })
        if (length % beginningLength === 0 && !beginnings.has(part)) break
      }
      return words
    })
  return at => {
    const words = found.get(at) ?? findAt(at)
    found.set(at, words)
    return words
  }
}

/** Finds the words that somebody who knows the person tries first of all. */
export function createOwnWordFinder(readings: readonly string[], ownWords: Iterable<string>): WordFinder {
  const found = new Map<number, Word[]>()
  for (const word of ownWords)
    readings.forEach((text, reading) => {
      for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1))
        found.set(at, [...(found.get(at) ?? []), { length: word.length, bits: wordCost(1, reading) }])
    })
  return at => found.get(at) ?? []
}

const wordCost = (rank: number, reading: number) =>
  Math.log2(rank) + wordBits + (reading === 0 ? 0 : disguiseBits)

/**
 * The bits of the cheapest way to write the text, or Infinity when that takes `enoughBits` or more.
 *
 * Places that cannot be reached for less are not looked at, so a good password is judged by its first few characters.
 */
export function countGuessBits(text: string, finders: readonly WordFinder[]): number {
  const cheapest = new Float64Array(text.length + 1).fill(Number.POSITIVE_INFINITY)
  const reach = (to: number, bits: number) => {
    if (bits < enoughBits && bits < (cheapest[to] ?? 0)) cheapest[to] = bits
  }
  const characters = characterBits(text)
  const patterns = createPatterns(text)
  reach(0, 0)
  for (let at = 0; at < text.length; at++) {
    const bits = cheapest[at] ?? 0
    for (const step of patterns) reach(at + 1, step(at, bits))
    if (bits === Number.POSITIVE_INFINITY) continue
    reach(at + 1, bits + (characters[at] ?? 0))
    for (const find of finders) for (const word of find(at)) reach(at + word.length, bits + word.bits)
  }
  return cheapest[text.length] ?? 0
}

/** What a character costs that belongs to nothing known. */
function characterBits(text: string): number[] {
  const start = /^\P{L}*/u.exec(text)?.[0].length ?? 0
  const end = text.length - (/\P{L}*$/u.exec(text)?.[0].length ?? 0)
  return Array.from({ length: text.length }, (_, at) => {
    // Dates, counters and exclamation marks before and after a word: seldom picked at random.
    if (at < start || at >= end) return 2.3
    const character = text[at] ?? ''
    if (character >= 'a' && character <= 'z') return Math.log2(26)
    if (character >= '0' && character <= '9') return Math.log2(10)
    return character < '\u0080' ? 5 : 6
  })
}
