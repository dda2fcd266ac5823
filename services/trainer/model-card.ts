// MODEL_CARD.md: what a model is, what it was made from, and what it cannot do, for people.

import type { ModelManifest, ModelMetrics, ThresholdMetrics } from '../core/scoring/manifest.ts'

/** The card, made from the manifest alone. `caveat` says what kind of data it was. */
export function modelCard(manifest: ModelManifest, caveat: string): string {
  const { periods, metrics, thresholds, training, data } = manifest
  const { train, validation, test } = periods
  return `# Model ${manifest.name} ${manifest.version}

Scores one card transaction from ${manifest.features.length} features: a dense net (${training.hiddenUnits.join(', ')}
units, then one), its output calibrated to a probability. Made by \`sluice train\`; this page is generated.

**${caveat}**

## Data

${data.source}: ${data.transactions} transactions, ${data.labels} labels.

| period | from | to | transactions | frauds |
| --- | --- | --- | --- | --- |
${[['training', train] as const, ['validation', validation] as const, ['test', test] as const]
  .map(
    ([name, period]) =>
      `| ${name} | ${day(period.fromMs)} | ${day(period.endMs)} | ${period.transactions} | ${period.frauds} |`,
  )
  .join('\n')}

The periods are apart by the usual delay of a label. Epoch, calibration and thresholds were chosen on
validation; test had no part in these choices.

## Figures

| figure | validation | test |
| --- | --- | --- |
${figure('average precision', metrics, ({ averagePrecision }) => averagePrecision.toFixed(3))}
${figure('recall at 0.1 % false positives', metrics, (of) => of.recallAtFalsePositives01Percent.toFixed(3))}
${figure('area under the ROC curve', metrics, ({ aucRoc }) => aucRoc.toFixed(3))}
${figure('Brier score', metrics, ({ brier }) => brier.toFixed(5))}
${figure('flagged or blocked', metrics, ({ flag }) => alertText(flag))}
${figure('blocked', metrics, ({ block }) => alertText(block))}

## Thresholds

Flag at ${thresholds.flag.toFixed(4)}, block at ${thresholds.block.toFixed(4)}. ${sentence(thresholds.rule)}

## Limits

- Cards, terminals and devices that are new to the stream have little history, and scores say less about them.
- A label that never comes counts as genuine, in training as in these figures.
- Nothing here was checked for fairness among groups of card holders; the features hold no trait of a person
  but hours and places of payments.
- Made again from the same history with seed ${training.seed} on backend ${training.backend}, the files are the same bytes.
`
}

function figure(
  name: string,
  { validation, test }: ModelManifest['metrics'],
  show: (metrics: ModelMetrics) => string,
): string {
  return `| ${name} | ${show(validation)} | ${show(test)} |`
}

function alertText({ alerts, alertShare, precision, recall }: ThresholdMetrics): string {
  const share = (alertShare * 100).toFixed(2)
  return `${alerts} (${share} %), precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`
}

function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
