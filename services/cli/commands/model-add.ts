// sluice model add: puts a model folder into the store.

import type { Command } from 'commander'
import { addModel } from '../../platform/model-store.ts'
import { printJson, printLine } from '../command.ts'
import { addStoreOption, storeOf, type ModelOptions } from '../model/model-stream.ts'

/** Adds the subcommand to `sluice model`. */
export function registerAdd(model: Command): void {
  const adding = model
    .command('add')
    .summary('put a model folder into the store')
    .description(
      'Checks a model folder and copies it into the store, under its digest. A model that is there is left as it is.',
    )
    .argument('<folder>', 'folder that "sluice train" wrote')
    .option('--json', 'print JSON')
  addStoreOption(adding).action(async (folder: string, options: ModelOptions) => {
    const { folder: stored, digest, manifest, isNew } = await addModel(storeOf(options), folder)
    const { name, version } = manifest
    if (options.json === true) printJson({ digest, name, version, folder: stored, isNew })
    else printLine(`${digest}  ${version}  ${isNew ? 'added' : 'was there'}`)
  })
}
