// Goal: dead letters can be examined without exposing card numbers, and one sent again after its cause is fixed is
// decided exactly once, however often and by however many operators it is sent.
// Method: a real stream with a scorer in a process of its own; the commands run as an operator runs them.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { REDRIVEN_FROM_HEADER } from '../../services/core/redrive.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { audit } from '../support/audit.ts'
import {
  CARD_NUMBER,
  CARD_NUMBER_GROUPED,
  partitionOfCard,
  HOME,
  STRANGER,
  streamWithLetters,
  decideAll,
  command,
  messagesOf,
  noteWhatWasSent,
  endsOf,
  laterRegistry,
  decidedIds,
  countsOf,
} from '../support/letter-streams.ts'

test('dead letters are listed, counted and shown without card numbers', async (t) => {
  const { stream, bad } = await streamWithLetters(t, 'letters-shown')
  const positionOf = (index: number): string =>
    `${topicName(stream.prefix, 'transactions')}/${HOME}/${2 * index}`
  const listed = await command(stream, ['list', '--json'])
  strictEqual(listed.code, 0, listed.stderr)
  deepStrictEqual(
    listed.json().map(({ position, reason }) => [position, reason]),
    bad.map(({ reason }, index) => [positionOf(index), reason]),
  )
  const filtered = await command(stream, [
    'list',
    '--json',
    '--reason',
    'malformed',
    '--since',
    '1h',
  ])
  deepStrictEqual(
    filtered.json().map(({ position }) => position),
    [positionOf(2), positionOf(3)],
  )
  const limited = await command(stream, ['list', '--limit', '2'])
  strictEqual(limited.stdout.trimEnd().split('\n').length, 3)
  match(limited.stderr, new RegExp(`2 of ${bad.length} shown`))
  const summary = await command(stream, ['list', '--summary', '--json'])
  deepStrictEqual(summary.json()[0], {
    topic: topicName(stream.prefix, 'transactions'),
    reason: 'malformed',
    count: 2,
  })
  const none = await command(stream, ['list', '--topic', 'labels'])
  strictEqual(none.stdout, '')
  match(none.stderr, /no dead letter/)

  const shown = []
  for (const [index] of bad.entries()) {
    shown.push(await command(stream, ['show', `transactions/${HOME}/${2 * index}`, '--payload']))
  }
  match(shown[0]?.stdout ?? '', new RegExp(`"card": "${STRANGER}"`))
  match(shown[5]?.stdout ?? '', /"card": "#{16}"/)
  match(shown[4]?.stdout ?? '', /text: \{"pan":"#### #### #### ####"\}/)
  const absent = await command(stream, ['show', `transactions/${HOME}/1`])
  strictEqual(absent.code, 2)
  match(absent.stderr, /no dead letter about/)

  const hex = Buffer.from(CARD_NUMBER).toString('hex')
  for (const { stdout, stderr } of [listed, limited, ...shown]) {
    const text = `${stdout}${stderr}`
    ok(stdout.length > 0)
    ok(!text.includes(CARD_NUMBER) && !text.includes(CARD_NUMBER_GROUPED), 'a card number is out')
    ok(!text.replaceAll(' ', '').includes(hex), 'a card number is out as hex')
  }
  // Control: the messages do contain it.
  const raw = Buffer.concat((await messagesOf(stream)).map(({ value }) => value ?? Buffer.alloc(0)))
  ok(raw.includes(CARD_NUMBER) && raw.includes(CARD_NUMBER_GROUPED))
})

