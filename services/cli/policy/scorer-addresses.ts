// Addresses of the scorers' metrics pages.

import { InvalidArgumentError } from 'commander'
import { isSluiceError } from '../../core/errors.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { metricsUrl } from '../metrics-page.ts'

const SCORERS_MAX = 64

/** Collects a repeatable option. */
export function scorerOption(
  text: string,
  before: readonly string[] | undefined,
): readonly string[] {
  const all = [...(before ?? []), addressOption(text)]
  if (all.length <= SCORERS_MAX) return all
  throw new InvalidArgumentError(`Give at most ${SCORERS_MAX}.`)
}

/** Default address of a scorer with this environment; none when it uses a free port. */
export function usualScorers(): readonly string[] {
  const read = new EnvReader(process.env)
  const [host, port] = [read.value('SLUICE_METRICS_HOST'), read.value('SLUICE_METRICS_PORT')]
  read.throwIfInvalid()
  return port === 0 ? [] : [`${host}:${port}`]
}

/** Checks the address of a metrics page, and returns it unchanged. */
export function addressOption(text: string): string {
  try {
    metricsUrl(text)
    return text
  } catch (error) {
    if (isSluiceError(error)) throw new InvalidArgumentError(error.message)
    throw error
  }
}
