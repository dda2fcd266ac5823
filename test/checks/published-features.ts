// Compares exported features with the 15 published inputs of the Fraud Detection Handbook, computed here from the
// files in their own way: from sorted lists by bisection, not by our feature code.
//
//   npm run node -- test/checks/published-features.ts <folder of daily files> <features.csv> <first day> <last day>
//
// Published definitions (Le Borgne et al., Fraud Detection Handbook, chapter 3): windows (t - w, t] over the customer's
// transactions, the current one included; (t - 7d - w, t - 7d] over the terminal's; frauds count from 7 days after their
// transaction. Of transactions of one customer in the same second the order is open, so both readings are accepted.

import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'

const TOLERANCE = 1e-6
const DAY_S = 86_400
const DELAY_S = 7 * DAY_S
const WINDOWS = [
  ['1d', DAY_S],
  ['7d', 7 * DAY_S],
  ['30d', 30 * DAY_S],
] as const
const MISMATCHES_SHOWN = 20

interface Payment {
  readonly id: string
  readonly timeS: number
  readonly customer: string
  readonly terminal: string
  readonly amountCents: number
  readonly isFraud: boolean
}

/** Times in ascending order with running sums before each, so that a window is two bisections. */
class Timeline {
  readonly timesS: number[] = []
  readonly cents: number[] = [0]
  readonly frauds: number[] = [0]

  add({ timeS, amountCents, isFraud }: Payment): void {
    this.timesS.push(timeS)
    this.cents.push((this.cents.at(-1) ?? 0) + amountCents)
    this.frauds.push((this.frauds.at(-1) ?? 0) + (isFraud ? 1 : 0))
  }

  /** Number of entries at or before this time. */
  upTo(timeS: number): number {
    let low = 0
    let high = this.timesS.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.timesS[middle] ?? 0) <= timeS) low = middle + 1
      else high = middle
    }
    return low
  }
}

const [folder = '', exported = '', firstDay = '', lastDay = ''] = process.argv.slice(2)
if (lastDay === '') {
  process.stderr.write('Give the folder, the exported file, the first and the last day.\n')
  process.exit(2)
}
process.exitCode = await check()

async function check(): Promise<number> {
  const payments = await readFolder(folder, lastDay)
  const customers = timelines(payments, ({ customer }) => customer)
  const terminals = timelines(payments, ({ terminal }) => terminal)
  const wanted = new Map(
    payments
      .filter(({ timeS }) => timeS >= Date.parse(firstDay) / 1_000)
      .map((one) => [one.id, one]),
  )
  const total = wanted.size
  let compared = 0
  let tied = 0
  let worst = 0
  const problems: string[] = []
  let header: readonly string[] | null = null
  for await (const cells of rowsOf(exported)) {
    if (header === null) {
      header = cells
      continue
    }
    const payment = wanted.get(cells[0] ?? '')
    if (payment === undefined) continue
    wanted.delete(payment.id)
    for (const [name, accepted] of published(payment, customers, terminals)) {
      const value = Number(cells[header.indexOf(name)])
      const error = Math.min(...accepted.map((one) => Math.abs(one - value)))
      compared += 1
      if (accepted.length > 1 && accepted[0] !== accepted[1]) tied += 1
      worst = Math.max(worst, error)
      if (!(error < TOLERANCE))
        problems.push(`${payment.id} ${name}: ${value}, not ${accepted.join(' or ')}`)
    }
  }
  for (const problem of problems.slice(0, MISMATCHES_SHOWN)) print(problem)
  print(
    `${total} transactions, ${compared} values compared, ${tied} of them with a tie, ` +
      `${wanted.size} transactions not exported, ${problems.length} values differ, largest difference ${worst}`,
  )
  return problems.length === 0 && wanted.size === 0 && compared > 0 ? 0 : 1
}

/** By name, the value; two where the order of one second is open. */
function published(
  payment: Payment,
  customers: ReadonlyMap<string, Timeline>,
  terminals: ReadonlyMap<string, Timeline>,
): readonly (readonly [string, readonly number[]])[] {
  const { timeS, amountCents } = payment
  const own = customers.get(payment.customer) ?? new Timeline()
  const there = terminals.get(payment.terminal) ?? new Timeline()
  const date = new Date(timeS * 1_000)
  const values: [string, readonly number[]][] = [
    ['amount', [amountCents / 100]],
    ['is_weekend', [date.getUTCDay() % 6 === 0 ? 1 : 0]],
    ['is_night', [date.getUTCHours() <= 6 ? 1 : 0]],
  ]
  const after = own.upTo(timeS)
  const others = after - own.upTo(timeS - 1) - 1
  const to = there.upTo(timeS - DELAY_S)
  for (const [short, windowS] of WINDOWS) {
    const from = own.upTo(timeS - windowS)
    const count = after - from
    const cents = (own.cents[after] ?? 0) - (own.cents[from] ?? 0)
    const alone = cents - (tiedCents(own, timeS, after) - amountCents)
    values.push([`card_count_${short}`, [count, count - others]])
    values.push([
      `card_mean_amount_${short}`,
      [cents / count / 100, alone / (count - others) / 100],
    ])
    const fromThere = there.upTo(timeS - DELAY_S - windowS)
    const seen = to - fromThere
    const frauds = (there.frauds[to] ?? 0) - (there.frauds[fromThere] ?? 0)
    values.push([`terminal_count_${short}`, [seen]])
    values.push([`terminal_fraud_share_${short}`, [seen === 0 ? 0 : frauds / seen]])
  }
  return values
}

/** Cents of all payments of this second. */
function tiedCents(own: Timeline, timeS: number, after: number): number {
  return (own.cents[after] ?? 0) - (own.cents[own.upTo(timeS - 1)] ?? 0)
}

function timelines(
  payments: readonly Payment[],
  keyOf: (payment: Payment) => string,
): ReadonlyMap<string, Timeline> {
  const lines = new Map<string, Timeline>()
  for (const payment of payments) {
    const key = keyOf(payment)
    const line = lines.get(key) ?? new Timeline()
    line.add(payment)
    lines.set(key, line)
  }
  return lines
}

async function readFolder(path: string, last: string): Promise<readonly Payment[]> {
  const payments: Payment[] = []
  const files = readdirSync(path).filter(
    (name) => name.endsWith('.csv.gz') && name.slice(0, 10) <= last,
  )
  for (const name of files.sort()) {
    let isHeader = true
    for await (const [
      id = '',
      date = '',
      customer = '',
      terminal = '',
      amount = '',
      fraud,
    ] of rowsOf(join(path, name))) {
      if (!isHeader) {
        payments.push({
          id,
          customer,
          terminal,
          timeS: Date.parse(`${date.slice(0, 19)}Z`) / 1_000,
          amountCents: Math.round(Number(amount) * 100),
          isFraud: fraud === '1',
        })
      }
      isHeader = false
    }
  }
  return payments.sort((a, b) => a.timeS - b.timeS)
}

async function* rowsOf(path: string): AsyncGenerator<readonly string[]> {
  const file = createReadStream(path)
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  for await (const line of createInterface({ input })) yield line.split(',')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
