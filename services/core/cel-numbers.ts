// Arithmetic of CEL where all numbers are doubles: literals may be written without a decimal point.

import type { Environment } from '@marcbachmann/cel-js'

const MIXED: Readonly<Record<string, (left: number | bigint, right: number | bigint) => unknown>> =
  {
    '+': (left, right) => Number(left) + Number(right),
    '-': (left, right) => Number(left) - Number(right),
    '*': (left, right) => Number(left) * Number(right),
    '/': (left, right) => Number(left) / Number(right),
  }

/** Lets the environment calculate with doubles and whole literals together; the result is a double. */
export function allowWholeLiterals(environment: Environment): void {
  for (const [operator, compute] of Object.entries(MIXED)) {
    environment.registerOperator(`double ${operator} int`, compute)
    environment.registerOperator(`int ${operator} double`, compute)
  }
}
