// Moves the time of this process: ours and the libraries', which read Date themselves. Timers are left alone.
const RealDate = Date

/** Puts a movable Date in place. `reset` puts the real one back. */
export function clockShift(): { advance: (milliseconds: number) => void; reset: () => void } {
  let shift = 0
  globalThis.Date = class extends RealDate {
    constructor(...parts: ConstructorParameters<DateConstructor> | []) {
      if (parts.length === 0) super(RealDate.now() + shift)
      else super(...(parts as [number]))
    }
    static override now(): number {
      return RealDate.now() + shift
    }
  } as DateConstructor
  return {
    advance: milliseconds => {
      shift += milliseconds
    },
    reset: () => {
      globalThis.Date = RealDate
    }
  }
}
