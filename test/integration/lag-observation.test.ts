// Goal: no stale lag is reported while a broker does not answer. Method: a broker for this test alone, paused and
// resumed under a scorer.

import { ok, strictEqual } from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { provisionStack } from '../../tools/servers/stack.ts'
import { jarsFolder } from '../../tools/servers/local-kafka.ts'
import { stackPaths, readRecord } from '../../tools/servers/stack-record.ts'
import { closeWith } from '../support/cleanup.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { LONG_SESSION, openStream, PARTITION_COUNT, simulatedEvents } from '../support/streams.ts'
import { seriesOf } from '../../services/cli/metrics-page.ts'

const root = join(import.meta.dirname, '../..')
/** The broker is asked at least once in this time. */
const OBSERVED_ONCE_MS = 2_500

/** Starts a broker for this file. Returns its process id. */
async function startBroker(t: TestContext): Promise<number> {
  const stateFolder = mkdtempSync(join(tmpdir(), 'sluice-lag-'))
  const { kafkaFolder, pomFile, recordFile } = stackPaths(root, stateFolder)
  const fetched = jarsFolder(pomFile, stackPaths(root).kafkaFolder)
  mkdirSync(kafkaFolder, { recursive: true })
  if (existsSync(fetched)) symlinkSync(fetched, jarsFolder(pomFile, kafkaFolder))
  const stack = await provisionStack({
    root,
    stateFolder,
    env: { ...process.env, SLUICE_KAFKA_BROKERS: undefined, SLUICE_STACK_PROVIDER: 'local' },
    onProgress: () => undefined,
  })
  const pid = readRecord(recordFile).kafka?.process?.pid ?? 0
  ok(pid > 0, 'the broker is a process of this test')
  closeWith(t, async () => {
    process.kill(pid, 'SIGCONT')
    await stack.stop()
    rmSync(stateFolder, { recursive: true })
  })
  process.env['SLUICE_KAFKA_BROKERS'] = stack.kafka.brokers.join(',')
  return pid
}

async function lagSeries(scorer: ScorerProcess): Promise<readonly number[]> {
  const { body } = await scorer.page('/metrics')
  const messages = seriesOf(body, 'sluice_lag_messages').map(({ value }) => value)
  strictEqual(seriesOf(body, 'sluice_lag_seconds').length, messages.length)
  return messages
}

test('while the broker does not answer no lag is reported, and failures are counted', async (t) => {
  const broker = await startBroker(t)
  const stream = await openStream(t, 'silent')
  const outputs = followOutputs(t, stream)
  // Longer than the pause, so that the partitions stay assigned.
  const scorer = await startScorer(t, stream.patientEnvironment(LONG_SESSION))
  await stream.send(await simulatedEvents(300))
  const isFinalised = async (): Promise<boolean> => {
    const lags = await lagSeries(scorer)
    return lags.length === PARTITION_COUNT && lags.every((lag) => lag === 0)
  }
  await outputs.until('all decisions', () => outputs.isCaughtUp)
  await eventually('all is decided', isFinalised)
  // On a busy machine a late answer counts as a missing one.
  const failuresOf = () => scorer.metric('sluice_lag_observation_failures_total')
  let before = await failuresOf()
  const standsStill = async (): Promise<boolean> => {
    const now = await failuresOf()
    const isSame = now === before
    before = now
    return isSame && (await isFinalised())
  }
  await eventually('none fails any more', standsStill, { intervalMs: OBSERVED_ONCE_MS })
  process.kill(broker, 'SIGSTOP')
  await eventually('the series end', async () => (await lagSeries(scorer)).length === 0)
  const failures = await failuresOf()
  ok(failures > before)
  await eventually('failures go on', async () => (await failuresOf()) > failures)
  process.kill(broker, 'SIGCONT')
  await eventually('the lag is seen again', isFinalised)
})
