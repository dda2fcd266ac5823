// Finds out why no coordinator of a group or of a transactional id was found. kafkajs discards the brokers' answer and
// throws "Failed to find group coordinator" for a missing right as for an absent coordinator; only a debug message
// distinguishes them. So the messages of each client are scanned, and a refusal is kept for `coordinatorRefusal`.

import type { Kafka, LogEntry } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { causesOf } from '../tls-failure.ts'

const MESSAGE = 'Tried to find group coordinator'

/** The last answer of the brokers to one client. */
export interface CoordinatorAnswers {
  /** Group or transactional id that was refused; null when none was. */
  refused: string | null
}

const answersOf = new WeakMap<Kafka, CoordinatorAnswers>()

/** Scans a log message of the client for a refusal. */
export function noteAnswer(answers: CoordinatorAnswers, { log }: LogEntry): void {
  if (log.message !== MESSAGE) return
  const { error, groupId } = log as { readonly error?: { type?: unknown }; groupId?: unknown }
  if (typeof error?.type !== 'string' || !error.type.endsWith('AUTHORIZATION_FAILED')) return
  answers.refused = typeof groupId === 'string' ? groupId : 'a group'
}

/** Stores the answers for the client. */
export function keepAnswers(kafka: Kafka, answers: CoordinatorAnswers): void {
  answersOf.set(kafka, answers)
}

/** SLUICE_ACCESS_DENIED when the client found no coordinator because it was refused; null otherwise. */
export function coordinatorRefusal(kafka: Kafka, error: unknown): SluiceError | null {
  const isAboutIt = causesOf(error).some(
    (cause) => cause instanceof Error && cause.message === 'Failed to find group coordinator',
  )
  const answers = answersOf.get(kafka)
  const name = answers?.refused ?? null
  if (!isAboutIt || answers === undefined || name === null) return null
  answers.refused = null
  return new SluiceError(
    'SLUICE_ACCESS_DENIED',
    `Kafka refuses us: the right to the group or transactional id ${name} is missing; grant what ` +
      'docs/security.md lists for this role.',
    { cause: error },
  )
}
