// docs/features.md, made from the list of features.

import { format, resolveConfig } from 'prettier'
import {
  ABSENCES,
  type EntityKind,
  type FeatureDefinition,
} from '../../services/core/features/catalogue/feature-definition.ts'
import { FEATURES, FEATURE_LIST_HASH } from '../../services/core/features/catalogue/feature-list.ts'
import { spanWords } from '../../services/core/features/catalogue/span-words.ts'

type Entity = FeatureDefinition['entity']

const SECTIONS: readonly (readonly [Entity, string])[] = [
  ['transaction', 'Features of the transaction itself.'],
  ['card', 'Features of the card; windows end with the transaction.'],
  ['terminal', 'Features of the terminal, over all cards.'],
  ['merchant', 'Features of the merchant, over all cards.'],
  ['device', 'Features of the device, over all cards.'],
  ['network', 'Features of the IP network, over all cards.'],
] satisfies readonly (readonly ['transaction' | 'card' | EntityKind, string])[]

const OPENING = `# Features

The features of a transaction, in the order of the feature row (\`#\`). This page is generated from
\`services/core/features/catalogue/shipped-features.ts\` by \`npm run docs\`; a test compares the two.
[feature-contract.md](feature-contract.md) defines these terms exactly: the open end of a window, and the effect of retries, duplicates
and late transactions.

A window of length w and delay d holds the events in (t - d - w, t - d], where t is the time of the transaction. _Itself_ says whether
the transaction also counts. An absent value is not a number and never 0; any value may also be expired or degraded.

\`sluice features list\` prints the same on a terminal; \`sluice features <transaction id>\` shows the value of each feature for one
transaction and the transactions that it counted.
`

/** The page as it should be. */
export async function featuresPage(): Promise<string> {
  const sections = SECTIONS.map(([entity, opening]) => {
    const rows = FEATURES.flatMap((definition, index) =>
      definition.entity === entity ? [row(definition, index)] : [],
    )
    return [
      `## ${entity}`,
      opening,
      '| # | feature | meaning | aggregate | window | delay | itself | unit | absent |\n' +
        '| - | - | - | - | - | - | - | - | - |\n' +
        rows.join('\n'),
    ].join('\n\n')
  })
  const closing = `${FEATURES.length} features. Hash of the list, stored with every model: \`${FEATURE_LIST_HASH}\`.`
  const options = (await resolveConfig(import.meta.filename)) ?? {}
  return await format([OPENING, ...sections, closing].join('\n\n'), {
    ...options,
    parser: 'markdown',
  })
}

function row(definition: FeatureDefinition, index: number): string {
  const { name, sentence, aggregate, windowMs, delayMs, includesCurrent, unit, absence } =
    definition
  const longMs = 'longWindowMs' in definition ? definition.longWindowMs : undefined
  const of = 'of' in definition ? ` of ${definition.of}` : ''
  const window =
    windowMs === 0
      ? '-'
      : spanWords(windowMs) + (longMs === undefined ? '' : ` and ${spanWords(longMs)}`)
  const cells = [
    String(index + 1),
    `\`${name}\``,
    sentence,
    aggregate.replaceAll('_', ' ') + of,
    window,
    delayMs === 0 ? '-' : spanWords(delayMs),
    includesCurrent ? 'in' : 'out',
    unit,
    ABSENCES[absence],
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
