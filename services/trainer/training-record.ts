// Records how a cascade was trained: training.json for programs, curves.svg for people, and the method in words for
// the model documentation.

import assert from 'node:assert/strict'
import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import { jsonBytes } from './model-folder.ts'
import type { PartMetrics, TrainingMethod } from './release.ts'
import { type TrainedCascade, NET_TRAINING } from './net/train-cascade.ts'
import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import { BATCH_ROWS } from './net/net-passes.ts'
import { AVERAGE_MEMORY } from './net/train-net.ts'
import type { EpochFigures } from './net/net-checkpoint.ts'

/** Both files by path. Durations differ from run to run, so they are left out. */
export function trainingRecord(
  cascade: TrainedCascade,
  parts: PartMetrics,
): Readonly<Record<string, Buffer>> {
  const curves = (['draft', 'target'] as const).map((name) => {
    const { bestEpoch, epochs } = cascade[name].net
    return {
      name,
      bestEpoch,
      epochs: epochs.map(({ epoch, loss, validationPrecision }) => ({
        epoch,
        loss,
        validationPrecision,
      })),
    }
  })
  const epochs = Object.fromEntries(curves.map((curve) => [curve.name, curve.epochs]))
  return {
    'training.json': jsonBytes({ parts, epochs }),
    [CURVES_FILE]: Buffer.from(trainingCurves(curves)),
  }
}

/** Describes what `trainCascade` did. */
export function trainingMethod(
  { tf, backend }: OpenBackend,
  { draft, target }: TrainedCascade,
  { seed, epochsMax }: { readonly seed: number; readonly epochsMax: number },
): TrainingMethod {
  const { sequence, members, hiddenUnits } = target.shape
  assert(sequence !== null, 'The target of a cascade reads sequences.')
  const draftLayers = [draft.shape.inputCount, ...draft.shape.hiddenUnits, 1].join('-')
  const eventLayers = [sequence.eventInputs, ...sequence.eventUnits].join('-')
  return {
    family: 'feed-forward networks in a cascade',
    architecture:
      `draft: dense ${draftLayers}; target: the mean of ${members} members, each dense ${eventLayers} over each of the ` +
      `card's last ${sequence.events} payments, their mean and maximum appended to the features, then dense ` +
      `${[...hiddenUnits, 1].join('-')}; rectified linear units`,
    steps: [
      'Features become inputs by ramps between quantiles and by steps at the splits of a small decision tree on each ' +
        'feature alone, where these carry more information than their weights cost (minimum description length); amounts also ' +
        'by ramps between the quantiles of their merchant category; all learnt from the training rows.',
      `Adam with learning rate ${NET_TRAINING.learningRate}, batches of ${BATCH_ROWS} rows in a new order for each epoch; ` +
        `dropout ${NET_TRAINING.dropout}; each batch multiplies the weights by 1 - ${NET_TRAINING.weightDecay}.`,
      `Loss: log loss, in which a fraud weighs ${NET_TRAINING.fraudWeight} times as much as a genuine transaction.`,
      `The resulting weights are a running mean: after each epoch, ${AVERAGE_MEMORY} of the earlier mean and the rest of the new weights.`,
      `Epochs ${draft.net.bestEpoch} of the draft and ${target.net.bestEpoch} of the target, of at most ${epochsMax}, were best by ` +
        `average precision on validation; training ends after ${NET_TRAINING.patienceEpochs} epochs without improvement.`,
      `All randomness comes from seed ${seed}; computed on backend ${backend}.`,
    ],
    libraryVersion: tf.version_core,
  }
}

export const CURVES_FILE = 'curves.svg'

/** One net with the results of its epochs. */
export interface LearningCurve {
  readonly name: string
  readonly epochs: readonly Omit<EpochFigures, 'seconds'>[]
  /** Epoch whose weights are used. */
  readonly bestEpoch: number
}

