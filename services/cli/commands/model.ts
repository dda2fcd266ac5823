// sluice model: what is done with a model folder.

import type { Command } from 'commander'
import { addVerify } from './model-verify.ts'

/** Adds the command to the program. */
export function register(program: Command): void {
  const model = program
    .command('model')
    .summary('verify a model folder')
    .description('Works on model folders.')
  addVerify(model)
}
