// What is wrong with a YAML document that a person wrote, and where.

import type { LineCounter } from 'yaml'

/** What is wrong with a document, and where in its text (from 1). */
export interface YamlFault {
  readonly line: number
  readonly column: number
  /** Such as `rules[2].when`; empty for the whole. */
  readonly path: string
  readonly message: string
}

/** A fault for a person, with its line. */
export function faultSentence({ line, path, message }: YamlFault): string {
  return path === '' ? `line ${line}: ${message}` : `line ${line}: ${path} ${message}`
}

/** Collects faults of one text. */
export class YamlFaults {
  readonly #lines: LineCounter
  readonly #faults: YamlFault[] = []

  constructor(lines: LineCounter) {
    this.#lines = lines
  }

  /** In the order of the text. */
  get all(): readonly YamlFault[] {
    return this.#faults.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }

  add(offset: number, path: string, message: string): void {
    const { line, col } = this.#lines.linePos(offset)
    this.#faults.push({ line: Math.max(1, line), column: Math.max(1, col), path, message })
  }
}
