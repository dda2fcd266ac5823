// MOF.yml: the Model Openness Framework 1.0 applied to a model folder: its 17 components with location and licence,
// and the class that the release reaches. The class is computed from the files that exist, never stated by hand.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { licenceOfFile, licencePath, type ReleaseTerms } from '../../services/trainer/release.ts'
import { FieldReader, corrupt, readString } from '../../services/core/scoring/field-reader.ts'

export const MOF_FILE = 'MOF.yml'
export const MOF_FRAMEWORK = {
  name: 'Model Openness Framework',
  version: '1.0',
  date: '2024-12-15',
}

/** Classes from the most open to the least, and none. */
export const MOF_CLASSES = ['I', 'II', 'III', 'none'] as const
export type MofClass = (typeof MOF_CLASSES)[number]

const CLASS_NAMES: Readonly<Record<MofClass, string>> = {
  I: 'Open Science',
  II: 'Open Tooling',
  III: 'Open Model',
  none: 'no class',
}

/** Prefix of the location of a component that is in Sluice's repository rather than in the folder. */
export const SOURCE_PREFIX = 'repository:'

interface ComponentRule {
  readonly name: string
  readonly description: string
  /** The least open class that requires the component; null when it is optional. */
  readonly neededFor: Exclude<MofClass, 'none'> | null
  /** Path in the folder, or in the repository with SOURCE_PREFIX; null for a component that no release has. */
  readonly location: string | null
}

/** The components in the order of the framework. */
export const MOF_COMPONENTS: readonly ComponentRule[] = [
  {
    name: 'Model architecture',
    description:
      'Layers of the net, as TensorFlow.js reads them; of the target of a cascade in target.json.',
    neededFor: 'III',
    location: 'model.json',
  },
  {
    name: 'Data preprocessing code',
    description: 'Turns a stream of transactions into feature rows.',
    neededFor: 'I',
    location: `${SOURCE_PREFIX}services/core/features`,
  },
  {
    name: 'Training code',
    description: 'Makes this folder from a history.',
    neededFor: 'II',
    location: `${SOURCE_PREFIX}services/trainer`,
  },
  {
    name: 'Inference code',
    description: 'Scales rows and computes scores.',
    neededFor: 'II',
    location: `${SOURCE_PREFIX}services/core/scoring`,
  },
  {
    name: 'Evaluation code',
    description: 'Computes the figures, from scores and truth.',
    neededFor: 'II',
    location: `${SOURCE_PREFIX}services/trainer`,
  },
  {
    name: 'Supporting libraries and tools',
    description: 'Every package with its version; bom.json names those that read the model.',
    neededFor: 'II',
    location: `${SOURCE_PREFIX}package.json`,
  },
  {
    name: 'Model parameters (Final)',
    description: 'Weights; of the target of a cascade in target.bin.',
    neededFor: 'III',
    location: 'weights.bin',
  },
  {
    name: 'Model parameters (Intermediate)',
    description: 'Weights of single epochs; not retained.',
    neededFor: 'I',
    location: null,
  },
  {
    name: 'Datasets',
    description:
      'The history itself; not shipped. DATA_CARD.md says how to reproduce the same rows.',
    neededFor: 'I',
    location: null,
  },
  {
    name: 'Evaluation data',
    description:
      'Rows of the test period with truth; evaluation/results.json says how they were drawn.',
    neededFor: 'II',
    location: 'evaluation/test-rows.csv.gz',
  },
  {
    name: 'Model metadata',
    description: 'Features, scaling, calibration, thresholds, digests.',
    neededFor: null,
    location: 'manifest.json',
  },
  {
    name: 'Sample model outputs',
    description: 'Golden rows and their scores; of the target of a cascade in target-golden.json.',
    neededFor: null,
    location: 'golden.json',
  },
  {
    name: 'Model card',
    description: 'Purpose, quality and limits of the model.',
    neededFor: 'III',
    location: 'MODEL_CARD.md',
  },
  {
    name: 'Data card',
    description: 'Data of training and measurement.',
    neededFor: 'III',
    location: 'DATA_CARD.md',
  },
  {
    name: 'Technical report',
    description: 'How the model was made and measured.',
    neededFor: 'III',
    location: 'TECHNICAL_REPORT.md',
  },
  {
    name: 'Research paper',
    description: 'None.',
    neededFor: 'I',
    location: null,
  },
  {
    name: 'Evaluation results',
    description: 'All figures with intervals, by week, and on the shipped rows.',
    neededFor: 'III',
    location: 'evaluation/results.json',
  },
]

/** One component as it is written; empty strings where it is not part of the release. */
export interface MofComponent {
  readonly name: string
  readonly description: string
  readonly location: string
  readonly license_name: string
  readonly license_path: string
}

export interface Mof {
  readonly framework: { readonly name: string; readonly version: string; readonly date: string }
  readonly release: {
    readonly name: string
    readonly version: string
    readonly date: string
    readonly type: string
    readonly architecture: string
    readonly origin: string
    readonly producer: string
    readonly contact: string
    readonly components: readonly MofComponent[]
  }
  readonly assessment: MofAssessment
}

export interface MofAssessment {
  readonly class: MofClass
  readonly class_name: string
  /** Components that the next class requires and the release lacks. */
  readonly missing_for_next_class: readonly string[]
}

