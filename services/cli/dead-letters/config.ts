// What the dead-letter commands read from the environment beside what every reader of topics does.

import { EnvReader } from '../../platform/config/env-reader.ts'

/** Settings that a redrive shares with the scorer, so that it foresees what the scorer will do. */
export interface RedriveConfig {
  /** How far an event time may lie ahead of its record's time stamp, ms. */
  readonly eventAheadMsMax: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming the bad variable. */
export function loadRedriveConfig(
  env: Readonly<Record<string, string | undefined>>,
): RedriveConfig {
  const read = new EnvReader(env)
  const config = { eventAheadMsMax: read.value('SLUICE_EVENT_AHEAD_MS_MAX') }
  read.throwIfInvalid()
  return Object.freeze(config)
}
