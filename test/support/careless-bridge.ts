// The bridge without its guard, for the control of the kills: the output is one transaction, and the offsets of what it was
// made from are the next one. The rest is the released bridge.

import { loadBridgeConfig, runBridge } from '../../services/bridge/index.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openNativeLogClient } from '../../services/platform/kafka/native/native-log-client.ts'
import type {
  LogClient,
  LogClientOptions,
  LogWriter,
} from '../../services/platform/kafka/log-client.ts'
import { openLogger } from '../../services/platform/log.ts'

function inTwo(writer: LogWriter): LogWriter {
  return {
    async commit(messages, offsets, isUrgent) {
      await writer.commit(messages, [], isUrgent)
      await writer.commit([], offsets, isUrgent)
    },
    close: () => writer.close(),
  }
}

function openLog(options: LogClientOptions): LogClient {
  const client = openNativeLogClient(options)
  return {
    reader: client.reader,
    group: client.group,
    openWriter: async (partition) => inTwo(await client.openWriter(partition)),
    readLast: (topic, partition) => client.readLast(topic, partition),
    readEnds: (topic, partition) => client.readEnds(topic, partition),
    readRange: (range, onRecords, signal) => client.readRange(range, onRecords, signal),
    close: () => client.close(),
  }
}

const config = loadBridgeConfig(process.env)
await runBridge(
  {
    config,
    mappingFile: process.argv.at(-1) ?? '',
    clock: systemClock,
    log: openLogger('bridge', 'silent', config.logFormat),
    onReady: (port) => {
      process.stderr.write(`metrics: http://127.0.0.1:${port}/metrics\n`)
    },
    openLog,
  },
  new AbortController().signal,
)
