// sluice scorer: the scorer in the foreground, configured by the environment.

import type { Command } from 'commander'

const VARIABLES = `
Environment (with defaults):
  SLUICE_KAFKA_BROKERS          127.0.0.1:19092           host:port, several with commas between
  SLUICE_KAFKA_TLS              false                     true encrypts, and verifies the brokers
  SLUICE_KAFKA_TLS_CA_FILE      (the system's)            PEM of the authorities that are trusted
  SLUICE_KAFKA_TLS_CERT_FILE    (none)                    PEM of our certificate
  SLUICE_KAFKA_TLS_KEY_FILE     (none)                    PEM of its key
  SLUICE_KAFKA_SASL_MECHANISM   none                      none, plain, scram-sha-256 or scram-sha-512
  SLUICE_KAFKA_SASL_USERNAME    (none)                    user of Kafka
  SLUICE_KAFKA_SASL_PASSWORD    (none)                    its password
  SLUICE_KAFKA_SASL_PASSWORD_FILE  (none)                 or the file that holds it
  SLUICE_REDIS_URL              redis://127.0.0.1:16379   where features are kept
  SLUICE_REDIS_USERNAME         (that of the URL)         user of Redis
  SLUICE_REDIS_PASSWORD         (that of the URL)         its password
  SLUICE_REDIS_PASSWORD_FILE    (none)                    or the file that holds it
  SLUICE_REDIS_TLS_CA_FILE      (the system's)            PEM of the authorities that are trusted, for rediss://
  SLUICE_REDIS_TLS_CERT_FILE    (none)                    PEM of our certificate
  SLUICE_REDIS_TLS_KEY_FILE     (none)                    PEM of its key
  SLUICE_TOPIC_PREFIX           (none)                    put before topic names
  SLUICE_GROUP_ID               sluice-scorer             scorers of one group share the partitions
  SLUICE_STREAM_ID              (from cluster and topic)  names the stream in state keys and alert ids
  SLUICE_SCHEMA_REGISTRY_URL    (files in schemas/)       a registry with Confluent's API
  SLUICE_MODEL                  models/simulator          folder of the model
  SLUICE_BACKEND                auto                      auto, tensorflow, wasm or cpu
  SLUICE_MODE                   flag                      observe, flag or enforce
  SLUICE_UNSCORED_OUTCOME       flag                      approve or flag, for what has no score
  SLUICE_LEASE_MS               86400000                  how long a block lasts
  SLUICE_ALIGNMENT              live                      live, or aligned for a replay with watermarks
  SLUICE_BATCH_SIZE_MAX         512                       transactions of one micro-batch, 1 to 4096
  SLUICE_BATCH_INTERVAL_MS      25                        ms between two micro-batches that are not full, 0 to 1000
  SLUICE_EVENT_AHEAD_MS_MAX     3600000                   event time beyond the record's time: a dead letter
  SLUICE_SESSION_TIMEOUT_MS     6000                      after which a silent scorer loses its partitions
  SLUICE_METRICS_HOST           127.0.0.1                 for /metrics, /livez and /readyz
  SLUICE_METRICS_PORT           9464                      another one when it is in use
  SLUICE_DEAD_LETTER_HMAC_KEY   (for development)         key of the payload hashes in dead letters
  SLUICE_DEAD_LETTER_HMAC_KEY_FILE  (none)                or the file that holds it
  SLUICE_LOG_LEVEL              info                      debug, info, warn, error or silent

Examples:
  $ sluice scorer
  $ SLUICE_TOPIC_PREFIX=pilot. SLUICE_MODE=observe sluice scorer`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('scorer')
    .summary('run the scorer in the foreground')
    .description(
      'Reads transactions and labels, decides, and publishes decisions and alerts, exactly once, until ' +
        'SIGTERM or Ctrl-C. Several may run at once: they share the partitions.',
    )
    .addHelpText('after', VARIABLES)
    .action(async () => {
      const { runScorer } = await import('../../scorer/run.ts')
      process.exit(await runScorer(process.env))
    })
}
