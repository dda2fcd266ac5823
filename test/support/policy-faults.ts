// Faults of policies and exchange rates on an observed system: one missing from every store, a policy whose condition
// cannot be evaluated, and one that blocks more than its breaker allows.

import { activated, NO_DEPLOYMENT } from '../../services/core/control/deployment.ts'
import type { ObservedSystem } from './observed-system.ts'

type Waits = (alert: string) => Promise<unknown>

/** Causes each fault, waits for its alert, repairs it, and waits until the alert has cleared. */
export async function breakPolicies(
  system: ObservedSystem,
  fires: Waits,
  clears: Waits,
): Promise<void> {
  const { healthyPolicies, failingPolicy } = system
  const faults = { SluicePolicyRefused: 'f'.repeat(64), SluicePolicyFails: failingPolicy }
  for (const [alert, digest] of Object.entries(faults)) {
    await system.wantPolicies(activated(healthyPolicies, digest))
    await fires(alert)
    await system.wantPolicies(healthyPolicies)
    await clears(alert)
  }
  await system.wantRates(activated(NO_DEPLOYMENT, 'f'.repeat(64)))
  await fires('SluiceRatesRefused')
  await system.wantRates(NO_DEPLOYMENT)
  await clears('SluiceRatesRefused')
  await system.wantPolicies(activated(healthyPolicies, system.trippingPolicy))
  await fires('SluiceBreakerOpen')
  // Another policy does not reset a tripped breaker.
  await system.wantPolicies(healthyPolicies)
  await system.resetBreakers()
  await clears('SluiceBreakerOpen')
}
