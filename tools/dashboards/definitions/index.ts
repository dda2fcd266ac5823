// All dashboards, in the order in which people read them.

import { fraud } from './fraud.ts'
import { models } from './models.ts'
import { runtime } from './runtime.ts'
import { stateAndModels } from './state-and-models.ts'
import { stream } from './stream.ts'
import type { DashboardDefinition } from './dashboard-definition.ts'

export const DASHBOARDS: readonly DashboardDefinition[] = [
  fraud,
  stream,
  stateAndModels,
  models,
  runtime,
]
