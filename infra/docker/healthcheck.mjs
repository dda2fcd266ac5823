// Health of the process in this container: asks one of its own pages, by default /livez, and exits 0 or 1.
//
// `node infra/docker/healthcheck.mjs [/livez | /readyz]`. The images have no curl, and need none.

const WAIT_MS_MAX = 2_000

const path = process.argv[2] ?? '/livez'
const port = process.env.SLUICE_METRICS_PORT || '9464'

try {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    signal: AbortSignal.timeout(WAIT_MS_MAX),
  })
  if (!response.ok) process.stderr.write(`${path} answers ${response.status}\n`)
  process.exitCode = response.ok ? 0 : 1
} catch (error) {
  process.stderr.write(
    `${path} on port ${port} does not answer: ${error.cause?.message ?? error}\n`,
  )
  process.exitCode = 1
}
