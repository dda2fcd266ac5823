// Loads OpenTelemetry, which is optional: nothing of it is imported unless spans are to be sent somewhere.

import { SluiceError } from '../../core/errors.ts'

/** The packages, as they are imported. */
export interface OpenTelemetry {
  readonly api: typeof import('@opentelemetry/api')
  readonly sdk: typeof import('@opentelemetry/sdk-trace-base')
  readonly otlp: typeof import('@opentelemetry/exporter-trace-otlp-http')
  readonly resources: typeof import('@opentelemetry/resources')
}

async function importPackages(): Promise<OpenTelemetry> {
  const [api, sdk, otlp, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  return { api, sdk, otlp, resources }
}

/** @throws SluiceError SLUICE_PREREQUISITE_MISSING when a package is missing or does not load. */
export async function loadOpenTelemetry(
  load: () => Promise<OpenTelemetry> = importPackages,
): Promise<OpenTelemetry> {
  try {
    return await load()
  } catch (error) {
    throw new SluiceError(
      'SLUICE_PREREQUISITE_MISSING',
      'SLUICE_TRACING_ENDPOINT is set, but the packages of OpenTelemetry cannot be loaded ' +
        `(${error instanceof Error ? error.message : String(error)}); install them with ` +
        '"npm ci --include=optional", or unset SLUICE_TRACING_ENDPOINT.',
      { cause: error },
    )
  }
}
