// The targets file: targets, their filters, and their retry settings. It never holds secrets, only references to them.

import { minorDigitsOf } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { faultSentence, openYaml, type YamlFields } from '../../core/yaml/yaml-fields.ts'
import type { Secret } from '../../platform/config/secrets.ts'
import { type AlertFilter, FORWARDED_ACTIONS } from './cloud-event.ts'
import type { CircuitLimits, RetryLimits } from './delivery-schedule.ts'
import { KEY_BYTES_MAX, KEY_BYTES_MIN, parseSigningKey } from './signature.ts'

export const TARGETS_MAX = 64
const FILE_CHARACTERS_MAX = 262_144
const URL_CHARACTERS_MAX = 2_048
const LIST_MAX = 64
const FAULTS_TOLD_MAX = 50

/** A function or service that receives alerts. */
export interface Target {
  /** Part of the name of its consumer group, and a label of metrics. */
  readonly name: string
  /** http or https. It may contain a secret, so it is in no log and no metric. */
  readonly url: string
  readonly filter: AlertFilter
  /** Every delivery is signed with each key: one, or two during a rotation. */
  readonly keys: readonly Secret[]
  /** Start position of a target without a committed one. */
  readonly startAt: 'now' | 'beginning'
  /** Time limit of one attempt. */
  readonly timeoutMs: number
  readonly retries: RetryLimits & {
    /** Time after its first attempt at which an alert is given up, whatever the state of the circuit. */
    readonly giveUpMs: number
  }
  readonly circuit: CircuitLimits
  /** Attempts in flight at the same time. */
  readonly concurrency: number
  /** Null for no limit. */
  readonly ratePerSecondMax: number | null
}

/** Reference to a secret. */
export interface SecretPlace {
  readonly kind: 'env' | 'file'
  readonly name: string
}

/** The text of a reference, or the problem in words without the text. */
export type ReadSecret = (
  place: SecretPlace,
) => { readonly text: string } | { readonly why: string }

const NUMBERS = {
  timeoutMs: { default: 5_000, min: 100, max: 60_000 },
  concurrency: { default: 4, min: 1, max: 64 },
  attemptsMax: { default: 8, min: 1, max: 100 },
  firstDelayMs: { default: 500, min: 1, max: 60_000 },
  delayMsMax: { default: 30_000, min: 1, max: 3_600_000 },
  giveUpMs: { default: 86_400_000, min: 1_000, max: 604_800_000 },
  failures: { default: 5, min: 1, max: 1_000 },
  openMs: { default: 5_000, min: 10, max: 600_000 },
  openMsMax: { default: 60_000, min: 10, max: 3_600_000 },
} as const

/**
 * Parses a targets file; `source` names it in errors. @throws SluiceError SLUICE_CONFIG_INVALID with every fault and
 * its line.
 */
export function parseTargets(
  text: string,
  source: string,
  readSecret: ReadSecret,
): readonly Target[] {
  if (text.length > FILE_CHARACTERS_MAX) {
    throw invalid(source, [`it has more than ${FILE_CHARACTERS_MAX} characters.`])
  }
  // Values are not shown: an address may be private, and a key may have been written in place of its reference.
  const { root, faults } = openYaml(text, { showsValues: false })
  const targets = root === null ? [] : targetsOf(root, readSecret)
  if (faults.all.length > 0) {
    throw invalid(source, faults.all.slice(0, FAULTS_TOLD_MAX).map(faultSentence))
  }
  return targets
}

function invalid(source: string, sentences: readonly string[]): SluiceError {
  return new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `${source} has ${sentences.length} problem(s); docs/webhooks.md has all fields:\n  ${sentences.join('\n  ')}`,
    { details: { problems: sentences } },
  )
}

function targetsOf(root: YamlFields, readSecret: ReadSecret): readonly Target[] {
  const names = new Set<string>()
  const targets = root.objects(
    'targets',
    TARGETS_MAX,
    (fields) => {
      const target = targetOf(fields, readSecret)
      if (names.has(target.name)) fields.fault(`"${target.name}" is taken already`, 'name')
      names.add(target.name)
      return target
    },
    1,
  )
  root.end()
  return targets
}

function targetOf(fields: YamlFields, readSecret: ReadSecret): Target {
  const readKeys = (secrets: YamlFields): readonly Secret[] => keysOf(secrets, readSecret)
  return {
    name: fields.matching('name', /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/, NAME_FORM) ?? '',
    url: urlOf(fields),
    filter: fields.object('filter', filterOf) ?? NO_FILTER,
    keys: fields.object('secrets', readKeys) ?? [],
    startAt: fields.oneOf('startAt', ['now', 'beginning'], 'now'),
    timeoutMs: numberOf(fields, 'timeoutMs'),
    retries: fields.objectOr('retries', retriesOf, RETRIES),
    circuit: fields.objectOr('circuit', circuitOf, CIRCUIT),
    concurrency: numberOf(fields, 'concurrency'),
    ratePerSecondMax: fields.numberOr('ratePerSecondMax', 0.001, 100_000, null),
  }
}

