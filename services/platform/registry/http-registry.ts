// A schema registry with Confluent's HTTP API (Karapace, Apicurio, Confluent).
//
// The schemas are those of schemas/; the registry assigns their ids, and supplies the schemas of other producers.

import { SluiceError } from '../../core/errors.ts'
import type {
  RegisteredSchema,
  RegistryContent,
  SchemaRegistry,
  Subject,
} from '../../core/wire/schema-registry.ts'
import { FileRegistry } from './file-registry.ts'

/** Address of the registry, and what may be done there. */
export interface HttpRegistryOptions {
  /** Base address; credentials in it are used like `username` and `password`. */
  readonly url: string
  readonly username?: string
  readonly password?: string
  /** Prefix of topic names. */
  readonly topicPrefix: string
  /** Registers missing schemas; otherwise a missing schema is an error. */
  readonly register: boolean
  /** For each request; 5 s by default. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 5_000
const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'

// Watermarks share two topics with another schema, so theirs is registered under its record name.
const REGISTRY_SUBJECTS: Readonly<Record<Subject, string>> = {
  transaction: 'transactions-value',
  label: 'labels-value',
  watermark: 'sluice.Watermark',
  'decision-batch': 'decisions-value',
  alert: 'alerts-value',
  lease: 'leases-value',
  receipt: 'receipts-value',
  control: 'control-value',
  'dead-letter': 'dead-letters-value',
  disposition: 'dispositions-value',
}

/** Finds the ids of the released schemas in a registry, and fetches foreign schemas by id. */
export class HttpRegistry implements SchemaRegistry {
  readonly #released: SchemaRegistry
  readonly #options: HttpRegistryOptions
  readonly #base: URL
  readonly #headers: Readonly<Record<string, string>>

  /**
   * @param released supplies the schemas, usually a FileRegistry.
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
   * @throws SluiceError SLUICE_REGISTRY_UNAVAILABLE (retryable) when it does not answer, SLUICE_SCHEMA_UNKNOWN when a
   * schema is not registered and `register` is off, SLUICE_SCHEMA_INCOMPATIBLE when the registry refuses a schema,
   * SLUICE_CONFIG_INVALID for bad credentials.
   */
  async load(): Promise<RegistryContent> {
    const released = await this.#released.load()
    const schemas: RegisteredSchema[] = []
    // Sequentially, since versions of a subject must be registered in order.
    for (const schema of released.schemas.toSorted((a, b) => a.version - b.version)) {
      schemas.push({ ...schema, id: await this.#findId(schema) })
    }
    const ids = new Set(schemas.map((schema) => schema.id))
    if (ids.size < schemas.length)
      throw unavailable(this.#base, 'assigns one id to different schemas')
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
      // The registry may also hold Protobuf and JSON Schema, which are not Avro.
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
        'correct the user name and password.',
    )
  }

  #refused(response: JsonResponse): SluiceError {
    return unavailable(this.#base, `answers with status ${response.status} and no usable body`)
  }
}

/** The address without credentials, and the header made of them. @throws SluiceError SLUICE_CONFIG_INVALID */
export function parseAddress(options: Pick<HttpRegistryOptions, 'url' | 'username' | 'password'>): {
  base: URL
  authorization: string | null
} {
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
  // Without the trailing slash a path such as /apis/ccompat/v7 would lose its last segment.
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  const credentials = Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
  return { base, authorization: username === '' ? null : `Basic ${credentials}` }
}

/** A field of the body; undefined when there is none. */
export function fieldOf(response: JsonResponse, name: string): unknown {
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
    `The registry refuses ${schema.subject} v${schema.version} (${response.status}); compare its registered ` +
      'schemas with schemas/, and correct its compatibility mode.',
    { details: { answer: response.json } },
  )
}

// One JSON request with limits on time and response size.

/** Limit on the response, bytes. The largest schema of Sluice takes a few thousand. */
export const RESPONSE_BYTES_MAX = 1024 * 1024

/** A request, and the time limit for the whole response. */
export interface JsonRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  readonly timeoutMs: number
}

/** Status and parsed body; `json` is undefined when the body is not JSON. */
export interface JsonResponse {
  readonly status: number
  readonly json: unknown
}

/**
 * Sends the request and returns the response, whatever its status. Redirects are not followed.
 * @throws SluiceError SLUICE_REGISTRY_UNAVAILABLE for refused connections, time-outs and oversized responses.
 */
export async function requestJson(request: JsonRequest): Promise<JsonResponse> {
  const { url, method, headers, body, timeoutMs } = request
  try {
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await readBounded(response)
    return { status: response.status, json: parseJson(text) }
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const isTimeout = error instanceof Error && error.name === 'TimeoutError'
    throw unavailable(
      url,
      isTimeout ? `did not answer within ${timeoutMs} ms` : 'cannot be reached',
      error,
    )
  }
}

/** The error for a registry that is unreachable or answers incorrectly. Never contains credentials. */
export function unavailable(url: URL, what: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_REGISTRY_UNAVAILABLE',
    `The schema registry at ${url.origin}${url.pathname} ${what}; check its address and that it runs.`,
    cause === undefined ? {} : { cause },
  )
}

async function readBounded(response: Response): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  // Leaving the loop early cancels the stream, so the rest of an oversized response is never read.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length
    if (sizeBytes > RESPONSE_BYTES_MAX)
      throw unavailable(new URL(response.url), `answers with more than ${RESPONSE_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, sizeBytes).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // For example the HTML error page of a proxy; the caller reports the status.
    return undefined
  }
}

/** Settings of the registry; a null URL selects the files in schemas/. */
export interface RegistrySettings extends Omit<HttpRegistryOptions, 'url'> {
  readonly url: string | null
  /** schemas/ of this installation by default. */
  readonly folder?: string
}

/**
 * Chooses the HTTP registry when its URL is configured, else the files. Nothing is read or sent before `load`.
 * @throws SluiceError SLUICE_CONFIG_INVALID when the URL is not http or https.
 */
export function openSchemaRegistry(settings: RegistrySettings): SchemaRegistry {
  const files = new FileRegistry(settings.folder)
  const { url } = settings
  return url === null ? files : new HttpRegistry(files, { ...settings, url })
}
