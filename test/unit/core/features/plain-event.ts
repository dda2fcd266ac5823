// An event of a card with only a time, an amount and a position in the log.

import type { CardEvent } from '../../../../services/core/features/state/card-event.ts'
import { STREAM_START_MS } from '../../../support/feature-streams.ts'

export const PLAIN_EVENT: CardEvent = {
  timeMs: STREAM_START_MS,
  offset: 0,
  amountMinor: 100,
  idHash: 1,
  intentHash: 0,
  merchantHash: 0,
  terminalHash: 0,
  deviceHash: 0,
  networkHash: 0,
  categoryHash: 0,
  categoryCode: NaN,
  countryHash: 0,
  hasPlace: false,
  latitudeE4: 0,
  longitudeE4: 0,
  utcOffsetMinutes: 0,
  presence: 0,
  isDeclined: false,
  cardHash: 0,
}
