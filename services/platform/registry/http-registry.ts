// A schema registry that speaks Confluent's HTTP API (Karapace, Apicurio, Confluent).
//
// The schemas are still the ones in schemas/; the registry only says under which ids they travel, and
// knows the schemas of other people's producers.

import { SluiceError } from '../../core/errors.ts'
import type {
  RegisteredSchema,
  RegistryContent,
  SchemaRegistry,
  Subject,
} from '../../core/wire/schema-registry.ts'
import { requestJson, unavailable } from './http-json.ts'
import type { JsonResponse } from './http-json.ts'

/** Where the registry is and what may be done there. */
export interface HttpRegistryOptions {
  /** Base address; credentials in it are used like `username` and `password`. */
  readonly url: string
  readonly username?: string
  readonly password?: string
  /** Put before topic names, as everywhere. */
  readonly topicPrefix: string
  /** Register what is missing. Otherwise what is missing is an error. */
  readonly register: boolean
  /** For each request; 5 s by default. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 5_000
const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'

// The watermark travels on two topics beside another schema, so it is registered by its record name.
const REGISTRY_SUBJECTS: Readonly<Record<Subject, string>> = {
  transaction: 'transactions-value',
  label: 'labels-value',
  watermark: 'sluice.Watermark',
  'decision-block': 'decisions-value',
  alert: 'alerts-value',
  lease: 'leases-value',
  receipt: 'receipts-value',
  control: 'control-value',
  'dead-letter': 'dead-letters-value',
  disposition: 'dispositions-value',
}

/** Finds the ids of the given schemas in a registry, and fetches foreign ones by id. */
export class HttpRegistry implements SchemaRegistry {
  readonly #released: SchemaRegistry
  readonly #options: HttpRegistryOptions
  readonly #base: URL
  readonly #headers: Readonly<Record<string, string>>

  /**
   * `released` gives the schemas themselves, usually a FileRegistry.
   * @throws SluiceError SLUICE_CONFIG_INVALID when the URL is not http or https.
   */
  constructor(released: SchemaRegistry, options: HttpRegistryOptions) {
    this.#released = released
    this.#options = options
    const { base, authorization } = parseAddress(options)
    this.#base = base
    this.#headers = {
      accept: `${MEDIA_TYPE}, application/json`,
      'content-type': MEDIA_TYPE,
      ...(authorization === null ? {} : { authorization }),
    }
  }

  /**
   * @throws SluiceError SLUICE_REGISTRY_UNAVAILABLE (retryable) when it does not answer,
   * SLUICE_SCHEMA_UNKNOWN when a schema is not registered and `register` is off,
   * SLUICE_SCHEMA_INCOMPATIBLE when the registry refuses one, SLUICE_CONFIG_INVALID on bad credentials.
   */
  async load(): Promise<RegistryContent> {
    const released = await this.#released.load()
    const schemas: RegisteredSchema[] = []
    // One after the other: versions of a subject must be registered in order.
    for (const schema of released.schemas.toSorted((a, b) => a.version - b.version)) {
      schemas.push({ ...schema, id: await this.#findId(schema) })
    }
    const ids = new Set(schemas.map((schema) => schema.id))
    if (ids.size < schemas.length)
      throw unavailable(this.#base, 'gives one id to schemas that differ')
    return { schemas }
  }

  async fetchSchema(schemaId: number): Promise<unknown> {
    const response = await this.#send('GET', `schemas/ids/${schemaId}`)
    if (response.status === 404) return null
    const text = fieldOf(response, 'schema')
    if (response.status !== 200 || typeof text !== 'string') throw this.#refused(response)
    try {
      return JSON.parse(text)
    } catch {
      // Protobuf and JSON Schema live in the same registry; they are no schema of ours.
      return null
    }
  }

  async #findId(schema: RegisteredSchema): Promise<number> {
    const isWatermark = schema.subject === 'watermark'
    const prefix = isWatermark ? '' : this.#options.topicPrefix
    const subject = `${prefix}${REGISTRY_SUBJECTS[schema.subject]}`
    const path = `subjects/${encodeURIComponent(subject)}`
    const body = { schema: JSON.stringify(schema.schema) }
    let response = await this.#send('POST', path, body)
    if (response.status === 404 && this.#options.register) {
      response = await this.#send('POST', `${path}/versions`, body)
    }
    const id = fieldOf(response, 'id')
    if (response.status === 200 && typeof id === 'number' && Number.isInteger(id) && id >= 0)
      return id
    if (response.status === 404) throw notRegistered(schema, subject)
    if (response.status === 409 || response.status === 422) throw refusedSchema(schema, response)
    throw this.#refused(response)
  }

  async #send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<JsonResponse> {
    const response = await requestJson({
      url: new URL(path, this.#base),
      method,
      headers: this.#headers,
      timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS,
      ...(body === undefined ? {} : { body }),
    })
    if (response.status !== 401 && response.status !== 403) return response
    throw new SluiceError(
      'SLUICE_CONFIG_INVALID',
      `The schema registry at ${this.#base.origin} refuses the credentials (${response.status}); ` +
        'correct its user name and password.',
    )
  }

  #refused(response: JsonResponse): SluiceError {
    return unavailable(this.#base, `answers with status ${response.status} and no usable body`)
  }
}

function parseAddress(options: HttpRegistryOptions): { base: URL; authorization: string | null } {
  const base = URL.canParse(options.url) ? new URL(options.url) : null
  if (base === null || (base.protocol !== 'http:' && base.protocol !== 'https:'))
    throw new SluiceError(
      'SLUICE_CONFIG_INVALID',
      'The schema registry URL is not an http or https address; give one such as http://127.0.0.1:8081.',
    )
  const username = options.username ?? decodeURIComponent(base.username)
  const password = options.password ?? decodeURIComponent(base.password)
  base.username = ''
  base.password = ''
  base.search = ''
  base.hash = ''
  // Without the closing slash a path such as /apis/ccompat/v7 would lose its last part.
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  const credentials = Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
  return { base, authorization: username === '' ? null : `Basic ${credentials}` }
}

function fieldOf(response: JsonResponse, name: string): unknown {
  const { json } = response
  if (typeof json !== 'object' || json === null) return undefined
  return (json as Readonly<Record<string, unknown>>)[name]
}

function notRegistered(schema: RegisteredSchema, subject: string): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_UNKNOWN',
    `${schema.subject} v${schema.version} is not registered as "${subject}"; register ` +
      `schemas/${schema.subject}/v${schema.version}.avsc there, or allow Sluice to.`,
  )
}

function refusedSchema(schema: RegisteredSchema, response: JsonResponse): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_INCOMPATIBLE',
    `The registry refuses ${schema.subject} v${schema.version} (${response.status}); compare what is ` +
      'registered with schemas/, and correct its compatibility mode.',
    { details: { answer: response.json } },
  )
}
