// sluice rates: imports, checks and shows tables of exchange rates, and changes the one in force. One section for each
// subcommand. Nothing is fetched.

import { existsSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { activated, controlOf, isDigest, NO_DEPLOYMENT } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import { isEcbCsv, parseEcbRates } from '../../core/rates/ecb-rates.ts'
import { parseInstant } from '../../core/rates/instant.ts'
import { firstDifferenceMs, type RateTable, rateTableText } from '../../core/rates/rate-table.ts'
import { parseRates, ratesInvalid, readRates } from '../../core/rates/rates-file.ts'
import { systemClock } from '../../platform/clock.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'
import { writeFileAtomically } from '../../platform/files/atomic-file.ts'
import { publishControl, readDeployment } from '../../platform/kafka/control-topic.ts'
import { addRates, findRates, listRates, readRatesText } from '../../platform/rate-store.ts'
import { printJson, printLine, printProgress } from '../command.ts'
import { loadRedriveConfig } from '../dead-letters/read-letters.ts'
import {
  addChangeOptions,
  addStoreOption,
  addStreamOptions,
  authorOf,
  type ChangeOptions,
  type ModelOptions,
  openControl,
  storesOf,
} from '../model/model-stream.ts'
import { printTable } from '../table.ts'
import { environmentHelp } from './environment-help.ts'

const EXIT_FAULTY = 2
/** Time for a table to reach every scorer before a payment needs it. */
const LEAD_MS = 60_000

const EXAMPLES = `
Examples:
  $ sluice rates import eurofxref-hist.csv --since 2025-01-01 --out rates.csv
  $ sluice rates check rates.csv
  $ sluice rates show rates.csv --at 2026-03-01
  $ sluice rates activate rates.csv --reason "rates of March"`

/** Adds the command to the program. */
export function register(program: Command): void {
  const rates = program
    .command('rates')
    .summary('import exchange rates, and change those in force')
    .description(
      'Imports, checks and shows tables of exchange rates, and puts one in force. A table is a file of dated rates to one ' +
        'reference currency (docs/money.md). Nothing is fetched.',
    )
    .addHelpText('after', () => `\n${environmentHelp('rates')}\n${EXAMPLES}`)
  registerImport(rates)
  registerCheck(rates)
  registerShow(rates)
  registerList(rates)
  registerStatus(rates)
  registerActivate(rates)
}

// sluice rates import: makes a table from a file of the European Central Bank, or from another table.

interface ImportOptions {
  readonly out: string
  readonly reference: string
  readonly since?: number
  readonly json?: boolean
}

function registerImport(rates: Command): void {
  rates
    .command('import')
    .summary("make a table from the European Central Bank's CSV")
    .description(
      "Reads the European Central Bank's CSV of daily or historical reference rates (Date,USD,JPY,...), or a table, and " +
        'writes a table. Each quote applies from the day after it on.',
    )
    .argument('<file>', 'the CSV, unpacked')
    .requiredOption('--out <file>', 'file of the table')
    .addOption(
      new Option('--reference <currency>', 'currency that amounts are converted to').default('EUR'),
    )
    .option('--since <day>', 'leave out rates that ended before this day', dayOption('--since'))
    .option('--json', 'print JSON')
    .action((file: string, options: ImportOptions) => {
      const { out, since: sinceMs = 0 } = options
      const table = importedFrom(file, options.reference, sinceMs)
      writeFileAtomically(out, rateTableText(table))
      if (options.json === true) printJson({ file: out, ...factsOf(table) })
      else printLine(`${out}: ${factsText(table)}`)
    })
}

function importedFrom(file: string, reference: string, sinceMs: number): RateTable {
  const text = readRatesText(file)
  if (isEcbCsv(text)) {
    const parsed = parseEcbRates(text, { reference, sinceMs })
    if (parsed.ok) return parsed.table
    throw ratesInvalid(file, parsed.faults)
  }
  const table = readRates(text, file)
  if (table.reference === reference) return table
  throw new SluiceError(
    'SLUICE_USAGE',
    `${file} is a table to ${table.reference}, not to ${reference}. Only quotes of the European Central Bank are crossed to ` +
      `another currency; give --reference ${table.reference}.`,
  )
}

// sluice rates check: prints all faults of a table.

function registerCheck(rates: Command): void {
  rates
    .command('check')
    .summary('find all faults of a table')
    .description(
      'Reads the file as a scorer would and prints every fault with its line. Exits 0 when there is none, 2 otherwise.',
    )
    .argument('<file>', 'the table')
    .option('--json', 'print JSON')
    .action((file: string, options: { readonly json?: boolean }) => {
      const text = readRatesText(file)
      const parsed = parseRates(text)
      if (!parsed.ok) process.exitCode = EXIT_FAULTY
      if (options.json === true)
        printJson(parsed.ok ? { ok: true, ...factsOf(parsed.table) } : parsed)
      else if (parsed.ok) printLine(`${file}: ${factsText(parsed.table)}: no fault`)
      else for (const { line, message } of parsed.faults) printLine(`${file}:${line}: ${message}`)
      if (!parsed.ok && isEcbCsv(text)) {
        printProgress(
          `This is a file of the European Central Bank: run "sluice rates import ${file} --out <table>".`,
        )
      }
    })
}

// sluice rates show: the rates of a table at a time.

interface ShowOptions extends Pick<ModelOptions, 'store'> {
  readonly at?: number
  readonly text?: boolean
  readonly json?: boolean
}

function registerShow(rates: Command): void {
  const show = rates
    .command('show')
    .summary('show the rates of a table at a time')
    .description(
      'Shows what one unit of each currency is worth. Without a name, the configured table (SLUICE_RATES).',
    )
    .argument('[table]', 'file of a table, or the digest of one in the store')
    .option(
      '--at <time>',
      'a day or an instant, such as 2026-01-31T16:00:00Z (default now)',
      dayOption('--at'),
    )
    .addOption(new Option('--text', 'print the table as a file').conflicts(['json', 'at']))
    .option('--json', 'print JSON')
  addStoreOption(show).action(async (named: string | undefined, options: ShowOptions) => {
    const table = named === undefined ? configuredRates() : await tableOf(named, options)
    if (options.text === true) {
      process.stdout.write(rateTableText(table))
      return
    }
    const atMs = options.at ?? systemClock.nowMs()
    const inForce = ratesAt(table, atMs)
    if (options.json === true) {
      printJson({ ...factsOf(table), at: new Date(atMs).toISOString(), inForce })
      return
    }
    printLine(factsText(table))
    printTable(
      inForce.map(({ currency, rate, from }) => [
        `1 ${currency}`,
        `${rate} ${table.reference}`,
        `since ${from}`,
      ]),
    )
  })
}

function ratesAt(table: RateTable, atMs: number) {
  const newest = new Map(
    table.rates.filter(({ fromMs }) => fromMs <= atMs).map((rate) => [rate.currency, rate]),
  )
  return [...newest.values()].map(({ currency, rate, fromMs }) => ({
    currency,
    rate,
    from: new Date(fromMs).toISOString().slice(0, 10),
  }))
}

// sluice rates list: the tables of the store.

function registerList(rates: Command): void {
  const list = rates
    .command('list')
    .summary('list the tables of the store')
    .description('Lists the tables of exchange rates that the store holds, by digest.')
    .option('--json', 'print JSON')
  addStoreOption(list).action(async (options: ShowOptions) => {
    const store = storesOf(options).policies
    const tables: RateTable[] = []
    for (const digest of await listRates(store)) tables.push(await findRates(store, digest))
    if (options.json === true) printJson(tables.map(factsOf))
    else for (const table of tables) printLine(factsText(table))
  })
}

// sluice rates status: the table in force on a stream.

function registerStatus(rates: Command): void {
  const status = rates
    .command('status')
    .summary('show the table in force')
    .description('Shows the table that the control topic names, and who put it in force.')
    .option('--json', 'print JSON')
  addStreamOptions(status).action(async (options: ModelOptions & { readonly json?: boolean }) => {
    const found = await readDeployment(await openControl(options), 'rates')
    const active = found?.deployment.active ?? null
    const table = active === null ? null : await findRates(storesOf(options).policies, active)
    const said = found?.control ?? null
    if (options.json === true) {
      const facts = table === null ? null : factsOf(table)
      printJson({
        active,
        position: found?.position ?? null,
        table: facts,
        author: said?.author ?? null,
      })
      return
    }
    printLine(`active  ${table === null ? "the scorers' own (SLUICE_RATES)" : factsText(table)}`)
    if (said !== null) {
      printLine(`by      ${said.author}, ${new Date(said.atMs).toISOString()}: ${said.reason}`)
    }
  })
}

// sluice rates activate: puts a table in force.

interface ActivateOptions extends ChangeOptions {
  readonly fromNow?: boolean
}

function registerActivate(rates: Command): void {
  const activate = rates
    .command('activate')
    .summary('put a table in force')
    .description(
      'Stores the table and names it in the control topic; scorers use it from their next batch on, and record it in each ' +
        'decision batch. It must convert the past as the table in force does: the first rate that differs must lie ahead of ' +
        'every payment that may have been decided (SLUICE_EVENT_AHEAD_MS_MAX and a minute from now).',
    )
    .argument('<table>', 'file of a table, or the digest of one in the store')
    .option(
      '--from-now',
      'allow rates that differ for times before; decisions stay as they are, but features of later payments mix both',
    )
  addChangeOptions(activate).action(runActivate)
}

async function runActivate(named: string, options: ActivateOptions): Promise<void> {
  const store = storesOf(options).policies
  const table = await tableOf(named, options)
  const access = await openControl(options)
  const deployment = (await readDeployment(access, 'rates'))?.deployment ?? NO_DEPLOYMENT
  const before =
    deployment.active === null ? configuredRates() : await findRates(store, deployment.active)
  const changesFromMs = checkChange(before, table, options.fromNow === true)
  await addRates(store, table)
  // A replay must find the table that was in force before, too.
  await addRates(store, before)
  const word = { author: authorOf(options), reason: options.reason, atMs: systemClock.nowMs() }
  const next = activated(deployment, table.digest)
  const position = await publishControl(access, controlOf(next, word, 'rates'))
  const from = changesFromMs === null ? null : new Date(changesFromMs).toISOString()
  if (options.json === true) {
    printJson({ position, active: table.digest, changesFrom: from, ...factsOf(table), ...word })
    return
  }
  printLine(`active  ${factsText(table)}`)
  printLine(`changes ${from === null ? 'nothing' : `amounts of payments from ${from} on`}`)
  printLine(
    `said at offset ${position} of ${access.topicPrefix}control; scorers switch between batches`,
  )
}

/** The event time from which amounts change. @throws SluiceError SLUICE_RATES_INVALID */
function checkChange(before: RateTable, after: RateTable, mayChangePast: boolean): number | null {
  if (before.reference !== after.reference) {
    throw new SluiceError(
      'SLUICE_RATES_INVALID',
      `The table converts to ${after.reference}, but the stream to ${before.reference}: the amounts of its state cannot be ` +
        `converted again. Give a table to ${before.reference}, or start another stream (docs/money.md).`,
    )
  }
  const fromMs = firstDifferenceMs(before, after)
  const { eventAheadMsMax } = loadRedriveConfig(process.env)
  const leastMs = systemClock.nowMs() + eventAheadMsMax + LEAD_MS
  if (fromMs === null || fromMs >= leastMs || mayChangePast) return fromMs
  throw new SluiceError(
    'SLUICE_RATES_INVALID',
    `The table first differs from the one in force at ${new Date(fromMs).toISOString()}, but payments before ` +
      `${new Date(leastMs).toISOString()} may be decided already. Let the new rates begin later, or give --from-now ` +
      '(docs/money.md says what that costs).',
    { details: { fromMs, leastMs } },
  )
}

// Parts of all subcommands.

async function tableOf(named: string, options: ModelOptions): Promise<RateTable> {
  if (existsSync(named) || !isDigest(named)) return readRates(readRatesText(named), named)
  return findRates(storesOf(options).policies, named)
}

function factsOf({ reference, digest, rates }: RateTable) {
  const times = rates.map(({ fromMs }) => fromMs).toSorted((a, b) => a - b)
  const dayOf = (timeMs: number | undefined) =>
    timeMs === undefined ? null : new Date(timeMs).toISOString().slice(0, 10)
  return {
    digest,
    reference,
    currencies: new Set(rates.map(({ currency }) => currency)).size,
    rates: rates.length,
    from: dayOf(times[0]),
    newest: dayOf(times.at(-1)),
  }
}

function factsText(table: RateTable): string {
  const { digest, reference, currencies, rates, from, newest } = factsOf(table)
  const span = from === null ? '' : `, from ${from}, newest ${newest ?? ''}`
  return `${digest.slice(0, 12)} to ${reference}: ${rates} rates of ${currencies} currencies${span}`
}

function dayOption(name: string): (text: string) => number {
  return (text) => {
    const timeMs = parseInstant(text)
    if (timeMs !== null) return timeMs
    throw new SluiceError(
      'SLUICE_USAGE',
      `${name} "${text}" is no day or instant, such as 2026-01-31.`,
    )
  }
}
