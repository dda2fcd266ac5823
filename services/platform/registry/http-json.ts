// One JSON request with a limit on time and on the size of the answer.

import { SluiceError } from '../../core/errors.ts'

/** Largest answer read, bytes. The largest schema of ours takes a few thousand. */
export const RESPONSE_BYTES_MAX = 1024 * 1024

/** What to ask, and how long to wait for the whole answer. */
export interface JsonRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON when given. */
  readonly body?: unknown
  readonly timeoutMs: number
}

/** Status and parsed body; `json` is undefined when the body is not JSON. */
export interface JsonResponse {
  readonly status: number
  readonly json: unknown
}

/**
 * Sends the request; any status is an answer. Redirects are not followed.
 * @throws SluiceError SLUICE_REGISTRY_UNAVAILABLE on refused connections, time-outs and huge answers.
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
      isTimeout ? `gave no answer within ${timeoutMs} ms` : 'cannot be reached',
      error,
    )
  }
}

/** The error for a registry that does not answer as it should. Never shows credentials. */
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
  // Leaving the loop early cancels the stream, so the rest of a huge answer is never read.
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
    // A proxy's HTML error page: the caller reports the status.
    return undefined
  }
}
