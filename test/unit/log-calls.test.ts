// Goal: the message of a log line is constant, so that lines can be searched and counted, and variable parts are in
// fields, where the redactor sees them. Method: every call in services/ is found in the syntax tree and checked.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'

const SEVERITIES = ['debug', 'info', 'warn', 'error', 'fatal', 'trace']
const services = join(import.meta.dirname, '../../services')

/** True for a call of a logger: `log.warn(…)`, `this.#log.warn(…)`, `options.log.warn(…)`. */
function isLogCall(node: ts.Node): node is ts.CallExpression {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false
  const { name, expression } = node.expression
  const owner = ts.isPropertyAccessExpression(expression) ? expression.name : expression
  return SEVERITIES.includes(name.text) && /^#?(log|logger)$/i.test(owner.getText())
}

/** The number of log calls in a file, and their faults. */
function lookAt(path: string, text: string): { readonly calls: number; readonly faults: string[] } {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  const faults: string[] = []
  let calls = 0
  const visit = (node: ts.Node): void => {
    if (isLogCall(node)) {
      calls += 1
      const [fields, message] = node.arguments
      const isConstant = message !== undefined && ts.isStringLiteral(message)
      if (fields === undefined || ts.isStringLiteralLike(fields)) faults.push(`${path}: no fields`)
      else if (node.arguments.length !== 2) faults.push(`${path}: not fields and a message`)
      else if (!isConstant || !/^[A-Z].*\.$/.test(message.text))
        faults.push(`${path}: ${message?.getText() ?? 'no message'} is no constant sentence`)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return { calls, faults }
}

test('every log line has fields and a constant sentence', () => {
  const paths = readdirSync(services, { recursive: true, encoding: 'utf8' })
  const looked = paths
    .filter((path) => path.endsWith('.ts'))
    .map((path) => lookAt(path, readFileSync(join(services, path), 'utf8')))
  deepStrictEqual(
    looked.flatMap(({ faults }) => faults),
    [],
  )
  const calls = looked.reduce((sum, each) => sum + each.calls, 0)
  ok(calls >= 15, `only ${calls} calls were found`)
})

test('a call that breaks the rule is found', () => {
  for (const call of [
    'log.warn({}, `PartitionProcessor ${partition} stops.`)',
    "log.warn({}, 'Partition ' + partition)",
    'this.#log.info({ partition }, message)',
    "options.log.error('It fails.')",
    'log.error(error)',
    "log.info({}, 'no sentence')",
    "log.info({}, 'Partition %d stops.', partition)",
  ])
    deepStrictEqual(lookAt('a.ts', call).faults.length, 1, call)
  deepStrictEqual(lookAt('a.ts', "log.info({ partition }, 'The partition stops.')").faults, [])
})