const NAME_FORM = 'up to 40 of a to z, 0 to 9 and dashes inside, since it names a consumer group'

const NO_FILTER: AlertFilter = {
  actions: [],
  scoreMin: null,
  segments: null,
  amountMinorMin: null,
}

const RETRIES: Target['retries'] = {
  attemptsMax: NUMBERS.attemptsMax.default,
  firstDelayMs: NUMBERS.firstDelayMs.default,
  delayMsMax: NUMBERS.delayMsMax.default,
  giveUpMs: NUMBERS.giveUpMs.default,
}

const CIRCUIT: CircuitLimits = {
  failures: NUMBERS.failures.default,
  openMs: NUMBERS.openMs.default,
  openMsMax: NUMBERS.openMsMax.default,
}

function numberOf(fields: YamlFields, name: keyof typeof NUMBERS): number {
  const { min, max, default: otherwise } = NUMBERS[name]
  return fields.numberOr(name, min, max, otherwise, true)
}

function urlOf(fields: YamlFields): string {
  const text = fields.matching('url', /^https?:\/\//, 'a URL with http or https')
  if (text === null) return ''
  if (!URL.canParse(text) || text.length > URL_CHARACTERS_MAX) {
    fields.fault(`must be a URL of up to ${URL_CHARACTERS_MAX} characters`, 'url')
    return ''
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    fields.fault('must hold no user and no password; deliveries are signed instead', 'url')
  }
  if (url.hash !== '') fields.fault('must hold no #fragment', 'url')
  return text
}

function filterOf(filter: YamlFields): AlertFilter {
  const all = FORWARDED_ACTIONS.join(', ')
  const given =
    filter.texts('actions', /^(?:flag|block|release)$/, `some of ${all}`, LIST_MAX) ?? []
  return {
    actions: FORWARDED_ACTIONS.filter((action) => given.includes(action)),
    scoreMin: filter.numberOr('scoreMin', 0, 1, null),
    segments: filter.textsOr('segments', /^.{1,64}$/, 'names of segments, or none', LIST_MAX, null),
    amountMinorMin: filter.objectOr('amountMinorMin', amountsOf, null),
  }
}

function amountsOf(amounts: YamlFields): Readonly<Record<string, number>> {
  const entries = amounts.names.map((currency): [string, number] => {
    if (minorDigitsOf(currency) === undefined) {
      amounts.fault(`"${currency}" is no currency; give its ISO 4217 code, such as EUR`, currency)
    }
    return [currency, amounts.number(currency, 0, Number.MAX_SAFE_INTEGER, true)]
  })
  return Object.fromEntries(entries)
}

function retriesOf(retries: YamlFields): Target['retries'] {
  const found = {
    attemptsMax: numberOf(retries, 'attemptsMax'),
    firstDelayMs: numberOf(retries, 'firstDelayMs'),
    delayMsMax: numberOf(retries, 'delayMsMax'),
    giveUpMs: numberOf(retries, 'giveUpMs'),
  }
  if (found.firstDelayMs > found.delayMsMax) {
    retries.fault('must not be above delayMsMax', 'firstDelayMs')
  }
  return found
}

function circuitOf(circuit: YamlFields): CircuitLimits {
  const found = {
    failures: numberOf(circuit, 'failures'),
    openMs: numberOf(circuit, 'openMs'),
    openMsMax: numberOf(circuit, 'openMsMax'),
  }
  if (found.openMs > found.openMsMax) circuit.fault('must not be above openMsMax', 'openMs')
  return found
}

/** Keys of the target, the current one first. */
function keysOf(secrets: YamlFields, readSecret: ReadSecret): readonly Secret[] {
  const read = (place: YamlFields): Secret | null => keyOf(place, readSecret)
  const keys = [secrets.object('current', read), secrets.objectOr('next', read, null)]
  return keys.filter((key) => key !== null)
}

function keyOf(place: YamlFields, readSecret: ReadSecret): Secret | null {
  const env = place.matchingOr(
    'env',
    /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    'the name of a variable',
    null,
  )
  const file = place.matchingOr('file', /^.{1,1024}$/, 'the path of a file', null)
  if (place.has('env') === place.has('file')) {
    place.fault('must have either env or file; the secret itself is not for here')
    return null
  }
  const name = env ?? file
  if (name === null) return null
  const kind = env === null ? 'file' : 'env'
  const read = readSecret({ kind, name })
  if ('why' in read) {
    place.fault(`"${name}" ${read.why}`, kind)
    return null
  }
  const key = parseSigningKey(read.text)
  if (key === null) {
    place.fault(
      `"${name}" holds no key: whsec_ and ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes in base64`,
      kind,
    )
  }
  return key
}
