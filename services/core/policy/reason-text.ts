// Reasons of rules: human-readable text with placeholders for values, such as "{card_count_1h} payments in an hour at
// {transaction.merchant}".

import { isScore } from '../decision/decide.ts'
import { FEATURE_NAMES } from '../features/catalogue/feature-list.ts'
import type { Transaction } from '../transaction.ts'
import { nearest, TRANSACTION_NAMES } from './condition-views.ts'
import type { PolicyAttribute } from './policy-document.ts'
import type { PolicyInput } from './ruling.ts'

const PLACEHOLDER = /\{([^{}]*)\}/g
const TRANSACTION = 'transaction.'
const ATTRIBUTES = 'attributes.'

/** Limit on the characters of a text with its values filled in (P6). */
export const REASON_TEXT_CHARACTERS_MAX = 1_000

export interface PlaceholderFault {
  readonly position: number
  readonly message: string
}

/** Placeholders with unknown names. */
export function placeholderFaults(
  text: string,
  attributes: readonly PolicyAttribute[],
): readonly PlaceholderFault[] {
  const known = [
    'score',
    ...TRANSACTION_NAMES.map((name) => `${TRANSACTION}${name}`),
    ...attributes.map(({ name }) => `${ATTRIBUTES}${name}`),
    ...FEATURE_NAMES,
  ]
  return [...text.matchAll(PLACEHOLDER)].flatMap(({ index, 1: name = '' }) => {
    if (known.includes(name)) return []
    const near = nearest(name, known)
    const hint = near === null ? '' : `; did you mean {${near}}?`
    return [{ position: index, message: `{${name}} names no feature, field or score${hint}` }]
  })
}

/** A compiled reason. */
export type ReasonText = (input: PolicyInput) => string

/** Splits a reason once; values are read for each transaction. */
export function compileReason(text: string): ReasonText {
  // Every second part is the name of a placeholder.
  const parts = text.split(PLACEHOLDER)
  const readers = parts.map((part, index) => (index % 2 === 1 ? readerOf(part) : () => part))
  return (input) => {
    let filled = ''
    for (const read of readers) filled += inWords(read(input))
    return filled.slice(0, REASON_TEXT_CHARACTERS_MAX)
  }
}

function readerOf(name: string): (input: PolicyInput) => unknown {
  if (name === 'score') return ({ score }) => (isScore(score) ? score : null)
  if (name === `${TRANSACTION}referenceMinor`) return ({ referenceMinor }) => referenceMinor
  if (name.startsWith(TRANSACTION)) {
    const field = name.slice(TRANSACTION.length) as keyof Transaction
    return ({ transaction }) => transaction[field]
  }
  if (name.startsWith(ATTRIBUTES)) {
    const attribute = name.slice(ATTRIBUTES.length)
    return ({ transaction: { attributes } }) =>
      attributes !== null && Object.hasOwn(attributes, attribute) ? attributes[attribute] : null
  }
  const feature = FEATURE_NAMES.indexOf(name)
  return ({ row }) => row[feature]
}

function inWords(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value !== 'number' || Number.isNaN(value)) return 'none'
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)))
}
