// TECHNICAL_REPORT.md: how a model was made and measured, step by step, for readers who want to judge or repeat it.

import { type Calibration, inputCountOf } from '../../services/core/scoring/scaling.ts'
import { CURVES_FILE } from '../../services/trainer/training-record.ts'
import { bandText } from './model-card.ts'
import { list, pageOf, percent } from './page-parts.ts'
import type { Release } from '../../services/trainer/release.ts'
import type { Results } from './results.ts'

/** Builds the report from the method of the run and its results. */
export function technicalReport(release: Release, results: Results): Buffer {
  const { manifest, method } = release
  const opening = `How model ${manifest.version} was made and measured. This page is generated.\n\n**${release.caveat}**`
  return pageOf('TECHNICAL_REPORT.md', `Technical report of model ${manifest.name}`, opening, [
    'Given one card transaction and the recent history of its card, terminal, merchant, device and network, estimate the ' +
      'probability of fraud. One row is one transaction; a row holds only facts known at the time of the transaction.',
    inputs(release),
    `${sentenceOf(method.family)}: ${method.architecture}. The last unit is a logit. Topology and weights are in ` +
      `${netFiles(release)}, as TensorFlow.js ${method.libraryVersion} reads them.`,
    training(release),
    choices(release, results),
    evaluation(results),
    `\`${release.command}\` with seed ${manifest.training.seed} on backend ${manifest.training.backend}. ` +
      '`sluice model verify <this folder>` checks every file, the golden scores and the figures of the shipped rows.',
  ])
}

function netFiles({ manifest: { target } }: Release): string {
  return target === null
    ? 'model.json and weights.bin'
    : 'model.json and weights.bin (draft), target.json and target.bin (target)'
}

function training({ method, files }: Release): string {
  if (files[CURVES_FILE] === undefined) return list(method.steps)
  return (
    `${list(method.steps)}\n\n![Loss on training rows and average precision on validation rows, by epoch](${CURVES_FILE})\n\n` +
    'training.json holds the numbers of every epoch.'
  )
}

function inputs({ manifest: { features, scaling } }: Release): string {
  const logarithms = scaling.filter(({ transform }) => transform === 'log1p').length
  const withAbsence = scaling.filter(({ absentInput }) => absentInput).length
  const edges = scaling.filter(({ steps, ramps }) => steps.length + ramps.length > 0).length
  return (
    `${features.length} features become ${inputCountOf(scaling)} inputs: ${logarithms} pass a logarithm first, all are ` +
    'centred, scaled and clipped by statistics of the training period alone, absent values are replaced by its median, ' +
    `and for ${withAbsence} features absence is an input of its own; ${edges} also have steps or ramps. manifest.json holds every number.`
  )
}

function choices({ manifest }: Release, { cascade }: Results): string {
  const { calibration, thresholds, target } = manifest
  const curves =
    target === null
      ? calibrationText('the net', calibration)
      : `${calibrationText('the draft', calibration)} ${calibrationText('the target', target.calibration)}`
  const band = cascade === null ? '' : ` ${bandText(cascade)}`
  return (
    `${curves} Thresholds, by the rule "${thresholds.rule}": flag at ${thresholds.flag.toFixed(4)}, block at ` +
    `${thresholds.block.toFixed(4)}.${band} All were chosen on validation.`
  )
}

function calibrationText(net: string, { kind, slope, intercept }: Calibration): string {
  return kind === 'identity'
    ? `The logit of ${net} is a probability without calibration.`
    : `Slope ${slope.toFixed(4)} and intercept ${intercept.toFixed(4)} turn the logit of ${net} into a probability ` +
        "(Platt's method)."
}

function evaluation({ metrics: { test }, intervals, history }: Results): string {
  const { low, high } = intervals.test.averagePrecision
  return (
    `On the latest period, which had no part in any choice: average precision ${test.averagePrecision.toFixed(3)} ` +
    `(${percent(intervals.confidence, 0)} interval ${low.toFixed(3)} to ${high.toFixed(3)}, ${intervals.draws} draws of ` +
    `whole cards out of ${history.cards} in the history). All figures are in evaluation/results.json and MODEL_CARD.md.`
  )
}

function sentenceOf(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
