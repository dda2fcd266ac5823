// What a reader leaves for the owner of a value that it cannot read: which one. A hint only, so it needs no fence: the
// owner looks for itself.

/** Names a damaged value. */
export interface DamageNote {
  readonly generation: number
  readonly key: string
}

export function encodeDamage({ generation, key }: DamageNote): string {
  return `${generation} ${key}`
}

/** Null when there is none, or it is not readable. */
export function decodeDamage(text: string): DamageNote | null {
  const space = text.indexOf(' ')
  const generation = Number(text.slice(0, Math.max(0, space)))
  if (space < 1 || !Number.isSafeInteger(generation)) return null
  return { generation, key: text.slice(space + 1) }
}
