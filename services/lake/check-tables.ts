// What must be true of the tables as a whole: no row twice, no offset left out between what was taken, as many rows as
// messages, and an answer for every transaction that the scorer has passed.

import type { CheckName, CheckResult } from '../core/lake/lake-checks.ts'
import { placeOf, type LakeState } from '../core/lake/lake-log.ts'
import { KEY_COLUMNS, TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import type { LakeReader } from '../platform/lake/lake-views.ts'

/** Checks all tables. */
export async function checkTables({ session, state }: LakeReader): Promise<readonly CheckResult[]> {
  const ask = async (sql: string): Promise<readonly (readonly unknown[])[]> => session.rows(sql)
  const results: CheckResult[] = []
  for (const table of TOPIC_TABLES) {
    const keys = KEY_COLUMNS[table].join(', ')
    const [repeats] = await ask(
      `SELECT coalesce(sum(copies - 1), 0) FROM (SELECT count(*) AS copies FROM ${table} GROUP BY ${keys} HAVING copies > 1)`,
    )
    results.push(
      result(
        table,
        null,
        'repeated_in_table',
        Number(repeats?.[0] ?? 0),
        0,
        'rows that are there twice',
      ),
    )
    results.push(...(await checkRanges(ask, state, table)))
  }
  results.push(...(await checkAnswers(ask)))
  return results
}

type Ask = (sql: string) => Promise<readonly (readonly unknown[])[]>

/** The ranges that were taken follow one another up to where the lake stands, and their messages are rows. */
async function checkRanges(
  ask: Ask,
  state: LakeState,
  table: TopicTable,
): Promise<readonly CheckResult[]> {
  const ranges = await ask(
    'SELECT log_partition, count(*), min(first_offset), max(last_offset) + 1, ' +
      "sum(last_offset + 1 - first_offset), sum(found) FILTER (WHERE check_name = 'offsets') FROM checks " +
      `WHERE table_name = '${table}' AND check_name IN ('offsets', 'gap') GROUP BY log_partition ORDER BY log_partition`,
  )
  // An empty block has no row, so of decisions there may be fewer blocks than messages.
  const counted = await ask(
    table === 'decisions'
      ? `SELECT log_partition, count(DISTINCT block_offset) FROM ${table} GROUP BY log_partition`
      : `SELECT log_partition, count(*) FROM ${table} GROUP BY log_partition`,
  )
  const rows = countsBy(counted)
  // What was erased was taken; it is counted with the rows that are there.
  const erased = countsBy(
    await ask(
      `SELECT log_partition, sum(found) FROM checks WHERE table_name = '${table}' AND check_name = 'erased' GROUP BY log_partition`,
    ),
  )
  return ranges.flatMap(([partitionCell, , first, next, covered, taken]) => {
    const partition = Number(partitionCell)
    const end = state.next.get(placeOf(table, partition)) ?? 0
    const range = { partition, first: Number(first), last: Number(next) - 1 }
    const gone = erased.get(partition) ?? 0
    const found = (rows.get(partition) ?? 0) + (table === 'decisions' ? 0 : gone)
    const messages = Number(taken ?? 0)
    const isShort = table === 'decisions' ? found > messages : found !== messages
    return [
      result(
        table,
        range,
        'ranges_follow',
        Number(covered),
        end - range.first,
        'ranges overlap, or leave offsets out',
      ),
      result(
        table,
        range,
        'rows_of_ranges',
        isShort ? found : messages,
        messages,
        `another number of rows${gone === 0 ? '' : ` (${gone} erased ones counted)`} than messages that were taken`,
      ),
    ]
  })
}

function countsBy(rows: readonly (readonly unknown[])[]): ReadonlyMap<number, number> {
  return new Map(rows.map(([partition, count]) => [Number(partition), Number(count)]))
}

/** Up to the newest decision of a partition, every transaction has a first decision or is a dead letter. */
async function checkAnswers(ask: Ask): Promise<readonly CheckResult[]> {
  const partitions = await ask(
    `WITH decided AS (
       SELECT log_partition, max(log_offset) AS last, count(*) FILTER (WHERE revision = 0) AS decisions
       FROM decisions GROUP BY log_partition
     ), asked AS (
       SELECT t.log_partition, t.log_offset, d.last FROM transactions t
       JOIN decided d ON d.log_partition = t.log_partition AND t.log_offset <= d.last
     ), missing AS (
       SELECT a.log_partition, count(*) AS transactions FROM asked a
       ANTI JOIN (SELECT log_partition, log_offset FROM decisions WHERE revision = 0) d
         USING (log_partition, log_offset)
       ANTI JOIN (
         SELECT source_partition AS log_partition, source_offset AS log_offset FROM dead_letters
         WHERE source_topic LIKE '%transactions'
       ) l USING (log_partition, log_offset)
       GROUP BY a.log_partition
     )
     SELECT d.log_partition, d.last, coalesce(m.transactions, 0) FROM decided d LEFT JOIN missing m USING (log_partition)
     ORDER BY d.log_partition`,
  )
  return partitions.map(([partition, last, missing]) =>
    result(
      'transactions',
      { partition: Number(partition), first: 0, last: Number(last) },
      'answered',
      Number(missing),
      0,
      'transactions without a decision and without a dead letter',
    ),
  )
}

function result(
  table: TopicTable,
  range: CheckResult['range'],
  name: CheckName,
  found: number,
  expected: number,
  detail: string,
): CheckResult {
  const status = found === expected ? 'ok' : 'failed'
  return {
    table,
    file: null,
    range,
    name,
    status,
    found,
    expected,
    detail: status === 'ok' ? '' : detail,
  }
}
