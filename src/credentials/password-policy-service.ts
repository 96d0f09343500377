// Which passwords may be set: by sign-up, change and reset alike.
import type { Context } from '../context.ts'
import { readCommonPasswords } from './common-passwords.ts'
import {
  countGuessBits,
  createCommonWordFinder,
  createOwnWordFinder,
  enoughBits,
  foldPassword,
  type Ranks,
  readingsOf
} from './guessing-model.ts'
import { checkNewPassword, type PasswordFault } from './model.ts'
import { isBreached } from './pwned-passwords-service.ts'

/** Whose password it will be, as far as it is known: a fault of these is told by others. */
export type PasswordOwner = { email: string; name: string }

/**
 * Whether a new password may be set; null: it may. Not for passwords that exist already: those are verified as they are.
 *
 * - `missing`, `too_short`, `too_long`: by its length, see `checkNewPassword`.
 * - `common`: made of nothing but the passwords and words that guessers try first, repetition, sequences, rows of keys,
 *   and digits and signs around them.
 * - `guessable`: it would do for somebody else, but here the address, the name or the brand is most of it.
 * - `breached`: found in the lookup of breached passwords, where one is set up.
 *
 * The same work for any owner. Call it before the password is hashed, and outside a transaction: the lookup may take
 * a second. It answers no and logs a warning when the lookup fails.
 *
 * @see NIST SP 800-63B-4 §3.1.1.2
 */
export async function judgeNewPassword(
  ctx: Context,
  password: unknown,
  { email, name }: PasswordOwner
): Promise<PasswordFault | null> {
  const fault = checkNewPassword(ctx.config, password)
  if (fault !== null) return fault
  const text = password as string
  const ownWords = ownWordsOf([email, name, ctx.config.brand.name])
  const guessed = judgeGuessing(text, ownWords, await readCommonPasswords())
  if (guessed !== null) return guessed
  return (await isBreached(ctx, text)) ? 'breached' : null
}

/** Whether a password is soon guessed, by everybody or by who knows these words of its owner. Pure. */
export function judgeGuessing(
  password: string,
  ownWords: Iterable<string>,
  common: Ranks
): 'common' | 'guessable' | null {
  const folded = foldPassword(password)
  // Once more without what stands between words: `p-a-s-s-w-o-r-d`.
  const texts = new Set([folded, folded.replace(/[\s,._'-]+/g, '')])
  let fault: 'guessable' | null = null
  for (const text of texts) {
    const readings = readingsOf(text)
    const findCommon = createCommonWordFinder(readings, common)
    if (countGuessBits(text, [findCommon, createOwnWordFinder(readings, ownWords)]) >= enoughBits) continue
    if (countGuessBits(text, [findCommon]) < enoughBits) return 'common'
    fault = 'guessable'
  }
  return fault
}

/** Shorter ones are in many a good password by chance. */
const shortestOwnWord = 3

/** Every word that these texts can be taken apart into, and each text with nothing between its words. */
export function ownWordsOf(texts: readonly string[]): Set<string> {
  const words = texts.flatMap(text => {
    const folded = foldPassword(text)
    const parts = folded.split(/[^\p{L}\p{N}]+/u)
    return [folded, parts.join(''), ...folded.split('@'), ...parts]
  })
  return new Set(words.filter(({ length }) => length >= shortestOwnWord))
}
