// Every failure that this project raises, with its exit code and whether a retry makes sense.

/** Closed catalogue. docs/errors.md documents every code; a test compares the two. */
export const errorCodes = {
  SLUICE_CONFIG_INVALID: { retryable: false, exitCode: 2 },
  SLUICE_USAGE: { retryable: false, exitCode: 2 },
  SLUICE_PREREQUISITE_MISSING: { retryable: false, exitCode: 3 },
  SLUICE_PROVISION_FAILED: { retryable: true, exitCode: 3 },
  SLUICE_SCHEMA_UNKNOWN: { retryable: false, exitCode: 1 },
  SLUICE_SCHEMA_INCOMPATIBLE: { retryable: false, exitCode: 1 },
  SLUICE_REGISTRY_UNAVAILABLE: { retryable: true, exitCode: 1 },
  SLUICE_STATE_CORRUPT: { retryable: false, exitCode: 1 },
  SLUICE_STATE_LOST: { retryable: true, exitCode: 1 },
  SLUICE_FEATURE_STORE_UNAVAILABLE: { retryable: true, exitCode: 1 },
  SLUICE_MODEL_INCOMPATIBLE: { retryable: false, exitCode: 1 },
  SLUICE_MODEL_CORRUPT: { retryable: false, exitCode: 1 },
  SLUICE_MODEL_NOT_FOUND: { retryable: false, exitCode: 1 },
  SLUICE_MODEL_UNFAIR: { retryable: false, exitCode: 1 },
  SLUICE_POLICY_INVALID: { retryable: false, exitCode: 2 },
  SLUICE_POLICY_CORRUPT: { retryable: false, exitCode: 1 },
  SLUICE_POLICY_NOT_FOUND: { retryable: false, exitCode: 1 },
  SLUICE_POLICY_GATE: { retryable: false, exitCode: 1 },
  SLUICE_STORE_UNAVAILABLE: { retryable: true, exitCode: 1 },
  SLUICE_STORE_CORRUPT: { retryable: false, exitCode: 1 },
  SLUICE_STORE_FULL: { retryable: false, exitCode: 1 },
  SLUICE_RATES_INVALID: { retryable: false, exitCode: 2 },
  SLUICE_RATES_NOT_FOUND: { retryable: false, exitCode: 1 },
  SLUICE_LEASE_NOT_FOUND: { retryable: false, exitCode: 1 },
  SLUICE_BACKEND_UNAVAILABLE: { retryable: false, exitCode: 1 },
  SLUICE_INPUT_INVALID: { retryable: false, exitCode: 2 },
  SLUICE_TOPICS_INVALID: { retryable: false, exitCode: 1 },
  SLUICE_PARTITION_FENCED: { retryable: true, exitCode: 1 },
  SLUICE_PARTITION_OFFSET_OUT_OF_RANGE: { retryable: false, exitCode: 1 },
  SLUICE_PARTITION_OFFSET_LOST: { retryable: false, exitCode: 1 },
  SLUICE_LOG_CORRUPT: { retryable: false, exitCode: 1 },
  SLUICE_BROKER_UNAVAILABLE: { retryable: true, exitCode: 1 },
  SLUICE_ACCESS_DENIED: { retryable: false, exitCode: 1 },
  SLUICE_TLS_FAILED: { retryable: false, exitCode: 1 },
  SLUICE_COMMIT_UNKNOWN: { retryable: true, exitCode: 1 },
  SLUICE_PROMETHEUS_UNAVAILABLE: { retryable: true, exitCode: 1 },
  SLUICE_TRAINING_DATA_INVALID: { retryable: false, exitCode: 2 },
  SLUICE_TARGET_UNAVAILABLE: { retryable: true, exitCode: 1 },
  SLUICE_LAKE_BUSY: { retryable: true, exitCode: 1 },
  SLUICE_LAKE_DAMAGED: { retryable: false, exitCode: 1 },
  SLUICE_LAKE_GAP: { retryable: false, exitCode: 1 },
} as const

export type ErrorCode = keyof typeof errorCodes

export interface SluiceErrorOptions {
  readonly cause?: unknown
  readonly details?: Readonly<Record<string, unknown>>
}

/** The only error class that this project throws. Callers check `code`, never the message. */
export class SluiceError extends Error {
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SluiceError'
    this.code = code
    this.details = options.details ?? {}
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable
  }

  get exitCode(): number {
    return errorCodes[this.code].exitCode
  }
}

/** True for a SluiceError of the given code. */
export function isSluiceError(error: unknown, code?: ErrorCode): error is SluiceError {
  return error instanceof SluiceError && (code === undefined || error.code === code)
}
