// sluice schemas: checks the released schemas, releases new versions, registers them in a schema registry.

import type { Command } from 'commander'
import { planRelease, type Release, writeRelease } from '../../platform/registry/release.ts'
import { REGISTRY_FILE, schemaFolder } from '../../platform/registry/file-registry.ts'
import { SluiceError } from '../../core/errors.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { loadProducerConfig } from '../../producer/index.ts'
import { printJson, printLine } from '../command.ts'
import { printTable } from '../table.ts'

interface Options {
  readonly json?: boolean
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const schemas = program
    .command('schemas')
    .summary('check the released schemas, and release new versions')
    .description(
      'Checks schemas/ against schemas/registry.json: no released file was changed or removed, and all\n' +
        'versions of a subject can read each other as schemas/compatibility.json asks.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ sluice schemas check\n  $ sluice schemas write   # after adding schemas/alert/v2.avsc',
    )
  schemas
    .command('check')
    .summary('fail when a released schema was changed or a new one is not released')
    .description('Fails when a released schema was changed, or a new version is not released yet.')
    .option('--json', 'print the released schemas as JSON')
    .action(async (options: Options) => {
      const release = await planRelease(schemaFolder())
      const [pending] = release.added
      if (pending !== undefined)
        throw new SluiceError(
          'SLUICE_SCHEMA_UNKNOWN',
          `schemas/${pending.file} is not released; run "sluice schemas write".`,
        )
      print(release, options)
    })
  schemas
    .command('write')
    .summary('give new versions an id')
    .description(`Gives each new version the next id and writes schemas/${REGISTRY_FILE}.`)
    .option('--json', 'print the released schemas as JSON')
    .action(async (options: Options) => {
      const folder = schemaFolder()
      const release = await planRelease(folder)
      if (release.added.length > 0) await writeRelease(folder, release)
      print(release, options)
    })
  schemas
    .command('register')
    .summary('register the released schemas in the schema registry')
    .description(
      'Registers every released schema in the registry at SLUICE_SCHEMA_REGISTRY_URL. What is registered\n' +
        'already stays as it is, so this can be run before every deployment.',
    )
    .option('--topic-prefix <prefix>', 'as of the stream (default SLUICE_TOPIC_PREFIX or none)')
    .option('--json', 'print how many schemas there are as JSON')
    .action(registerSchemas)
}

async function registerSchemas(
  options: Options & { readonly topicPrefix?: string },
): Promise<void> {
  const config = loadProducerConfig(process.env)
  if (config.registryUrl === null) {
    throw new SluiceError(
      'SLUICE_USAGE',
      'SLUICE_SCHEMA_REGISTRY_URL is not set; set it to the address of the registry.',
    )
  }
  const topicPrefix = options.topicPrefix ?? config.topicPrefix
  const registry = openSchemaRegistry({ url: config.registryUrl, topicPrefix, register: true })
  const { schemas } = await registry.load()
  if (options.json === true) printJson({ registered: schemas.length })
  else printLine(`${schemas.length} schemas are registered`)
}

function print(release: Release, options: Options): void {
  if (options.json === true) {
    printJson(release.entries)
    return
  }
  const rows = release.entries.map((entry) => [
    String(entry.id),
    entry.file,
    release.added.includes(entry) ? '(new)' : '',
  ])
  printTable(rows, { align: 'r' })
}