const WIDTH = 760
const HEIGHT = 300
const PLOT = { top: 44, width: 290, height: 200 } as const
const LEFTS = [60, 440] as const
const COLOURS = ['#1f6fb4', '#c2571a', '#3d8b4f', '#7a4fa3'] as const
const TICKS = 5
const PATH_DIGITS = 2

type Spot = readonly [epoch: number, value: number]

/** Two plots side by side, one line per net; a dot marks the chosen epoch. */
export function trainingCurves(curves: readonly LearningCurve[]): string {
  const plots = [
    plot(LEFTS[0], 'loss on training rows', curves, ({ loss }) => loss),
    plot(
      LEFTS[1],
      'average precision on validation rows',
      curves,
      ({ validationPrecision }) => validationPrecision,
    ),
  ]
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    'font-family="sans-serif" font-size="11" role="img" aria-label="Loss and average precision by epoch">\n' +
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>\n${plots.join('')}${legend(curves)}</svg>\n`
  )
}

function plot(
  left: number,
  title: string,
  curves: readonly LearningCurve[],
  read: (epoch: LearningCurve['epochs'][number]) => number | null,
): string {
  const spots = curves.map(({ epochs }) =>
    epochs.flatMap((epoch): readonly Spot[] => {
      const value = read(epoch)
      return value === null || !Number.isFinite(value) ? [] : [[epoch.epoch, value]]
    }),
  )
  const all = spots.flat()
  const epochLast = all.reduce((most, [epoch]) => Math.max(most, epoch), 2)
  const high = all.reduce((most, [, value]) => Math.max(most, value), 0)
  const x = scaleLinear([1, epochLast], [left, left + PLOT.width])
  const y = scaleLinear([0, high > 0 ? high : 1], [PLOT.top + PLOT.height, PLOT.top]).nice(TICKS)
  const path = line<Spot>(
    ([epoch]) => x(epoch),
    ([, value]) => y(value),
  ).digits(PATH_DIGITS)
  const lines = spots.map((own, index) => {
    const colour = colourOf(index)
    const kept = own.find(([epoch]) => epoch === curves[index]?.bestEpoch)
    const dot =
      kept === undefined
        ? ''
        : `<circle cx="${places(x(kept[0]))}" cy="${places(y(kept[1]))}" r="4" fill="${colour}"/>\n`
    return `<path d="${path(own) ?? ''}" fill="none" stroke="${colour}" stroke-width="1.5"/>\n${dot}`
  })
  const heights = y.ticks(TICKS).map((value) => {
    const at = places(y(value))
    return (
      `<line x1="${left}" x2="${left + PLOT.width}" y1="${at}" y2="${at}" stroke="#dddddd"/>\n` +
      `<text x="${left - 6}" y="${at}" dy="0.35em" text-anchor="end">${y.tickFormat(TICKS)(value)}</text>\n`
    )
  })
  const epochs = x
    .ticks(TICKS)
    .filter((epoch) => Number.isInteger(epoch))
    .map(
      (epoch) =>
        `<text x="${places(x(epoch))}" y="${PLOT.top + PLOT.height + 18}" text-anchor="middle">${epoch}</text>\n`,
    )
  return (
    `<text x="${left}" y="${PLOT.top - 14}" font-size="13">${title}</text>\n` +
    `${heights.join('')}${epochs.join('')}${lines.join('')}`
  )
}

function legend(curves: readonly LearningCurve[]): string {
  const entries = curves.map(({ name, bestEpoch }, index) => {
    const from = LEFTS[0] + index * (PLOT.width / 2)
    return (
      `<rect x="${from}" y="282" width="12" height="4" fill="${colourOf(index)}"/>\n` +
      `<text x="${from + 18}" y="288">${name}, epoch ${bestEpoch} kept</text>\n`
    )
  })
  return entries.join('')
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? '#000000'
}

function places(value: number): string {
  return value.toFixed(PATH_DIGITS)
}
