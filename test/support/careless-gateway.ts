// The gateway without its guard, for the control of the kills: a transaction counts as written once it is sent, before
// the brokers have acknowledged it. The rest is the released gateway.

import { loadGatewayConfig, runGateway } from '../../services/gateway/index.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openLogger } from '../../services/platform/log.ts'

const config = loadGatewayConfig(process.env)
await runGateway(
  {
    config,
    clock: systemClock,
    log: openLogger('gateway', 'silent', config.logFormat),
    onReady: ({ metrics }) => {
      process.stderr.write(`metrics: http://127.0.0.1:${metrics}/metrics\n`)
    },
    wrapLog: (log) => ({
      append(transaction, value, headers) {
        log.append(transaction, value, headers).catch(() => undefined)
        return Promise.resolve({ partition: 0, offset: 0 })
      },
      digestAt: (partition, offset, deadlineMs) => log.digestAt(partition, offset, deadlineMs),
    }),
  },
  new AbortController().signal,
)
