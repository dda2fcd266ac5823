// Explains why no encrypted connection was established, from the errors of Node and OpenSSL, for Kafka and Redis alike.

const UNTRUSTED = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'INVALID_CA',
])
/** Messages of servers that require a certificate, or another one. */
const CERTIFICATE_ALERT =
  /certificate[ _]required|handshake[ _]failure|unknown[ _]ca|bad[ _]certificate|certificate[ _]unknown/i
const OUT_OF_DATE = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'])

/** The variables named in a remedy. */
export interface TlsVariables {
  readonly ca: string
  readonly cert: string
  /** Instruction that switches TLS off, as the end of a sentence. */
  readonly off: string
}

/** The failure and its remedy, or null when the error is not about TLS. */
export function tlsProblem(error: unknown, variables: TlsVariables): string | null {
  if (!(error instanceof Error)) return null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const { message } = error
  if (UNTRUSTED.has(code)) {
    return `its certificate is not signed by an authority that is trusted here (${code}); set ${variables.ca} to the authority's certificate`
  }
  if (OUT_OF_DATE.has(code)) {
    return `its certificate is out of date (${code}); renew it, and check the clock of this machine`
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'its certificate is for another name than the address in use; use an address that the certificate names'
  }
  if (CERTIFICATE_ALERT.test(`${code} ${message}`)) {
    return `it requires a client certificate that one of its authorities has signed; set ${variables.cert} and its key`
  }
  if (
    /WRONG_VERSION_NUMBER|wrong version number|packet length too long|PACKET_LENGTH_TOO_LONG/.test(
      code + message,
    )
  ) {
    return `it does not speak TLS at this address; use its TLS port, or ${variables.off}`
  }
  if (/before secure TLS connection was established/.test(message)) {
    return `it ended the TLS handshake: the port may not speak TLS, or ask for a certificate of ours (${variables.cert})`
  }
  if (/^ERR_SSL_|^EPROTO$/.test(code) || /SSL routines/.test(message)) {
    return `TLS failed (${code === '' ? 'no code' : code}); compare the settings of both sides`
  }
  return null
}

/** The error and its causes, outermost first; clients wrap the network's error. */
export function causesOf(error: unknown): readonly unknown[] {
  const found: unknown[] = []
  const queue: unknown[] = [error]
  while (queue.length > 0 && found.length < CAUSES_MAX) {
    const next = queue.shift()
    if (next === undefined || next === null || found.includes(next)) continue
    found.push(next)
    if (Array.isArray(next)) queue.push(...(next as unknown[]))
    if (typeof next !== 'object') continue
    const { cause, originalError, errors, lastNodeError, previousErrors } = next as Partial<
      Record<string, unknown>
    >
    queue.push(cause, originalError, lastNodeError)
    for (const list of [errors, previousErrors])
      if (Array.isArray(list)) queue.push(...(list as unknown[]))
  }
  return found
}

const CAUSES_MAX = 32
