// Reads MOF.yml back: the form that the framework's schema asks for, the 17 components by name and in order, and our
// own assessment.

import { parse } from 'yaml'
import { FieldReader, corrupt, readString } from '../../services/core/scoring/field-reader.ts'
import {
  MOF_CLASSES,
  MOF_COMPONENTS,
  MOF_FILE,
  MOF_FRAMEWORK,
  type Mof,
  type MofComponent,
} from './mof.ts'

const DAY = /^\d{4}-\d{2}-\d{2}$/
const TEXT_MAX = 1_000

/** The framework's words for a kind of model and for its layers. */
const TYPES = ['language', 'vision', 'image', 'audio', 'video', '3d', 'code', 'multimodal', 'other']
const ARCHITECTURES = ['RNN', 'CNN', 'LSTM', 'transformer', 'hybrid', 'undisclosed', 'other']

/** @throws SluiceError SLUICE_MODEL_CORRUPT naming field and value. */
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
    throw corrupt(`${MOF_FILE} is no YAML`, error)
  }
}
