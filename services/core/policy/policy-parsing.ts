// Parses the text of a policy to a checked document. All faults are reported at once, each with its position.

import { holdsCardNumber, mentionsCardNumber } from '../card-numbers.ts'
import { GRADES, OUTCOMES } from '../wire/records.ts'
import { ATTRIBUTE_LIMITS, isAttributeName } from '../wire/validation.ts'
import {
  openYaml,
  type LocatedText,
  type YamlFault,
  type YamlFaults,
  type YamlFields,
} from '../yaml/yaml-fields.ts'
import { CONDITION_CHARACTERS_MAX, ConditionCompiler } from './condition.ts'
import {
  ATTRIBUTE_TYPES,
  BLOCK_CAUTIONS,
  LIST_EFFECTS,
  LIST_FIELDS,
  MATCHES,
  POLICY_API_VERSION,
  POLICY_LIMITS,
  type BreakerLimits,
  type ControlGroup,
  type PolicyAttribute,
  type PolicyDocument,
  type PolicyList,
  type PolicyRule,
  type PolicySegment,
  type PolicyThresholds,
} from './policy-document.ts'
import { placeholderFaults } from './reason-text.ts'

const MINUTE_MS = 60_000
const CARD_NUMBER_FAULT = 'seems to hold a card number; policies name tokens'
/** Longest lease of a block; after it an operator must renew the block. */
const LEASE_MINUTES_MAX = 366 * 24 * 60
const LEASE_MINUTES = 24 * 60
const MONEY_MINOR_MAX = 1e12
const WINDOW_MINUTES_MAX = 7 * 24 * 60
const COUNT_MAX = 1e9

export type ParsedPolicy =
  | { readonly ok: true; readonly policy: PolicyDocument }
  | { readonly ok: false; readonly faults: readonly YamlFault[] }

/** Reads and checks a stored policy. Never throws on bad input. */
export function parsePolicy(text: string): ParsedPolicy {
  return parse(text, false)
}

/** Reads and checks a new policy; comparisons that can never hold are also faults. */
export function parseNewPolicy(text: string): ParsedPolicy {
  return parse(text, true)
}

function parse(text: string, isNew: boolean): ParsedPolicy {
  if (Buffer.byteLength(text) > POLICY_LIMITS.bytesMax) {
    const message = `the text is larger than ${POLICY_LIMITS.bytesMax} bytes`
    return { ok: false, faults: [{ line: 1, column: 1, path: '', message }] }
  }
  const { root, faults } = openYaml(text)
  if (root === null) return { ok: false, faults: faults.all }
  const policy = new PolicyReader(root, faults, isNew).read()
  return faults.all.length === 0 ? { ok: true, policy } : { ok: false, faults: faults.all }
}

class PolicyReader {
  readonly #root: YamlFields
  readonly #faults: YamlFaults
  readonly #isNew: boolean
  #attributes: readonly PolicyAttribute[] = []

  constructor(root: YamlFields, faults: YamlFaults, isNew: boolean) {
    this.#root = root
    this.#faults = faults
    this.#isNew = isNew
  }

