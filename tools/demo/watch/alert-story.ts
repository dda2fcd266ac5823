// The story of one fault: it is made, its alert fires, it is repaired, its alert clears. The screen shows each step.

import { pollUntil } from '../../servers/run-program.ts'
import type { PrometheusAlert, PrometheusApi } from '../../servers/prometheus-api.ts'
import { type Screen, seconds } from '../screen.ts'
import type { Fault } from './fault.ts'

const FIRING_MS_MAX = 120_000
const CLEARED_MS_MAX = 180_000
const POLL_MS = 500

type Alerts = Pick<PrometheusApi, 'alerts'>

/** Outcome. Times count from the fault and from its repair; null when the alert did not fire or did not clear. */
export interface AlertStory {
  readonly fault: string
  readonly alert: string
  readonly firedAfterMs: number | null
  readonly clearedAfterMs: number | null
  /** Messages that the fault has added to the transactions. */
  readonly messagesAdded: number
  /** Faults, as sentences. */
  readonly problems: readonly string[]
}

/** Makes the fault, waits for its alert, repairs the fault, and waits until the alert clears. */
export async function tellFault(
  fault: Fault,
  prometheus: Alerts,
  { say }: Pick<Screen, 'say'>,
  signal: AbortSignal,
): Promise<AlertStory> {
  if ((await firing(fault, prometheus)) !== null)
    say(`${fault.alert} is firing already, before the fault`)
  const madeMs = performance.now()
  say(`FAULT    ${fault.sentence}`)
  const messagesAdded = await fault.make()
  const alert = await untilFiring(fault, prometheus, signal)
  const firedAfterMs = alert === null ? null : performance.now() - madeMs
  say(
    alert === null || firedAfterMs === null
      ? `${fault.alert} did not fire`
      : firingText(alert, firedAfterMs),
  )
  const mendedMs = performance.now()
  await fault.mend()
  say('MENDED   the fault is undone')
  const isGone = await pollUntil(async () => (await firing(fault, prometheus)) === null, {
    limitMs: CLEARED_MS_MAX,
    everyMs: POLL_MS,
    signal,
  })
  const clearedAfterMs = isGone && alert !== null ? performance.now() - mendedMs : null
  if (clearedAfterMs !== null) say(`CLEARED  ${fault.alert}, ${seconds(clearedAfterMs)} after that`)
  return {
    fault: fault.name,
    alert: fault.alert,
    firedAfterMs,
    clearedAfterMs,
    messagesAdded,
    problems: [
      ...(alert === null ? [`${fault.alert} did not fire.`] : []),
      ...(isGone ? [] : [`${fault.alert} did not clear.`]),
    ],
  }
}

async function firing(fault: Fault, prometheus: Alerts): Promise<PrometheusAlert | null> {
  const alerts = await prometheus.alerts()
  return alerts.find(({ name, state }) => name === fault.alert && state === 'firing') ?? null
}

async function untilFiring(
  fault: Fault,
  prometheus: Alerts,
  signal: AbortSignal,
): Promise<PrometheusAlert | null> {
  const found: PrometheusAlert[] = []
  const look = async (): Promise<boolean> => {
    const alert = await firing(fault, prometheus)
    if (alert !== null) found.push(alert)
    return alert !== null
  }
  await pollUntil(look, { limitMs: FIRING_MS_MAX, everyMs: POLL_MS, signal })
  return found[0] ?? null
}

function firingText(alert: PrometheusAlert, afterMs: number): string {
  const { labels, annotations } = alert
  return (
    `FIRING   ${alert.name} (${labels['severity'] ?? 'no severity'}), ${seconds(afterMs)} after the fault: ` +
    `${annotations['summary'] ?? ''} See ${annotations['runbook_url'] ?? 'the runbook'}`
  )
}