/** Tests whether a location exists. */
export type IsPresent = (location: string) => boolean

/** Looks up the folder by its file names, and the installation for code. */
export function presenceOf(paths: readonly string[], root: string): IsPresent {
  return (location) => {
    if (!location.startsWith(SOURCE_PREFIX)) return paths.includes(location)
    const path = location.slice(SOURCE_PREFIX.length)
    return existsSync(join(root, path)) || existsSync(join(root, 'dist', path))
  }
}

/** Builds the content of the file. */
export function mofOf(
  model: { readonly name: string; readonly version: string; readonly releasedOn: string },
  terms: ReleaseTerms,
  isPresent: IsPresent,
): Mof {
  const components = MOF_COMPONENTS.map(({ name, description, location }): MofComponent => {
    if (location === null || !isPresent(location)) {
      return { name, description, location: '', license_name: '', license_path: '' }
    }
    const isSource = location.startsWith(SOURCE_PREFIX)
    const licence = isSource ? terms.code : licenceOfFile(location, terms)
    return {
      name,
      description,
      location,
      license_name: licence ?? '',
      license_path: licencePath(licence) ?? '',
    }
  })
  const { name, version, releasedOn: date } = model
  return {
    framework: MOF_FRAMEWORK,
    release: {
      name,
      version,
      date,
      // The framework's lists have neither tables nor plain nets.
      type: 'other',
      architecture: 'other',
      origin: '',
      producer: 'Sluice',
      contact: '',
      components,
    },
    assessment: assess(components, isPresent),
  }
}

/** The class that components with a stated licence reach. */
export function assess(components: readonly MofComponent[], isPresent: IsPresent): MofAssessment {
  const open = new Set(
    components
      .filter(
        ({ location, license_name: licence }) =>
          location !== '' && licence !== '' && isPresent(location),
      )
      .map(({ name }) => name),
  )
  const missing = (wanted: MofClass): readonly string[] =>
    MOF_COMPONENTS.filter(({ name, neededFor }) => neededFor === wanted && !open.has(name)).map(
      ({ name }) => name,
    )
  let reached: MofClass = 'none'
  for (const next of ['III', 'II', 'I'] as const) {
    const lacking = missing(next)
    if (lacking.length > 0) {
      return { class: reached, class_name: CLASS_NAMES[reached], missing_for_next_class: lacking }
    }
    reached = next
  }
  return { class: reached, class_name: CLASS_NAMES[reached], missing_for_next_class: [] }
}

const DAY = /^\d{4}-\d{2}-\d{2}$/
const TEXT_MAX = 1_000

/** The framework's terms for kinds of model and of layer. */
const TYPES = ['language', 'vision', 'image', 'audio', 'video', '3d', 'code', 'multimodal', 'other']
const ARCHITECTURES = ['RNN', 'CNN', 'LSTM', 'transformer', 'hybrid', 'undisclosed', 'other']

/**
 * Reads the file strictly: the form of the framework's schema, the 17 components by name and in order, and Sluice's own
 * assessment. @throws SluiceError SLUICE_MODEL_CORRUPT naming field and value.
 */
export function parseMof(text: string): Mof {
  const fields = new FieldReader(parsed(text), MOF_FILE)
  const mof: Mof = {
    framework: fields.object('framework', (framework) => ({
      name: framework.oneOf('name', [MOF_FRAMEWORK.name]),
      version: framework.oneOf('version', [MOF_FRAMEWORK.version]),
      date: framework.oneOf('date', [MOF_FRAMEWORK.date]),
    })),
    release: fields.object('release', readRelease),
    assessment: fields.object('assessment', (assessment) => ({
      class: assessment.oneOf('class', MOF_CLASSES),
      class_name: assessment.string('class_name'),
      missing_for_next_class: assessment.array(
        'missing_for_next_class',
        MOF_COMPONENTS.length,
        readString,
      ),
    })),
  }
  fields.end()
  return mof
}

function readRelease(fields: FieldReader): Mof['release'] {
  const date = fields.string('date')
  if (!DAY.test(date)) throw corrupt(`${MOF_FILE}.release.date is "${date}", but must be a day`)
  return {
    name: fields.string('name'),
    version: fields.string('version'),
    date,
    type: fields.oneOf('type', TYPES),
    architecture: fields.oneOf('architecture', ARCHITECTURES),
    origin: fields.text('origin'),
    producer: fields.text('producer'),
    contact: fields.text('contact'),
    components: readComponents(fields),
  }
}

function readComponents(fields: FieldReader): readonly MofComponent[] {
  const components = fields.objects('components', MOF_COMPONENTS.length, (component) => ({
    name: component.string('name'),
    description: component.text('description', TEXT_MAX),
    location: component.text('location', TEXT_MAX),
    license_name: component.text('license_name'),
    license_path: component.text('license_path'),
  }))
  for (const [index, { name }] of MOF_COMPONENTS.entries()) {
    const found = components[index]?.name
    if (found !== name) {
      throw corrupt(
        `${MOF_FILE}.release.components[${index}] is "${found ?? 'absent'}", but must be "${name}"`,
      )
    }
  }
  return components
}

function parsed(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 })
  } catch (error) {
    throw corrupt(`${MOF_FILE} is not YAML`, error)
  }
}
