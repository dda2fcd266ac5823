// Where the metrics pages of scorers are.

import { InvalidArgumentError } from 'commander'
import { EnvReader } from '../../platform/config/env-reader.ts'

const SCORERS_MAX = 64

/** Gathers an option that may be given often. */
export function scorerOption(
  text: string,
  before: readonly string[] | undefined,
): readonly string[] {
  const all = [...(before ?? []), text]
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
