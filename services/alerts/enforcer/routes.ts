// HTTP routes of the enforcer.

import type { Clock } from '../../core/clock.ts'
import type { ActiveBlocks } from '../../core/active-blocks.ts'
import type { ApiAnswer, Route } from '../../platform/http/api-server.ts'
import { Problem } from '../../platform/http/json-body.ts'
import type { EnforcerTelemetry } from '../../platform/metrics/alerts-telemetry.ts'

const CARD_CHARACTERS_MAX = 128
const BLOCKS_LISTED_MAX = 1_000

interface Answering {
  readonly blocks: ActiveBlocks
  readonly clock: Clock
  readonly telemetry: Pick<EnforcerTelemetry, 'authorised'>
  /** False until the blocks are rebuilt: before that it is unknown whether a card may pay. */
  readonly isReady: () => boolean
}

/** `GET /blocks` and `POST /authorise`. Both need the token, because blocks are confidential. */
export function enforcerRoutes({ blocks, clock, telemetry, isReady }: Answering): readonly Route[] {
  const mustBeReady = (): void => {
    if (isReady()) return
    throw new Problem('not_ready', 'The blocks are being rebuilt from the log.', {
      headers: { 'retry-after': '1' },
    })
  }
  return [
    {
      method: 'POST',
      path: '/authorise',
      needs: 'write',
      async answer(request): Promise<ApiAnswer> {
        // Other fields of an authorisation are ignored.
        const card = (await request.body()).neededIdentifier('card', CARD_CHARACTERS_MAX)
        mustBeReady()
        const block = blocks.blockOf(card, clock.nowMs())
        telemetry.authorised(block !== null)
        const body =
          block === null
            ? { answer: 'allowed', alertId: null, untilMs: null }
            : { answer: 'refused', alertId: block.alertId, untilMs: block.endMs }
        return { status: 200, body }
      },
    },
    {
      method: 'GET',
      path: '/blocks',
      needs: 'read',
      answer(): ApiAnswer {
        mustBeReady()
        const nowMs = clock.nowMs()
        const live = blocks.countLive(nowMs)
        return { status: 200, body: { live, blocks: blocks.list(nowMs, BLOCKS_LISTED_MAX) } }
      },
    },
  ]
}
