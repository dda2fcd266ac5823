// Text on its way into HTML. Label values come from outside and may hold anything.

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Escapes text for element content and for attribute values in quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

/** A colour that may stand in a style; anything that is not a plain colour becomes grey. */
export function safeColour(color: string): string {
  return /^(#[0-9a-f]{3,8}|[a-z]{3,20})$/i.test(color) ? color : 'gray'
}

/** A number for an SVG attribute: short, never in exponents. */
export function coordinate(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}
