// The passwords and words that guessers try first, read when they are first asked for.
//
// common-passwords.txt has them by how often they are found in leaks, common-phrases.txt the long ones that people take
// where many characters are asked for.
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { beginningLength, type Ranks } from './guessing-model.ts'

/** Words that join others: `kevinandjessica`. They stand in no list of passwords, being too short for one. */
const joiningWords = 'a and are for i in is it me my not of so that the this to we with you your'.split(' ')
const joiningRank = 12
const yearRank = 100
const phraseRank = 3000

let reading: Promise<Ranks> | null = null

/** The same object each time. A megabyte or two of memory, from some 270 KB of files. */
export async function readCommonPasswords(): Promise<Ranks> {
  reading ??= readRanks()
  return await reading
}

async function readRanks(): Promise<Ranks> {
  const [passwords, phrases] = await Promise.all(
    ['common-passwords.txt', 'common-phrases.txt'].map(readLines)
  )
  const ranks = new Map<string, number>()
  const add = (word: string, rank: number) => {
    if (rank < (ranks.get(word) ?? Number.POSITIVE_INFINITY)) ranks.set(word, rank)
  }
  for (const [index, password] of (passwords ?? []).entries()) add(password, index + 1)
  // Separators are dropped from what is judged, too.
  for (const phrase of phrases ?? []) add(phrase.replaceAll(' ', ''), phraseRank)
  for (const word of joiningWords) add(word, joiningRank)
  for (let year = 1940; year < 2040; year++) add(String(year), yearRank)
  return { ranks, beginnings: beginningsOf(ranks.keys()) }
}

function beginningsOf(words: Iterable<string>): Set<string> {
  const beginnings = new Set<string>()
  for (const word of words)
    for (let length = beginningLength; length < word.length; length += beginningLength)
      beginnings.add(word.slice(0, length))
  return beginnings
}

async function readLines(file: string): Promise<string[]> {
  const text = await readFile(resolve(import.meta.dirname, file), 'utf8')
  return text.split('\n').filter(line => line !== '')
}
