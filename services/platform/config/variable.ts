// Definition of an environment variable: its meaning, unit, default and range.

/** Sections of the reference, in the order of the page. */
export const VARIABLE_GROUPS = [
  'Addresses of Kafka and Redis',
  'TLS and login',
  'Streams',
  'Decisions',
  'State',
  'Acting on alerts',
  'Answers in time',
  'Bridge',
  'Operation',
  'Tests only',
] as const

interface Described {
  readonly group: (typeof VARIABLE_GROUPS)[number]
  /** Programs that read it, as on the page. */
  readonly readBy: string
  /** One or two sentences, with the unit of a number. */
  readonly meaning: string
}

/** One variable. Text without a default is null when it is not set. */
export type Variable = Described &
  (
    | { readonly kind: 'text'; readonly default: string | null; readonly form: TextForm }
    | { readonly kind: 'list'; readonly default: readonly string[] }
    | { readonly kind: 'choice'; readonly default: string; readonly words: readonly string[] }
    | { readonly kind: 'boolean'; readonly default: boolean }
    | {
        readonly kind: 'integer' | 'number'
        readonly default: number
        readonly min: number
        readonly max: number
      }
  )

/** Form of a text. The value of a secret is never shown, not even in an error about it. */
type TextForm = 'text' | 'path' | 'URL' | 'host' | 'port' | 'secret'

/** The type of a variable's checked value. */
export type ValueOf<V extends Variable> = V extends { readonly kind: 'text' }
  ? V['default'] extends string
    ? string
    : string | null
  : V extends { readonly kind: 'list' }
    ? readonly string[]
    : V extends { readonly kind: 'choice'; readonly words: readonly (infer Word)[] }
      ? Word
      : V extends { readonly kind: 'boolean' }
        ? boolean
        : number
