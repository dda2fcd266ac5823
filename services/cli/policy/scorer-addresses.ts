// Where the metrics pages of scorers are.

import { InvalidArgumentError } from 'commander'
import { isSluiceError } from '../../core/errors.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { metricsUrl } from '../metrics-page.ts'

const SCORERS_MAX = 64

/** Gathers an option that may be given often. */
export function scorerOption(
  text: string,
  before: readonly string[] | undefined,
): readonly string[] {
  const all = [...(before ?? []), addressOption(text)]
  if (all.length <= SCORERS_MAX) return all
  throw new InvalidArgumentError(`Give at most ${SCORERS_MAX}.`)
}

/** Where a scorer with this environment would be; nowhere when it takes a free port. */
export function usualScorers(): readonly string[] {
  const read = new EnvReader(process.env)
  const [host, port] = [read.value('SLUICE_METRICS_HOST'), read.value('SLUICE_METRICS_PORT')]
  read.throwIfInvalid()
  return port === 0 ? [] : [`${host}:${port}`]
}

/** The address of a metrics page, as it is given. */
export function addressOption(text: string): string {
  try {
    metricsUrl(text)
    return text
  } catch (error) {
    if (isSluiceError(error)) throw new InvalidArgumentError(error.message)
    throw error
  }
}