  read(): PolicyDocument {
    const root = this.#root
    root.oneOf('apiVersion', [POLICY_API_VERSION])
    const lists = root.objects('lists', POLICY_LIMITS.listsMax, readList)
    this.#attributes = root.objects('attributes', POLICY_LIMITS.attributesMax, readAttribute)
    const conditions = new ConditionCompiler({ lists, attributes: this.#attributes }, () => false)
    const segments = root.objects('segments', POLICY_LIMITS.segmentsMax, (fields) =>
      this.#segment(fields, conditions),
    )
    const segmentNames = new Set(segments.map(({ name }) => name))
    const policy: PolicyDocument = {
      name: root.name('name', POLICY_LIMITS.nameCharactersMax),
      match: root.oneOf('match', MATCHES),
      thresholds: readThresholds(root),
      alertsPerDayMax: root.numberOr('alertsPerDayMax', 1, COUNT_MAX, null, true),
      leaseMs: leaseMsOf(root) ?? LEASE_MINUTES * MINUTE_MS,
      unscoredOutcome: root.oneOf('unscored', OUTCOMES, 'flag'),
      allowBlockOn: root.words('allowBlockOn', BLOCK_CAUTIONS),
      onFailure: root.oneOf('onFailure', ['flag', 'block'], 'flag'),
      attributes: this.#attributes,
      lists,
      segments,
      rules: root.objects('rules', POLICY_LIMITS.rulesMax, (fields) =>
        this.#rule(fields, conditions, segmentNames),
      ),
      breakers: root.objects('breakers', POLICY_LIMITS.breakersMax, (fields) =>
        readBreaker(fields, segmentNames),
      ),
      controlGroup: root.objectOr('controlGroup', readControlGroup, null),
    }
    this.#refuseRepeats('attributes', this.#attributes)
    this.#refuseRepeats('lists', lists)
    this.#refuseRepeats('segments', segments)
    this.#refuseRepeats('rules', policy.rules)
    // The counts of a breaker are stored under the name of its segment.
    this.#refuseRepeats(
      'breakers',
      policy.breakers.map(({ segment }) => ({ name: segment ?? '(all traffic)' })),
    )
    root.end()
    return policy
  }

  #segment(fields: YamlFields, conditions: ConditionCompiler): PolicySegment {
    const name = fields.name('name', POLICY_LIMITS.nameCharactersMax)
    return {
      name,
      when: fields.has('when') ? this.#condition(fields, conditions) : noCondition(fields),
    }
  }

  #rule(
    fields: YamlFields,
    conditions: ConditionCompiler,
    segments: ReadonlySet<string>,
  ): PolicyRule {
    const outcome = fields.oneOf('outcome', OUTCOMES)
    const rule: PolicyRule = {
      name: fields.name('name', POLICY_LIMITS.nameCharactersMax),
      when: this.#condition(fields, conditions),
      outcome,
      grade: fields.oneOf('grade', GRADES, 'suspected'),
      leaseMs: leaseMsOf(fields),
      overridable: fields.flag('overridable', true),
      segment: readSegmentName(fields, segments),
      reason: this.#reason(fields),
    }
    if (outcome === 'block') return rule
    for (const name of ['grade', 'leaseMinutes', 'overridable']) {
      if (fields.has(name))
        fields.fault(`is for rules whose outcome is block, not ${outcome}`, name)
    }
    return rule
  }

  #condition(fields: YamlFields, conditions: ConditionCompiler): string {
    const when = fields.text('when', CONDITION_CHARACTERS_MAX)
    if (when === null) return ''
    if (holdsCardNumber(when.text)) fields.fault(CARD_NUMBER_FAULT, 'when')
    const compiled = conditions.compile(when.text)
    if (!compiled.ok) this.#addAll(when, compiled.faults)
    else if (this.#isNew) this.#addAll(when, compiled.doubts)
    return when.text
  }

  #reason(fields: YamlFields): string {
    const reason = fields.text('reason', POLICY_LIMITS.reasonCharactersMax)
    if (reason === null) return ''
    this.#addAll(reason, placeholderFaults(reason.text, this.#attributes))
    if (mentionsCardNumber(reason.text)) fields.fault(CARD_NUMBER_FAULT, 'reason')
    return reason.text
  }

  #addAll(
    { path, offsetOf }: LocatedText,
    faults: readonly { readonly position: number; readonly message: string }[],
  ): void {
    for (const { position, message } of faults) this.#faults.add(offsetOf(position), path, message)
  }

  #refuseRepeats(field: string, named: readonly { readonly name: string }[]): void {
    const names = named.map(({ name }) => name).filter((name) => name !== '')
    const repeated = names.filter((name, index) => names.indexOf(name) < index)
    for (const name of new Set(repeated))
      this.#root.fault(`has the name ${name} more than once`, field)
  }
}

function readThresholds(root: YamlFields): PolicyThresholds {
  const model: PolicyThresholds = { kind: 'model' }
  if (root.scalar('thresholds') === 'model' || !root.has('thresholds')) return model
  const read = root.object('thresholds', (fields): PolicyThresholds => {
    if (fields.has('cost')) return fields.object('cost', readCosts) ?? model
    const flag = fields.number('flag', 0, 1)
    const block = fields.number('block', 0, 1)
    if (flag >= block)
      fields.fault(`is ${block}, but must be above flag, which is ${flag}`, 'block')
    return { kind: 'scores', flag, block }
  })
  return read ?? model
}

