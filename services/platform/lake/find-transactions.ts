// Finds transactions of a lake by their ids.

import type { LabelledTransaction } from '../../core/mapping/compile-mapping.ts'
import { openLakeReader, readFailure } from './lake-views.ts'

const CHUNK_IDS = 2_048

/**
 * The transactions with these ids, by id; of several with one id, the one that came first. Reads the ids of the whole
 * lake once.
 * @throws SluiceError as `openLakeReader`
 */
export async function findTransactions(
  folder: string,
  ids: ReadonlySet<string>,
): Promise<ReadonlyMap<string, LabelledTransaction>> {
  const reader = await openLakeReader(folder)
  const { session } = reader
  try {
    await session.run('CREATE TEMP TABLE wanted (id VARCHAR PRIMARY KEY)')
    const appender = await session.connection.createAppender('wanted')
    let count = 0
    for (const id of ids) {
      appender.appendVarchar(id)
      appender.endRow()
      count += 1
      if (count % CHUNK_IDS === 0) appender.flushSync()
    }
    appender.closeSync()
    const result = await session.stream(
      'SELECT id, card, epoch_ms(event_time), merchant, terminal, device, ip_network FROM transactions ' +
        'WHERE id IN (SELECT id FROM wanted) ' +
        'QUALIFY row_number() OVER (PARTITION BY id ORDER BY event_time, log_partition, log_offset) = 1',
    )
    const found = new Map<string, LabelledTransaction>()
    for await (const rows of result.yieldRows()) {
      for (const [id, card, eventTimeMs, ...entities] of rows) {
        const [merchant, terminal, device, ipNetwork] = entities.map(textOrNull)
        found.set(String(id), {
          id: String(id),
          card: String(card),
          eventTimeMs: Number(eventTimeMs),
          merchant: merchant ?? null,
          terminal: terminal ?? null,
          device: device ?? null,
          ipNetwork: ipNetwork ?? null,
        })
      }
    }
    return found
  } catch (error) {
    throw readFailure(error) ?? error
  } finally {
    await reader.close()
  }
}

function textOrNull(cell: unknown): string | null {
  return typeof cell === 'string' ? cell : null
}
