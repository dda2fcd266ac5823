// The forwarder without its guard, for a control: an alert counts as delivered at once, and is sent a while later. It is
// started with the arguments of `sluice alerts forward`.

import { setTimeout as sleepMs } from 'node:timers/promises'
import {
  loadForwardConfig,
  loadTargets,
  openSender,
  runForwarder,
} from '../../services/alerts/index.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openLogger } from '../../services/platform/log.ts'

/** Longer than offsets wait to be committed. */
const LATER_MS = 600

const [, targetsFile = ''] = process.argv.slice(process.argv.indexOf('--targets'))
const config = loadForwardConfig(process.env)
const send = openSender(systemClock)
await runForwarder(
  {
    config: { ...config, topicPrefix: config.topicPrefix ?? '' },
    targets: loadTargets(targetsFile, process.env),
    clock: systemClock,
    random: () => Math.random(),
    log: openLogger('forwarder', config.logLevel, config.logFormat),
    send: (target, event) => {
      void sleepMs(LATER_MS).then(() => send(target, event, new AbortController().signal))
      return Promise.resolve({ kind: 'answered', status: 204, retryAfterMs: null })
    },
    onReady: (port) => {
      process.stderr.write(`metrics: http://${config.metrics.host}:${port}/metrics\n`)
    },
  },
  new AbortController().signal,
)
