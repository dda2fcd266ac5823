// Configuration of the receipts service: environment variables to one frozen, checked object.

import { EnvReader } from '../../platform/config/env-reader.ts'
import { readDeadLetterKey } from '../../platform/config/secrets.ts'
import type { VariableValue } from '../../platform/config/variables.ts'
import { loadServiceConfig, type ServiceConfig } from '../service-config.ts'
import { readReceiptKeys, type ReceiptKeys } from './receipt-signature.ts'

const SUBSCRIBERS_MAX = 64

export interface ReceiptsConfig extends ServiceConfig {
  readonly objectiveMs: number
  readonly waitMs: number
  readonly horizonMs: number
  readonly missing: VariableValue<'SLUICE_RECEIPT_MISSING'>
  /** Null accepts one receipt of any subscriber. */
  readonly subscribers: ReadonlySet<string> | null
  /** Keys that must have signed receipts; null trusts every writer of the topic. */
  readonly keys: ReceiptKeys | null
  readonly deadLetterHmacKey: string
  /** True when the key is the development key of this source. */
  readonly hasBuiltInHmacKey: boolean
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadReceiptsConfig(
  env: Readonly<Record<string, string | undefined>>,
): ReceiptsConfig {
  const read = new EnvReader(env)
  const service = loadServiceConfig(read)
  const deadLetter = readDeadLetterKey(read, service.security !== undefined)
  const config: ReceiptsConfig = {
    ...service,
    objectiveMs: read.value('SLUICE_BLOCK_OBJECTIVE_MS'),
    waitMs: read.value('SLUICE_RECEIPT_WAIT_MS'),
    horizonMs: read.value('SLUICE_RECEIPT_HORIZON_MS'),
    missing: read.value('SLUICE_RECEIPT_MISSING'),
    subscribers: subscribersOf(read),
    keys: readReceiptKeys(read),
    deadLetterHmacKey: deadLetter.key,
    hasBuiltInHmacKey: deadLetter.isBuiltIn,
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}

function subscribersOf(read: EnvReader): ReadonlySet<string> | null {
  const text = read.value('SLUICE_RECEIPT_SUBSCRIBERS')
  if (text === null) return null
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  read.check(
    names.length > 0 && names.length <= SUBSCRIBERS_MAX,
    `SLUICE_RECEIPT_SUBSCRIBERS has ${names.length} names; give 1 to ${SUBSCRIBERS_MAX}.`,
  )
  return new Set(names)
}
