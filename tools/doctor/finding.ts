// The result of one check: what was found, whether it is good enough, and the remedy.

import { setTimeout as delay } from 'node:timers/promises'

/** `warn`: Sluice runs, but worse than it could. `fail`: it does not run until the remedy is applied. */
type FindingLevel = 'ok' | 'warn' | 'fail'

export interface Finding {
  readonly name: string
  readonly level: FindingLevel
  readonly seen: string
  /** The remedy; null where none is needed. */
  readonly remedy: string | null
}

export interface Check {
  readonly name: string
  look(): Promise<Omit<Finding, 'name'>>
}

const CHECK_LIMIT_MS = 20_000

/** Runs all checks concurrently. A check that throws or hangs becomes a finding itself. */
export function runChecks(
  checks: readonly Check[],
  limitMs: number = CHECK_LIMIT_MS,
): Promise<readonly Finding[]> {
  return Promise.all(checks.map((check) => runCheck(check, limitMs)))
}

/** A good finding. */
export function ok(seen: string): Omit<Finding, 'name'> {
  return { level: 'ok', seen, remedy: null }
}

/** A finding with which Sluice still works. */
export function warn(seen: string, remedy: string): Omit<Finding, 'name'> {
  return { level: 'warn', seen, remedy }
}

/** A finding that stops Sluice from working. */
export function fail(seen: string, remedy: string): Omit<Finding, 'name'> {
  return { level: 'fail', seen, remedy }
}

async function runCheck(check: Check, limitMs: number): Promise<Finding> {
  const timer = new AbortController()
  const late = async (): Promise<Omit<Finding, 'name'>> => {
    await delay(limitMs, undefined, { signal: timer.signal, ref: false })
    return fail(`no answer within ${limitMs / 1000} s`, 'Free the machine and try again.')
  }
  try {
    return { name: check.name, ...(await Promise.race([check.look(), late()])) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { name: check.name, ...fail(`could not be checked: ${message}`, 'Repair the cause.') }
  } finally {
    timer.abort()
  }
}
