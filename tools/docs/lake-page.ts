// docs/lake-columns.md, made from the tables of the lake.

import { format, resolveConfig } from 'prettier'
import {
  DAY_COLUMN,
  FEATURE_PREFIX,
  LAKE_COLUMNS,
  LAKE_TABLES,
} from '../../services/core/lake/lake-tables.ts'

const OPENING = `# Columns of the lake

Tables and columns of the Parquet files, as [lake.md](lake.md) describes them. This page is generated from
\`services/core/lake/lake-tables.ts\` by \`npm run docs\`; a test compares the two. TIMESTAMPTZ is an instant in UTC. Nullable
columns are marked; every file is checked for nulls in the others. \`day\` is a column of every table for readers that take it from the folder's name.
`

/** The page as it should be. */
export async function lakePage(): Promise<string> {
  const sections = LAKE_TABLES.map((table) => {
    const rows = LAKE_COLUMNS[table]
      .filter(({ name }) => !name.startsWith(FEATURE_PREFIX))
      .map(({ name, type, nullable, meaning }) =>
        ['', `\`${name}\``, type, nullable ? 'null' : '', meaning, ''].join(' | ').trim(),
      )
    const features =
      table === 'decisions'
        ? [
            `And one DOUBLE for each feature, null when absent, named \`${FEATURE_PREFIX}\` and the name in [features.md](features.md).`,
          ]
        : []
    return [
      `## ${table}`,
      `In the folder of the day of \`${DAY_COLUMN[table]}\`.`,
      `| column | type | null | meaning |\n| - | - | - | - |\n${rows.join('\n')}`,
      ...features,
    ].join('\n\n')
  })
  const options = (await resolveConfig(import.meta.filename)) ?? {}
  return await format([OPENING, ...sections].join('\n\n'), { ...options, parser: 'markdown' })
}