function readCosts(fields: YamlFields): PolicyThresholds {
  return {
    kind: 'cost',
    costs: {
      alertMinor: fields.number('alertMinor', 0, MONEY_MINOR_MAX),
      wrongBlockFixedMinor: fields.number('wrongBlockFixedMinor', 0, MONEY_MINOR_MAX),
      wrongBlockShare: fields.number('wrongBlockShare', 0, 1_000),
      flagSavesShare: fields.numberOr('flagSavesShare', 0, 1, 1),
    },
  }
}

function readList(fields: YamlFields): PolicyList {
  const effect = fields.oneOf('effect', LIST_EFFECTS, 'condition')
  const list: PolicyList = {
    name: fields.name('name', POLICY_LIMITS.nameCharactersMax),
    field: fields.has('field') ? fields.oneOf('field', LIST_FIELDS) : noField(fields, effect),
    effect,
    overridable: fields.flag('overridable', true),
  }
  if (effect !== 'block' && fields.has('overridable')) {
    fields.fault('is for lists whose effect is block', 'overridable')
  }
  return list
}

function readAttribute(fields: YamlFields): PolicyAttribute {
  const name = fields.text('name', ATTRIBUTE_LIMITS.nameCharactersMax)?.text ?? ''
  if (name !== '' && !isAttributeName(name))
    fields.fault(`is ${name}; use letters, digits and _, and begin with a letter`, 'name')
  return { name, type: fields.oneOf('type', ATTRIBUTE_TYPES) }
}

function noField(fields: YamlFields, effect: PolicyList['effect']): null {
  fields.scalar('field')
  if (effect === 'condition') return null
  fields.fault(`has no field to match; give one of ${LIST_FIELDS.join(', ')}`)
  return null
}

function noCondition(fields: YamlFields): null {
  fields.scalar('when')
  return null
}

function readBreaker(fields: YamlFields, segments: ReadonlySet<string>): BreakerLimits {
  const limits: BreakerLimits = {
    segment: readSegmentName(fields, segments),
    windowMs: fields.number('windowMinutes', 1, WINDOW_MINUTES_MAX, true) * MINUTE_MS,
    blocksPerMinuteMax: fields.numberOr('blocksPerMinuteMax', 0, COUNT_MAX, null),
    trafficShareMax: fields.numberOr('trafficShareMax', 0, 1, null),
    valueShareMax: fields.numberOr('valueShareMax', 0, 1, null),
    sampleMin: fields.numberOr('sampleMin', 1, COUNT_MAX, 100, true),
  }
  const { blocksPerMinuteMax, trafficShareMax, valueShareMax } = limits
  if (blocksPerMinuteMax === null && trafficShareMax === null && valueShareMax === null) {
    fields.fault('limits nothing; give blocksPerMinuteMax, trafficShareMax or valueShareMax')
  }
  return limits
}

function readControlGroup(fields: YamlFields): ControlGroup {
  return {
    share: fields.number('share', 0, 0.5),
    amountMaxMinor: fields.number('amountMaxMinor', 0, MONEY_MINOR_MAX, true),
    dayMaxMinor: fields.number('dayMaxMinor', 0, MONEY_MINOR_MAX, true),
  }
}

function readSegmentName(fields: YamlFields, segments: ReadonlySet<string>): string | null {
  if (!fields.has('segment')) {
    fields.scalar('segment')
    return null
  }
  const name = fields.name('segment', POLICY_LIMITS.nameCharactersMax)
  if (!segments.has(name))
    fields.fault(`is ${name}, which is not one of the policy's segments`, 'segment')
  return name
}

function leaseMsOf(fields: YamlFields): number | null {
  const minutes = fields.numberOr('leaseMinutes', 1, LEASE_MINUTES_MAX, null, true)
  return minutes === null ? null : minutes * MINUTE_MS
}