test('a dead letter sent again after its cause is fixed is decided exactly once', async (t) => {
  const { stream, outputs, bad } = await streamWithLetters(t, 'letters-redriven')
  await using registry = await laterRegistry(stream.prefix)
  const fixed = { SLUICE_SCHEMA_REGISTRY_URL: registry.url }
  const before = await endsOf(stream)

  const unasked = await command(stream, ['redrive'], fixed)
  strictEqual(unasked.code, 2)
  match(unasked.stderr, /--yes/)
  const dry = await command(stream, [
    'redrive',
    '--dry-run',
    '--json',
    '--reason',
    'wrong_partition',
  ])
  deepStrictEqual(dry.json(), [
    {
      position: `${topicName(stream.prefix, 'transactions')}/${HOME}/0`,
      reason: 'wrong_partition',
      state: 'send',
      detail: null,
      toTopic: topicName(stream.prefix, 'transactions'),
      toPartition: partitionOfCard(STRANGER),
      bytes: bad[0]?.value.length,
      headers: {
        [REDRIVEN_FROM_HEADER]: `${topicName(stream.prefix, 'transactions')}/${HOME}/0`,
      },
    },
  ])
  const unregistered = await command(stream, ['redrive', '--dry-run', '--json', '--offset', '2'])
  deepStrictEqual(countsOf(unregistered), { refused_again: 1 })
  deepStrictEqual(await endsOf(stream), before)

  // This registry can decide them: every transaction of the stream was written under the later id.
  const first = await command(stream, ['redrive', '--yes', '--json'])
  strictEqual(first.code, 0, first.stderr)
  deepStrictEqual(countsOf(first), { sent: 1, refused_again: bad.length - 1 })
  await noteWhatWasSent(stream, 1)
  await decideAll(t, stream, outputs)
  const second = await command(stream, ['redrive', '--yes', '--json'], fixed)
  deepStrictEqual(countsOf(second), { sent: 1, sent_before: 1, refused_again: bad.length - 2 })
  const third = await command(stream, ['redrive', '--yes', '--json'], fixed)
  deepStrictEqual(countsOf(third), { sent_before: 2, refused_again: bad.length - 2 })

  const seen = await noteWhatWasSent(stream, 2)
  deepStrictEqual(
    seen.filter(({ redrivenFrom }) => redrivenFrom !== null).length,
    2,
    'each message was sent again once',
  )
  await decideAll(t, stream, outputs, fixed)
  deepStrictEqual(await audit(stream, outputs), [])
  deepStrictEqual(
    decidedIds(outputs),
    [...bad.map((_, index) => `good-${index}`), 'later-schema', 'moved'].sort(),
  )
})

test('a message that fails again when it is sent again is not sent a third time', async (t) => {
  const { stream, outputs } = await streamWithLetters(
    t,
    'letters-loop',
    ({ reason }) => reason === 'unknown_currency',
  )
  const forced = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(forced), { sent: 1 })
  await noteWhatWasSent(stream, 1)
  await decideAll(t, stream, outputs)
  strictEqual(outputs.deadLetters.length, 2)
  const listed = await command(stream, ['list', '--json'])
  deepStrictEqual(
    listed.json().map(({ redrivenFrom }) => redrivenFrom),
    [null, `${topicName(stream.prefix, 'transactions')}/${HOME}/0`],
  )
  match((await command(stream, ['list'])).stdout, /redriven before, from 0/)
  const ends = await endsOf(stream)
  const again = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(again), { sent_before: 1, redriven_before: 1 })
  deepStrictEqual(await endsOf(stream), ends)
  deepStrictEqual(await audit(stream, outputs), [])
})

test('a message with a card number is not sent again, even with --force', async (t) => {
  const { stream } = await streamWithLetters(t, 'letters-cards', ({ value }) =>
    /4111/.test(value.toString('latin1')),
  )
  const ends = await endsOf(stream)
  const forced = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(forced), { refused_again: 3 })
  deepStrictEqual(await endsOf(stream), ends)
})

test('messages removed by retention are reported, and the rest are sent', async (t) => {
  const { stream } = await streamWithLetters(
    t,
    'letters-gone',
    ({ reason }) => reason === 'wrong_partition' || reason === 'unknown_currency',
  )
  await stream.admin.deleteTopicRecords({
    topic: topicName(stream.prefix, 'transactions'),
    partitions: [{ partition: HOME, offset: '1' }],
  })
  const shown = await command(stream, ['show', `transactions/${HOME}/0`, '--payload'])
  match(shown.stdout, /no longer in its topic/)
  const sent = await command(stream, ['redrive', '--yes', '--json', '--force'])
  deepStrictEqual(countsOf(sent), { gone: 1, sent: 1 })
  match(sent.stderr, /1 {2}no longer in its topic/)
})
