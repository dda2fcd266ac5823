// The targets file: who gets which alerts, and how hard we try. Secrets are never in it, only where they are.

import { isSeq, type Node } from 'yaml'
import { SluiceError } from '../../core/errors.ts'
import type { Secret } from '../../platform/config/secret.ts'
import type { AlertFilter } from './alert-filter.ts'
import type { BreakerLimits } from './breaker.ts'
import { FORWARDED_ACTIONS } from './cloud-event.ts'
import type { RetryLimits } from './retry-schedule.ts'
import { KEY_BYTES_MAX, KEY_BYTES_MIN, parseSigningKey } from './signature.ts'
import { YamlFields, YamlProblems, type NumberBounds } from './yaml-fields.ts'

export const TARGETS_MAX = 64
const FILE_CHARACTERS_MAX = 262_144
const URL_CHARACTERS_MAX = 2_048
const LIST_MAX = 64

/** One function or service that alerts go to. */
export interface Target {
  /** Part of the name of its consumer group, and a label of metrics. */
  readonly name: string
  /** http or https. May hold what is private to its owner, so it is in no log and no metric. */
  readonly url: string
  readonly filter: AlertFilter
  /** Every delivery is signed with each: one, or two while the key is changed. */
  readonly keys: readonly Secret[]
  /** Where a target begins that has no place yet. */
  readonly startAt: 'now' | 'beginning'
  /** How long one attempt may take. */
  readonly timeoutMs: number
  readonly retries: RetryLimits & {
    /** How long after its first attempt an alert is given up, whatever the breaker says. */
    readonly giveUpMs: number
  }
  readonly breaker: BreakerLimits
  /** Attempts at the same time. */
  readonly concurrency: number
  /** Null for no limit. */
  readonly ratePerSecondMax: number | null
}

/** Where a secret is. */
export interface SecretPlace {
  readonly kind: 'env' | 'file'
  readonly name: string
}

/** The text at a place, or why there is none, in words without the text. */
export type ReadSecret = (
  place: SecretPlace,
) => { readonly text: string } | { readonly why: string }

const NUMBERS = {
  timeoutMs: { default: 5_000, min: 100, max: 60_000, isInteger: true },
  concurrency: { default: 4, min: 1, max: 64, isInteger: true },
  attemptsMax: { default: 8, min: 1, max: 100, isInteger: true },
  firstDelayMs: { default: 500, min: 1, max: 60_000, isInteger: true },
  delayMsMax: { default: 30_000, min: 1, max: 3_600_000, isInteger: true },
  giveUpMs: { default: 86_400_000, min: 1_000, max: 604_800_000, isInteger: true },
  failures: { default: 5, min: 1, max: 1_000, isInteger: true },
  openMs: { default: 5_000, min: 10, max: 600_000, isInteger: true },
  openMsMax: { default: 60_000, min: 10, max: 3_600_000, isInteger: true },
} as const satisfies Readonly<Record<string, NumberBounds & { readonly default: number }>>

const TARGET_FIELDS = [
  'name',
  'url',
  'filter',
  'secrets',
  'startAt',
  'timeoutMs',
  'retries',
  'breaker',
  'concurrency',
  'ratePerSecondMax',
]

/**
 * Reads the text of a targets file; `source` names it in errors.
 * @throws SluiceError SLUICE_CONFIG_INVALID with every fault and its line.
 */
export function parseTargets(
  text: string,
  source: string,
  readSecret: ReadSecret,
): readonly Target[] {
  if (text.length > FILE_CHARACTERS_MAX) {
    throw invalid(source, [`it has more than ${FILE_CHARACTERS_MAX} characters.`])
  }
  const problems = new YamlProblems()
  const content = problems.parse(text)
  const targets = problems.sentences.length > 0 ? [] : targetsOf(problems, content, readSecret)
  if (problems.sentences.length > 0) throw invalid(source, problems.sentences)
  return targets
}

function invalid(source: string, sentences: readonly string[]): SluiceError {
  return new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `${source} has ${sentences.length} problem(s); docs/webhooks.md has all fields:\n  ${sentences.join('\n  ')}`,
    { details: { problems: sentences } },
  )
}

function targetsOf(
  problems: YamlProblems,
  content: Node | null,
  readSecret: ReadSecret,
): readonly Target[] {
  const top = YamlFields.of(problems, content, 'the file', ['targets'])
  if (top === null) return []
  const list = top.node('targets')
  if (!isSeq(list) || list.items.length === 0 || list.items.length > TARGETS_MAX) {
    top.problem('targets', `targets must be a list of 1 to ${TARGETS_MAX}.`)
    return []
  }
  const names = new Set<string>()
  const targets: Target[] = []
  for (const [index, item] of list.items.entries()) {
    const where = `target ${index + 1}`
    const fields = YamlFields.of(problems, item as Node | null, where, TARGET_FIELDS)
    if (fields === null) continue
    const target = targetOf(fields, readSecret)
    if (names.has(target.name)) fields.problem('name', `name "${target.name}" is taken already.`)
    names.add(target.name)
    targets.push(target)
  }
  return targets
}

function targetOf(fields: YamlFields, readSecret: ReadSecret): Target {
  require(fields, ['name', 'url', 'filter', 'secrets'])
  const name = fields.text('name', /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/, NAME_FORM) ?? ''
  const rate = { min: 0.001, max: 100_000, isInteger: false }
  return {
    name,
    url: urlOf(fields),
    filter: filterOf(fields),
    keys: keysOf(fields, readSecret),
    startAt: startOf(fields),
    timeoutMs: numberOf(fields, 'timeoutMs'),
    retries: retriesOf(fields),
    breaker: breakerOf(fields),
    concurrency: numberOf(fields, 'concurrency'),
    ratePerSecondMax: fields.number('ratePerSecondMax', rate),
  }
}

