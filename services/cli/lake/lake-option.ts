// The option shared by all commands of the lake.

import type { Command } from 'commander'

/** Adds `--lake`. */
export function lakeOption(command: Command): Command {
  return command.option(
    '--lake <folder>',
    'folder of the lake (default SLUICE_LAKE_FOLDER or lake)',
  )
}
