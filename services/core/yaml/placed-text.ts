// Where in a YAML document the characters of a text stand.

import { isScalar, type Node } from 'yaml'

/** A text value with what is needed to say where a character of it stands. */
export interface PlacedText {
  readonly text: string
  readonly path: string
  /** Offset in the document of the character at `position` of the text, as near as YAML lets one tell. */
  readonly offsetOf: (position: number) => number
}

/** Offset of a node in its document. */
export function startOf(node: Node): number {
  return node.range?.[0] ?? 0
}

/** Block texts begin on the line below their sign, indented; folded and escaped ones are placed by their beginning. */
export function offsetsOf(node: Node, text: string): (position: number) => number {
  const start = startOf(node)
  if (!isScalar(node)) return () => start
  const value = String(node.value)
  const body = text.slice(start)
  if (body.startsWith(value)) return (position) => start + position
  if (body.startsWith(value, 1)) return (position) => start + 1 + position
  if (node.type !== 'BLOCK_LITERAL' && node.type !== 'BLOCK_FOLDED') return () => start
  return (position) => {
    const before = value.slice(0, position).split('\n')
    const below = body.split('\n').slice(1)
    const row = Math.min(before.length - 1, below.length - 1)
    const skipped = below.slice(0, row).reduce((sum, line) => sum + line.length + 1, 0)
    // Folded lines are placed by their beginning; of literal ones the value holds what goes beyond the block's indent.
    const isLiteral = node.type === 'BLOCK_LITERAL'
    const own = isLiteral ? indentOf(value.split('\n')[row] ?? '') : 0
    const indent = indentOf(below[row] ?? '') - own
    const column = isLiteral ? (before.at(-1) ?? '').length : 0
    return start + body.indexOf('\n') + 1 + skipped + indent + column
  }
}

function indentOf(line: string): number {
  return /^ */.exec(line)?.[0].length ?? 0
}
