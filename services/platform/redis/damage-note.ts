// Note that a reader leaves for the owner of a value that it cannot decode. It names the value. It is only a hint, so
// it needs no fence: the owner checks the value itself.

/** Names a damaged value. */
export interface DamageNote {
  readonly generation: number
  readonly key: string
}

export function encodeDamage({ generation, key }: DamageNote): string {
  return `${generation} ${key}`
}

/** Returns null if there is no note, or it is malformed. */
export function decodeDamage(text: string): DamageNote | null {
  const space = text.indexOf(' ')
  const generation = Number(text.slice(0, Math.max(0, space)))
  if (space < 1 || !Number.isSafeInteger(generation)) return null
  return { generation, key: text.slice(space + 1) }
}