const NAME_FORM = 'up to 40 of a to z, 0 to 9 and dashes inside, since it names a consumer group'

function require(fields: YamlFields, names: readonly string[]): void {
  for (const name of names) if (!fields.has(name)) fields.problem(name, `${name} is missing.`)
}

function numberOf(fields: YamlFields | null, name: keyof typeof NUMBERS): number {
  return fields?.number(name, NUMBERS[name]) ?? NUMBERS[name].default
}

function startOf(fields: YamlFields): Target['startAt'] {
  const word = fields.text('startAt', /^(?:now|beginning)$/, 'now or beginning')
  return word === 'beginning' ? 'beginning' : 'now'
}

function urlOf(fields: YamlFields): string {
  const text = fields.text('url', /^https?:\/\//, 'a URL with http or https')
  if (text === null) return ''
  if (!URL.canParse(text) || text.length > URL_CHARACTERS_MAX) {
    fields.problem('url', `url must be a URL of up to ${URL_CHARACTERS_MAX} characters.`)
    return ''
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    fields.problem('url', 'url must hold no user and no password; deliveries are signed instead.')
  }
  if (url.hash !== '') fields.problem('url', 'url must hold no #fragment.')
  return text
}

function filterOf(fields: YamlFields): AlertFilter {
  const known = ['actions', 'scoreMin', 'segments', 'amountMinorMin']
  const filter = fields.fields('filter', known)
  if (filter === null) return { actions: [], scoreMin: null, segments: null, amountMinorMin: null }
  require(filter, ['actions'])
  const all = FORWARDED_ACTIONS.join(', ')
  const given =
    filter.texts('actions', /^(?:flag|block|release)$/, `some of ${all}`, LIST_MAX) ?? []
  return {
    actions: FORWARDED_ACTIONS.filter((action) => given.includes(action)),
    scoreMin: filter.number('scoreMin', { min: 0, max: 1, isInteger: false }),
    segments: filter.texts('segments', /^.{1,64}$/, 'names of segments, or none', LIST_MAX),
    amountMinorMin: amountsOf(filter),
  }
}

function amountsOf(filter: YamlFields): AlertFilter['amountMinorMin'] {
  const amounts = filter.fields('amountMinorMin', null)
  if (amounts === null) return null
  const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER, isInteger: true }
  const entries = amounts.names.map((currency): [string, number] => {
    if (!/^[A-Z]{3}$/.test(currency)) {
      amounts.problem(currency, `"${currency}" is no currency; give its three letters.`)
    }
    return [currency, amounts.number(currency, bounds) ?? 0]
  })
  return Object.fromEntries(entries)
}

function retriesOf(fields: YamlFields): Target['retries'] {
  const known = ['attemptsMax', 'firstDelayMs', 'delayMsMax', 'giveUpMs']
  const retries = fields.fields('retries', known)
  const found = {
    attemptsMax: numberOf(retries, 'attemptsMax'),
    firstDelayMs: numberOf(retries, 'firstDelayMs'),
    delayMsMax: numberOf(retries, 'delayMsMax'),
    giveUpMs: numberOf(retries, 'giveUpMs'),
  }
  if (found.firstDelayMs > found.delayMsMax) {
    retries?.problem('firstDelayMs', 'firstDelayMs must not be above delayMsMax.')
  }
  return found
}

function breakerOf(fields: YamlFields): BreakerLimits {
  const breaker = fields.fields('breaker', ['failures', 'openMs', 'openMsMax'])
  const found = {
    failures: numberOf(breaker, 'failures'),
    openMs: numberOf(breaker, 'openMs'),
    openMsMax: numberOf(breaker, 'openMsMax'),
  }
  if (found.openMs > found.openMsMax) {
    breaker?.problem('openMs', 'openMs must not be above openMsMax.')
  }
  return found
}

/** The current key first. */
function keysOf(fields: YamlFields, readSecret: ReadSecret): readonly Secret[] {
  const secrets = fields.fields('secrets', ['current', 'next'])
  if (secrets === null) return []
  require(secrets, ['current'])
  const keys = ['current', 'next'].map((which) => keyOf(secrets, which, readSecret))
  return keys.filter((key) => key !== null)
}

function keyOf(secrets: YamlFields, which: string, readSecret: ReadSecret): Secret | null {
  const place = secrets.fields(which, ['env', 'file'])
  if (place === null) return null
  const env = place.text('env', /^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of a variable')
  const file = place.text('file', /^.{1,1024}$/, 'the path of a file')
  if (place.has('env') === place.has('file')) {
    secrets.problem(
      which,
      `${which} must have either env or file; the secret itself is not for here.`,
    )
    return null
  }
  const name = env ?? file
  if (name === null) return null
  const kind = env === null ? 'file' : 'env'
  const read = readSecret({ kind, name })
  if ('why' in read) {
    place.problem(kind, `${kind} "${name}" ${read.why}.`)
    return null
  }
  const key = parseSigningKey(read.text)
  if (key === null) {
    place.problem(
      kind,
      `${kind} "${name}" holds no key: whsec_ and ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes in base64.`,
    )
  }
  return key
}
