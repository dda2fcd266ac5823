// The OpenAPI document of the gateway, made from the schemas that check its requests.

import { z } from 'zod'
import { buildVersion } from '../platform/build-version.ts'
import { PROBLEMS, type ProblemCode } from '../platform/http/json-body.ts'
import {
  batchAnswerSchema,
  batchSchema,
  blockAnswerSchema,
  decisionSchema,
  fallbackSchema,
  problemSchema,
  scoreAnswerSchema,
  transactionSchema,
} from './api-schemas.ts'

const SCHEMAS = {
  Transaction: transactionSchema,
  ScoreBatch: batchSchema,
  Decision: decisionSchema,
  Fallback: fallbackSchema,
  ScoreAnswer: scoreAnswerSchema,
  ScoreBatchAnswer: batchAnswerSchema,
  CardBlock: blockAnswerSchema,
  Problem: problemSchema,
} as const

/** Problems of every route with a token. */
const COMMON: readonly ProblemCode[] = [
  'unauthorised',
  'too_many_requests',
  'not_ready',
  'internal',
]
const OF_BODIES: readonly ProblemCode[] = [
  'malformed',
  'too_large',
  'unsupported_media_type',
  'invalid',
]

const REQUEST_ID = {
  name: 'X-Request-Id',
  in: 'header',
  description: 'Up to 64 letters, digits and ._:- of the caller; answered and logged.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9._:-]{1,64}$' },
}
const TRACEPARENT = {
  name: 'traceparent',
  in: 'header',
  description: 'W3C trace context; the trace goes on in the message and in its alert.',
  schema: { type: 'string' },
}
const DEADLINE = {
  name: 'deadlineMs',
  in: 'query',
  description: 'Time in which the answer is needed, ms, within the limits of the gateway.',
  schema: { type: 'integer', minimum: 1 },
}

/** OpenAPI 3.1. */
export const OPEN_API = {
  openapi: '3.1.0',
  info: {
    title: 'Sluice gateway',
    version: buildVersion(),
    description: 'Scores card transactions and answers with the decision that stands in the log.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: {
    '/v1/score': {
      post: operation('score', 'Score one transaction', {
        parameters: [DEADLINE, TRACEPARENT, REQUEST_ID],
        body: 'Transaction',
        answer: 'ScoreAnswer',
        problems: [...COMMON, ...OF_BODIES, 'conflict'],
      }),
    },
    '/v1/score/batch': {
      post: operation('scoreBatch', 'Score transactions of a back office', {
        parameters: [DEADLINE, TRACEPARENT, REQUEST_ID],
        body: 'ScoreBatch',
        answer: 'ScoreBatchAnswer',
        problems: [...COMMON, ...OF_BODIES],
      }),
    },
    '/v1/cards/{token}/block': {
      get: operation('cardBlock', 'Say whether a card is blocked now', {
        parameters: [
          { name: 'token', in: 'path', required: true, schema: { type: 'string', maxLength: 64 } },
          REQUEST_ID,
        ],
        answer: 'CardBlock',
        problems: [...COMMON, 'invalid'],
      }),
    },
    '/openapi.json': {
      get: {
        operationId: 'openApi',
        summary: 'This document',
        security: [],
        responses: {
          '200': {
            description: 'The document.',
            content: { 'application/json': { schema: { type: 'object' } } },
          },
          ...problemResponses(['too_many_requests', 'internal']),
        },
      },
    },
  },
  components: {
    schemas: componentSchemas(),
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
  },
  security: [{ bearer: [] }],
} as const

function operation(
  operationId: string,
  summary: string,
  parts: {
    readonly parameters: readonly unknown[]
    readonly body?: keyof typeof SCHEMAS
    readonly answer: keyof typeof SCHEMAS
    readonly problems: readonly ProblemCode[]
  },
) {
  const { parameters, body, answer, problems } = parts
  return {
    operationId,
    summary,
    parameters,
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonOf(body) } }),
    responses: {
      '200': { description: 'Answered.', content: jsonOf(answer) },
      ...problemResponses(problems),
    },
  }
}

function jsonOf(name: keyof typeof SCHEMAS) {
  return { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } }
}

/** One response per status; several problems may have the same. */
function problemResponses(codes: readonly ProblemCode[]) {
  const byStatus = new Map<number, string[]>()
  for (const code of codes) {
    const { status, title } = PROBLEMS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), title])
  }
  const content = {
    'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, titles]) => [String(status), { description: titles.join(' '), content }]),
  )
}

function componentSchemas(): Readonly<Record<string, unknown>> {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    target: 'draft-2020-12',
    uri: (id) => `#/components/schemas/${id}`,
  })
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => {
      // The document has one dialect, and schemas are found by their place.
      const fields = Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id')
      return [id, Object.fromEntries(fields)]
    }),
  )
}
