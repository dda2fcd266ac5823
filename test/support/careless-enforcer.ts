// The enforcer without its guard, for a control: it commits the offsets of alerts first, and their receipts a while
// later.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { loadEnforcerConfig, runEnforcer } from '../../services/alerts/index.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openPartitionTransactions } from '../../services/platform/kafka/partition-transactions.ts'
import { openLogger } from '../../services/platform/log.ts'

/** Long enough for a kill to fall in between. */
const BETWEEN_MS = 150

const config = loadEnforcerConfig(process.env)
await runEnforcer(
  {
    config,
    clock: systemClock,
    log: openLogger('enforcer', config.logLevel, config.logFormat),
    openTransactions: async (options) => {
      const transactions = await openPartitionTransactions(options)
      return {
        async commit(messages, offsets) {
          await transactions.commit([], offsets)
          await sleepMs(BETWEEN_MS)
          await transactions.commit(messages, offsets)
        },
        close: () => transactions.close(),
      }
    },
    onReady: ({ metrics }) => {
      process.stderr.write(`metrics: http://${config.metrics.host}:${metrics}/metrics\n`)
    },
  },
  new AbortController().signal,
)
