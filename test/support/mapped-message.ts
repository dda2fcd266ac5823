// A message without an envelope of interest, and a mapping of it.

import { compileMapping, type Mapped } from '../../services/core/mapping/compile-mapping.ts'
import { cardTokeniser } from '../../services/core/mapping/card-tokens.ts'
import { loadMapping } from '../../services/core/mapping/mapping-parsing.ts'
import type { MappingInput } from '../../services/core/mapping/message-path.ts'

export const TOKENISE = cardTokeniser([{ id: 'k1', fromMs: 0, bytes: Buffer.alloc(32, 7) }])

export function inputOf(message: unknown, more: Partial<MappingInput> = {}): MappingInput {
  return {
    message,
    topic: 'acme.payments',
    partition: 2,
    offset: 41,
    timestampMs: Date.parse('2026-01-02T00:00:00Z'),
    key: 'their-key',
    headers: {},
    ...more,
  }
}

/** The fields of a payment that are the same in all tests; each may be replaced. */
const FIELDS = {
  id: 'id',
  card: 'card',
  eventTime: 'at',
  amount: 'amount',
  currency: '{ value: EUR }',
}

/** A message with all that `FIELDS` needs. */
export const MESSAGE = { id: 'p-1', card: 'card-1', at: '2026-01-01T10:00:00Z', amount: 12.5 }

/** A mapping with one rule. Fields are the text of their YAML. */
export function mappingWith(
  fields: Readonly<Record<string, string>>,
  attributes: Readonly<Record<string, string>> = {},
): string {
  const lines = Object.entries({ ...FIELDS, ...fields }).map(
    ([name, value]) => `      ${name}: ${value}`,
  )
  const more = Object.entries(attributes).map(([name, value]) => `      ${name}: ${value}`)
  return [
    'apiVersion: sluice/v1',
    'name: test',
    'version: 1',
    'source: { topic: acme.payments, format: json }',
    'rules:',
    '  - name: payment',
    '    transaction:',
    ...lines,
    ...(more.length === 0 ? [] : ['    attributes:', ...more]),
    '',
  ].join('\n')
}

/** Maps one message. */
export function mapOf(text: string, message: unknown, more: Partial<MappingInput> = {}): Mapped {
  const { document } = loadMapping('test.yaml', text)
  return compileMapping(document, { tokenise: TOKENISE })(inputOf(message, more))
}
