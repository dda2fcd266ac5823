// Goal: the metrics show what a subscriber receives, with labels from closed lists.

import { match, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { createAlertsTelemetry, loadAlertsConfig } from '../../../services/alerts/index.ts'

test('alerts are counted by action, and the latency of each is observed', async () => {
  const telemetry = createAlertsTelemetry()
  telemetry.alertSeen('flag', 40)
  telemetry.alertSeen('block', 120)
  telemetry.alertSeen('block', -3)
  telemetry.alertNotRead('malformed')
  telemetry.following(true)
  const text = await telemetry.registry.metrics()
  match(text, /^sluice_alerts_seen_total\{action="flag"\} 1$/m)
  match(text, /^sluice_alerts_seen_total\{action="block"\} 2$/m)
  match(text, /^sluice_alerts_not_read_total\{reason="malformed"\} 1$/m)
  match(text, /^sluice_event_to_alert_visible_seconds_bucket\{le="0.05"\} 2$/m)
  match(text, /^sluice_event_to_alert_visible_seconds_bucket\{le="0.15"\} 3$/m)
  match(text, /^sluice_alerts_following 1$/m)
})

test('an address list without an address is refused by name', () => {
  throws(() => loadAlertsConfig({ SLUICE_KAFKA_BROKERS: ' , ' }), {
    code: 'SLUICE_CONFIG_INVALID',
    message: /SLUICE_KAFKA_BROKERS/,
  })
})
