// An event of a card that says nothing but when it was, for how much, and where it stands in the log.

import type { CardEvent } from '../../../../services/core/features/state/card-event.ts'
import { STREAM_START_MS } from '../../../support/feature-streams.ts'

export const PLAIN_EVENT: CardEvent = {
  timeMs: STREAM_START_MS,
  offset: 0,
  amountMinor: 100,
  idRef: 1,
  intentRef: 0,
  merchantRef: 0,
  terminalRef: 0,
  deviceRef: 0,
  networkRef: 0,
  categoryRef: 0,
  categoryCode: NaN,
  countryRef: 0,
  hasPlace: false,
  latitudeE4: 0,
  longitudeE4: 0,
  utcOffsetMinutes: 0,
  presence: 0,
  isDeclined: false,
  cardHash: 0,
}
