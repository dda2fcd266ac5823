// sluice lake: history in Parquet files, filled from Kafka and queried in SQL.

import type { Command } from 'commander'
import { registerCheck, registerCompact, registerErase } from '../lake/upkeep-commands.ts'
import { registerImport, registerIngest } from '../lake/import-command.ts'
import { registerQuery } from '../lake/query-command.ts'

/** Adds the commands to the program. */
export function register(program: Command): void {
  const lake = program
    .command('lake')
    .summary('keep history in Parquet files, and ask it')
    .description(
      'Transactions, decisions, labels and dead letters as Parquet files in folders by day, which DuckDB, Spark and ' +
        'Trino read as they are.',
    )
  registerIngest(lake)
  registerQuery(lake)
  registerImport(lake)
  registerCompact(lake)
  registerCheck(lake)
  registerErase(lake)
}
