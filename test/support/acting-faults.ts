// Faults of the services that act on alerts of an observed system: a stopped enforcer, receipts that cannot count, and
// then no receipts service, queue, forwarder or lake writer.

import type { TestContext } from 'node:test'
import { openSender } from './acting.ts'
import type { AlertWatch } from './alert-watch.ts'
import type { CliProcess } from './cli-process.ts'
import type { ObservedSystem } from './observed-system.ts'

/** Services that act on alerts, and the writer of the lake. */
export interface Acting {
  readonly enforcer: CliProcess
  readonly receipts: CliProcess
  readonly cases: CliProcess
  readonly lake: CliProcess
  readonly forwarder: CliProcess
}

/** Starts all of them; the forwarder sends to this address. */
export async function startActing(system: ObservedSystem, url: string): Promise<Acting> {
  const [enforcer, others] = await Promise.all([system.startEnforcer(), startOthers(system, url)])
  return { enforcer, ...others }
}

/**
 * Ends each and starts it again, and waits for the resulting alerts to fire and to clear. Queue and lake writer are not
 * restarted: they cost processor time, which the next faults need.
 */
export async function breakActing(
  t: TestContext,
  system: ObservedSystem,
  acting: Acting,
  url: string,
  { fires, clears }: Pick<AlertWatch, 'fires' | 'clears'>,
): Promise<void> {
  const { enforcer, receipts, cases, lake, forwarder } = acting
  const send = await openSender(t, system.stream)
  await enforcer.end('SIGTERM')
  await send('receipts', [{ key: 'x', value: Buffer.from('no receipt') }])
  await fires('SluiceReceiptsRefused', 'SluiceEnforcerNotReady', 'SluiceBlocksWithoutReceipt')
  await system.startEnforcer()
  await clears('SluiceEnforcerNotReady', 'SluiceBlocksWithoutReceipt')

  await Promise.all([receipts, cases, lake, forwarder].map((each) => each.end('SIGTERM')))
  const away = [
    'SluiceReceiptsNotFollowed',
    'SluiceForwarderAway',
    'SluiceCasesNotServed',
    'SluiceLakeWriterAway',
  ]
  await fires(...away)
  const started = await startOthers(system, url)
  await clears(...away, 'SluiceReceiptsRefused')
  await Promise.all([started.cases, started.lake].map((each) => each.end('SIGTERM')))
}

async function startOthers(system: ObservedSystem, url: string): Promise<Omit<Acting, 'enforcer'>> {
  const [receipts, cases, lake, forwarder] = await Promise.all([
    system.startReceiptsWatch(),
    system.startCases(),
    system.startLakeWriter(),
    system.startForwarder(url),
  ])
  return { receipts, cases, lake, forwarder }
}
