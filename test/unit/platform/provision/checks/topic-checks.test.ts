import { match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { judgeRetention } from '../../../../../services/platform/provision/checks/topic-checks.ts'

const DAY_MS = 86_400_000
const topicWith = (retentionMs: number, retentionBytes = -1) => ({
  topic: 'transactions',
  retentionMs,
  retentionBytes,
})

test('inputs must be kept for the longest look back and what comes late: 40 days', () => {
  strictEqual(judgeRetention([topicWith(40 * DAY_MS)]).level, 'ok')
  const short = judgeRetention([topicWith(40 * DAY_MS - 1)])
  strictEqual(short.level, 'warn')
  match(short.remedy ?? '', /retention\.ms of transactions/)
  strictEqual(judgeRetention([topicWith(-1)]).level, 'ok')
})

test('a limit in bytes is pointed out, since it may cut the time short', () => {
  match(judgeRetention([topicWith(-1, 1_000_000)]).remedy ?? '', /retention\.bytes/)
})
