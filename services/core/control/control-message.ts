// From a message of the control topic to what it says about models or policies.

import type { Codec } from '../wire/codec.ts'
import type { Control } from '../wire/records.ts'
import {
  NO_DEPLOYMENT,
  deploymentKindOf,
  deploymentKindOfKey,
  deploymentOf,
  type ControlFault,
  type Deployment,
  type DeploymentKind,
} from './deployment.ts'

/** A deployment with the message that it stands in. */
export interface PositionedDeployment {
  readonly about: DeploymentKind
  readonly deployment: Deployment
  /** Offset in the control topic. */
  readonly position: number
  /** Null for a tombstone. */
  readonly control: Control | null
}

/** What a message says. */
export type ControlMessage =
  | { readonly kind: 'deployment'; readonly placed: PositionedDeployment }
  /** Null for a tombstone. */
  | { readonly kind: 'for_others'; readonly control: Control | null }
  | { readonly kind: 'fault'; readonly fault: ControlFault }

/** Reads one message; never throws on bad input. */
export function readControlMessage(
  { key, value, offset }: { key: Buffer | null; value: Buffer | null; offset: string },
  codec: Codec<Control>,
): ControlMessage {
  const position = Number(offset)
  if (value === null) {
    const about = deploymentKindOfKey(key?.toString())
    if (about === null) return { kind: 'for_others', control: null }
    // A tombstone takes back all that was said: a scorer that starts later sees nothing at all.
    return {
      kind: 'deployment',
      placed: { about, deployment: NO_DEPLOYMENT, position, control: null },
    }
  }
  const decoded = codec.decode(value)
  if (!decoded.ok) return { kind: 'fault', fault: 'undecodable' }
  const about = deploymentKindOf(decoded.value)
  if (about === null) return { kind: 'for_others', control: decoded.value }
  const read = deploymentOf(decoded.value)
  if (!read.ok) return { kind: 'fault', fault: read.fault }
  return {
    kind: 'deployment',
    placed: { about, deployment: read.deployment, position, control: decoded.value },
  }
}
