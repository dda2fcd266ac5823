// Figures as the demo prints them.

import { alertLine, receiptLine, wantsColor, whyNotLine } from '../../services/cli/alert-line.ts'
import { printLine, printProgress } from '../../services/cli/command.ts'
import type { Enforced } from '../../services/core/active-blocks.ts'
import type { Alert } from '../../services/core/wire/records.ts'

/** Seconds with one digit, for people. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

/** A latency for people. */
export function milliseconds(value: number | null): string {
  return value === null ? 'none' : `${count(value)} ms`
}

/** A count for people. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

// The output of the demo: alerts on standard output, and a status line below them that rewrites itself. Without a
// terminal, the status is printed on standard error every few seconds.

const CLEAR_LINE = '\r\u001b[K'
const STATUS_EVERY_MS = 5_000
/** Printing is synchronous: more lines than anybody can read would only slow the demo down. */
const ALERT_LINES_PER_SECOND_MAX = 40

export interface Screen {
  readonly alert: (alert: Alert) => void
  /** Answers of the enforcer. */
  readonly receipt: (alert: Alert, enforced: Enforced) => void
  /** A message of the demo itself. */
  readonly say: (line: string) => void
  /** Called once a second. */
  readonly status: (line: string) => void
  /** Removes the status line. */
  readonly end: () => void
}

/** `json` prints every alert as one line of JSON and nothing else on standard output. */
export function openScreen(options: { readonly json: boolean }): Screen {
  const isTerminal = process.stdout.isTTY && process.stderr.isTTY && !options.json
  const isColored = wantsColor(isTerminal, process.env)
  let statusLine = ''
  let nextStatusMs = 0
  const budget = new LineBudget()

  const above = (print: () => void): void => {
    if (!isTerminal) {
      print()
      return
    }
    process.stderr.write(CLEAR_LINE)
    print()
    process.stderr.write(statusLine)
  }
  return {
    alert(alert) {
      if (options.json) {
        printLine(JSON.stringify(alert))
        return
      }
      above(() => {
        if (!budget.mayPrint()) return
        printLine(alertLine(alert, isColored))
        const whyNot = whyNotLine(alert)
        if (whyNot !== null) printLine(whyNot)
      })
    },
    receipt(alert, enforced) {
      if (options.json) return
      above(() => {
        if (budget.mayPrint()) printLine(receiptLine(alert, enforced))
      })
    },
    say(line) {
      above(() => {
        printProgress(line)
      })
    },
    status(line) {
      if (isTerminal) {
        statusLine = line.slice(0, Math.max(20, (process.stderr.columns || 120) - 1))
        process.stderr.write(`${CLEAR_LINE}${statusLine}`)
        return
      }
      const nowMs = performance.now()
      if (nowMs < nextStatusMs) return
      nextStatusMs = nowMs + STATUS_EVERY_MS
      printProgress(line)
    },
    end() {
      budget.tellUnprinted()
      if (isTerminal) process.stderr.write(CLEAR_LINE)
      statusLine = ''
    },
  }
}

/** Counts the lines of this second; those beyond the limit are not printed. */
class LineBudget {
  #secondStartMs = 0
  #lines = 0
  #unprinted = 0

  mayPrint(): boolean {
    const nowMs = performance.now()
    if (nowMs - this.#secondStartMs >= 1_000) {
      this.#secondStartMs = nowMs
      this.#lines = 0
      this.tellUnprinted()
    }
    this.#lines += 1
    if (this.#lines > ALERT_LINES_PER_SECOND_MAX) this.#unprinted += 1
    return this.#lines <= ALERT_LINES_PER_SECOND_MAX
  }

  tellUnprinted(): void {
    if (this.#unprinted > 0) printLine(`  ... and ${this.#unprinted} more, not shown`)
    this.#unprinted = 0
  }
}
