// Parts that the pages of a model folder share, and the headings that each page must have.

import type { DataPeriod, ThresholdMetrics } from '../../services/core/scoring/manifest.ts'

export const PAGES = ['MODEL_CARD.md', 'DATA_CARD.md', 'TECHNICAL_REPORT.md'] as const
export type Page = (typeof PAGES)[number]

/** Second-level headings of each page, in order. */
export const HEADINGS: Readonly<Record<Page, readonly string[]>> = Object.freeze({
  'MODEL_CARD.md': [
    'Intended use',
    'Training data',
    'Figures',
    'Week by week',
    'Thresholds',
    'Draft and target',
    'Limits',
    'Licence',
  ],
  'DATA_CARD.md': [
    'Source',
    'Periods',
    'Labels',
    'Left out',
    'Features',
    'Evaluation rows',
    'Known biases',
    'Digests',
    'Licence',
  ],
  'TECHNICAL_REPORT.md': ['Task', 'Inputs', 'Net', 'Training', 'Choices', 'Evaluation', 'Again'],
})

/** Builds a page from its title and its sections, in the order of HEADINGS. */
export function pageOf(
  page: Page,
  title: string,
  opening: string,
  sections: readonly string[],
): Buffer {
  const parts = HEADINGS[page].map((heading, index) => `## ${heading}\n\n${sections[index] ?? ''}`)
  return Buffer.from(`# ${title}\n\n${opening}\n\n${parts.join('\n\n')}\n`)
}

/** The day in UTC. */
export function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

/** A share in percent. */
export function percent(share: number, digits = 2): string {
  return `${(share * 100).toFixed(digits)} %`
}

/** A table in Markdown. */
export function table(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

/** One row in a table of periods. */
export function periodRow(name: string, period: DataPeriod): readonly (string | number)[] {
  return [name, day(period.fromMs), day(period.endMs), period.transactions, period.frauds]
}

/** The effect of a threshold, in one cell. */
export function alertText({ alerts, alertShare, precision, recall }: ThresholdMetrics): string {
  return `${alerts} (${percent(alertShare)}), precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`
}

/** Adds a capital letter and a full stop. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

/** A list in Markdown. */
export function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n')
}
