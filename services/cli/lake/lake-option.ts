// The option that all commands of the lake share.

import type { Command } from 'commander'

/** Adds `--lake`. */
export function lakeOption(command: Command): Command {
  return command.option(
    '--lake <folder>',
    'folder of the lake (default SLUICE_LAKE_FOLDER or lake)',
  )
}
