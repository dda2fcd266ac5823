// Parses JSON text against a schema.

import type { z } from 'zod'

/** The value of the text; null when it is invalid JSON or does not match the schema. Never throws. */
export function parseJson<Value>(schema: z.ZodType<Value>, text: string): Value | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
