// Goal: the services that act on alerts work with the rights of their roles, and need each of them. Method: as
// secure-connections.test.ts, on a broker of its own: each right is removed in turn, and the work of the role must
// fail with a clear error, or leave something behind.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  loadCasesConfig,
  loadEnforcerConfig,
  loadForwardConfig,
  loadReceiptsConfig,
  loadTargets,
  openSender,
  redeliver,
  runCases,
  runEnforcer,
  runForwarder,
  runReceipts,
} from '../../services/alerts/index.ts'
import { SluiceError } from '../../services/core/errors.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { post, TOKEN } from '../support/acting.ts'
import { newKey } from '../support/forwarder.ts'
import { openKeptLog, type KeptLine } from '../support/kept-log.ts'
import { rightsOf } from '../support/secure-roles.ts'
import {
  openRolesAtWork,
  runUntilDone,
  whenCounted,
  type RolesAtWork,
} from '../support/secure-roles-at-work.ts'
import { GROUP, PREFIX } from '../support/secure-stage.ts'
import { openReceiver } from '../support/webhook-receiver.ts'

let work: RolesAtWork

before(async () => {
  work = await openRolesAtWork(['enforcer', 'receipts-watch', 'analyst', 'forwarder'])
})

after(() => work.close())

test('an enforcer answers blocks with its documented rights, and needs each of them', async () => {
  await work.stage.eachIsNeeded(rightsOf('enforcer', PREFIX, GROUP), async () => {
    const { alertId } = await work.publishBlock()
    const config = loadEnforcerConfig(
      work.environmentOf('enforcer', { SLUICE_ENFORCER_TOKEN: TOKEN, SLUICE_ENFORCER_PORT: '0' }),
    )
    await runUntilDone((signal, done) =>
      runEnforcer(
        {
          config,
          clock: systemClock,
          log: openKeptLog().log,
          onReceipts: (receipts) => {
            if (receipts.some(({ alert }) => alert.alertId === alertId)) done()
          },
        },
        signal,
      ),
    )
    await work.stage.noGroupIsLeft('sluice-enforcer-')
  })
})

test('a receipt watch sends again and refuses with its documented rights, and needs each of them', async () => {
  await work.stage.eachIsNeeded(rightsOf('receipts-watch', PREFIX, GROUP), async () => {
    await work.publishBlock()
    await work.send('receipts', 'nobody', 'no receipt')
    const config = loadReceiptsConfig(
      work.environmentOf('receipts', {
        SLUICE_RECEIPT_MISSING: 'resend',
        SLUICE_RECEIPT_WAIT_MS: '100',
      }),
    )
    await runUntilDone((signal, done) =>
      runReceipts(
        {
          config,
          clock: systemClock,
          log: openKeptLog().log,
          onReady: (port) => {
            const refused = 'sluice_receipt_faults_total{fault="unreadable"}'
            whenCounted(port, ['sluice_blocks_resent_total', refused], signal, done)
          },
        },
        signal,
      ),
    )
    await work.stage.noGroupIsLeft('sluice-receipts-')
  })
})

test('queue and labels are served with the rights of an analyst, and each is needed', async () => {
  await work.stage.eachIsNeeded(rightsOf('analyst', PREFIX, GROUP), async () => {
    const { alertId } = await work.publishBlock()
    const config = loadCasesConfig(
      work.environmentOf('analyst', {
        SLUICE_CASES_TOKENS: `ana:${TOKEN}`,
        SLUICE_CASES_PORT: '0',
      }),
    )
    const { log, lines } = openKeptLog()
    const refusals: Error[] = []
    await runUntilDone((signal, done) =>
      runCases(
        {
          config,
          clock: systemClock,
          log,
          onReady: ({ http }) => {
            const said = { id: alertId, finding: 'confirmed_fraud', reason: 'test' }
            void post(`http://127.0.0.1:${http}/labels`, said).then(({ status }) => {
              if (status !== 201) refusals.push(deniedIn(lines))
              done()
            })
          },
        },
        signal,
      ),
    )
    for (const refusal of refusals) throw refusal
    await work.stage.noGroupIsLeft('sluice-queue-')
  })
})

/** Log of a request that was not answered. */
function deniedIn(lines: readonly KeptLine[]): Error {
  const text = JSON.stringify(lines.filter(({ level }) => level === 'error'))
  return text.includes('SLUICE_ACCESS_DENIED')
    ? new SluiceError('SLUICE_ACCESS_DENIED', text)
    : new Error(`not answered: ${text}`)
}

test('a forwarder sends, gives up and sends again with its documented rights, and needs each of them', async (t) => {
  const key = newKey()
  const receiver = await openReceiver(t, { keys: [key] })
  work.stage.servers.file('forward-key', key)
  const targetsFile = work.stage.servers.file(
    'targets.yaml',
    JSON.stringify({
      targets: [
        {
          name: 'bank',
          url: receiver.url,
          filter: { actions: ['block'] },
          secrets: { current: { file: 'forward-key' } },
          startAt: 'beginning',
        },
      ],
    }),
  )
  const env = work.environmentOf('forward')
  const config = { ...loadForwardConfig(env), topicPrefix: PREFIX }
  const targets = loadTargets(targetsFile, env)
  const [target] = targets
  ok(target !== undefined)
  const parts = { clock: systemClock, random: () => 0.5 }
  await work.stage.eachIsNeeded(rightsOf('forwarder', PREFIX, GROUP), async () => {
    await work.publishBlock()
    receiver.answer = () => 422
    await runUntilDone((signal, done) =>
      runForwarder(
        {
          ...parts,
          config,
          targets,
          log: openKeptLog().log,
          onReady: (port) => {
            const letters = 'sluice_forward_dead_letters_total{target="bank",reason="rejected"}'
            whenCounted(port, [letters], signal, done)
          },
        },
        signal,
      ),
    )
    receiver.answer = () => 204
    const taken = receiver.taken.length
    const { codecs } = work.stage
    await redeliver(
      {
        ...parts,
        ...{ ...config, target, codecs, reasons: null, sinceMs: null, sendMax: 1_000 },
        send: openSender(systemClock),
        confirm: () => Promise.resolve(true),
        onSent: () => undefined,
      },
      new AbortController().signal,
    )
    ok(receiver.taken.length > taken, 'something was sent again')
    await work.stage.noGroupIsLeft('sluice-redeliver-')
  })
})

test('no error of a missing right contains a secret', () => {
  const found = work.stage.servers.secrets.filter((secret) =>
    work.stage.outputs.some((text) => text.includes(secret)),
  )
  ok(work.stage.outputs.length > 20, 'there is something to search')
  deepStrictEqual(found, [])
})
