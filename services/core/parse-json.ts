// JSON text of a known form.

import type { z } from 'zod'

/** The value that the text holds; null when it is no JSON, or has another form. Never throws. */
export function parseJson<Value>(schema: z.ZodType<Value>, text: string): Value | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
