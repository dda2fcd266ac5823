// The part of a schema registry that the wire needs: the schema of each id. Files and an HTTP registry both provide it;
// codecs are made from its content alone.

/** Kinds of messages in topics, one name per schema folder. Closed list. */
export const SUBJECTS = [
  'transaction',
  'label',
  'watermark',
  'decision-batch',
  'alert',
  'lease',
  'receipt',
  'control',
  'dead-letter',
  'disposition',
] as const

export type Subject = (typeof SUBJECTS)[number]

/** The Avro record behind each subject, by its full name. */
export const RECORD_NAMES: Readonly<Record<Subject, string>> = {
  transaction: 'sluice.Transaction',
  label: 'sluice.Label',
  watermark: 'sluice.Watermark',
  'decision-batch': 'sluice.DecisionBatch',
  alert: 'sluice.Alert',
  lease: 'sluice.Lease',
  receipt: 'sluice.Receipt',
  control: 'sluice.Control',
  'dead-letter': 'sluice.DeadLetter',
  disposition: 'sluice.Disposition',
}

/** The subject of which a parsed Avro schema is a version, or null when it is not one of ours. */
export function subjectOfSchema(schema: unknown): Subject | null {
  if (typeof schema !== 'object' || schema === null) return null
  const { name, namespace } = schema as { readonly name?: unknown; readonly namespace?: unknown }
  if (typeof name !== 'string') return null
  const qualified =
    name.includes('.') || typeof namespace !== 'string' ? name : `${namespace}.${name}`
  return SUBJECTS.find((subject) => RECORD_NAMES[subject] === qualified) ?? null
}

/** One released version of a subject's schema under the id that messages carry. */
export interface RegisteredSchema {
  /** Schema id on the wire, 0 to 2^31 - 1. */
  readonly id: number
  readonly subject: Subject
  /** 1, 2, 3...; the highest is the one written and read. */
  readonly version: number
  /** The parsed .avsc. */
  readonly schema: unknown
}

/** Everything codecs are made from: all versions of all subjects. */
export interface RegistryContent {
  readonly schemas: readonly RegisteredSchema[]
}

/** Source of schema ids. */
export interface SchemaRegistry {
  /**
   * All versions of all subjects with their ids.
   * @throws SluiceError SLUICE_SCHEMA_UNKNOWN, SLUICE_SCHEMA_INCOMPATIBLE or SLUICE_REGISTRY_UNAVAILABLE
   */
  load(): Promise<RegistryContent>

  /**
   * The parsed schema of a message whose id is not in `load`; null when the registry does not have it either. @throws
   * SluiceError SLUICE_REGISTRY_UNAVAILABLE
   */
  fetchSchema(schemaId: number): Promise<unknown>
}
