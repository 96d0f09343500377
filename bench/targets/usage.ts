// What a server under measurement tells of itself, and its profile when one is asked for.
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

export type Usage = { cpuMicroseconds: number; rssBytes: number; statements: number }

/** Answers to the parent: what was used since the start, and a CPU profile of the time between two calls. */
export function usageAnswers(statements: () => number) {
  const session = new Session()
  return {
    usage: (): Usage => {
      const { user, system } = process.cpuUsage()
      return { cpuMicroseconds: user + system, rssBytes: process.memoryUsage.rss(), statements: statements() }
    },
    startProfile: async () => {
      session.connect()
      await session.post('Profiler.enable')
      await session.post('Profiler.setSamplingInterval', { interval: 200 })
      await session.post('Profiler.start')
    },
    endProfile: async (file: string) => {
      const { profile } = await session.post('Profiler.stop')
      session.disconnect()
      writeFileSync(file, JSON.stringify(profile))
    }
  }
}
