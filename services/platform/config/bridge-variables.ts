// Variables of the bridge from a team's own topic.

import type { Variable } from './variable.ts'

const BRIDGE = { group: 'Bridge', readBy: 'bridge' } as const

export const BRIDGE_VARIABLES = {
  SLUICE_BRIDGE_MAPPING: {
    ...BRIDGE,
    meaning: 'File of the mapping (docs/bridge.md); `--mapping` wins.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_BRIDGE_TOKEN_KEY: {
    ...BRIDGE,
    readBy: 'bridge, label',
    meaning:
      'Key by which card numbers become tokens: a short name, a colon, and 32 to 64 bytes in base64.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_BRIDGE_TOKEN_KEYS_FILE: {
    ...BRIDGE,
    readBy: 'bridge, label',
    meaning:
      'File of such keys instead of the variable, for a rotation: one a line, as `<name> <first event time> <base64>`.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_BRIDGE_REGISTRY_URL: {
    ...BRIDGE,
    meaning:
      "Address of the team's schema registry with Confluent's API; a user name and a password may be in it.",
    kind: 'text',
    form: 'URL',
    default: null,
  },
} as const satisfies Readonly<Record<string, Variable>>
