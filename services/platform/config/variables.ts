// Every environment variable of Sluice. Configurations read through this list, and docs/configuration.md is
// generated from it.

import { ALERTS_VARIABLES } from './alerts-variables.ts'
import { BRIDGE_VARIABLES } from './bridge-variables.ts'
import { BLOCK_VARIABLES, POLICY_VARIABLES, SCORING_VARIABLES } from './scoring-variables.ts'
import { CONNECTION_VARIABLES, OPERATION_VARIABLES } from './connection-variables.ts'
import { GATEWAY_VARIABLES } from './gateway-variables.ts'
import type { ValueOf } from './variable.ts'

export const VARIABLES = {
  ...CONNECTION_VARIABLES,
  ...SCORING_VARIABLES,
  ...ALERTS_VARIABLES,
  ...GATEWAY_VARIABLES,
  ...BRIDGE_VARIABLES,
  ...BLOCK_VARIABLES,
  ...POLICY_VARIABLES,
  ...OPERATION_VARIABLES,
} as const

export type VariableName = keyof typeof VARIABLES

/** The type of a variable's checked value. */
export type VariableValue<Name extends VariableName> = ValueOf<(typeof VARIABLES)[Name]>

/** Variables that hold text. */
export type TextVariableName = {
  [Name in VariableName]: (typeof VARIABLES)[Name]['kind'] extends 'text' ? Name : never
}[VariableName]
