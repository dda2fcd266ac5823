// docker-compose.yml as Compose reads it: merge keys resolved, variables substituted (by their defaults when the given
// environment lacks them).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export interface ComposeHealthcheck {
  readonly test?: string | readonly string[]
  readonly disable?: boolean
  readonly start_period?: string
}

export interface ComposeService {
  readonly image: string
  readonly build?: { readonly context: string; readonly target: string }
  readonly profiles?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly healthcheck?: ComposeHealthcheck
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly deploy?: {
    readonly resources?: {
      readonly limits?: { readonly cpus?: string; readonly memory?: string }
      readonly reservations?: { readonly devices?: readonly { readonly capabilities: string[] }[] }
    }
  }
  readonly user?: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly privileged?: boolean
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly restart?: string
  readonly stop_grace_period?: string
  readonly logging?: { readonly options?: Readonly<Record<string, string>> }
  readonly networks?: { readonly default?: { readonly aliases?: readonly string[] } }
}

export interface ComposeFile {
  readonly name: string
  readonly services: Readonly<Record<string, ComposeService>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
}

const COMPOSE_FILE = join(import.meta.dirname, '../../docker-compose.yml')

/** The text of the file, before substitution. */
export function composeText(): string {
  return readFileSync(COMPOSE_FILE, 'utf8')
}

/** The file as Compose reads it in an environment. */
export function readCompose(env: Readonly<Record<string, string>> = {}): ComposeFile {
  // Its services repeat parts by alias more often than the default limit for untrusted files allows.
  const file: unknown = parse(composeText(), { merge: true, maxAliasCount: -1 })
  return withValues(file, env) as ComposeFile
}

/**
 * Substitutes variables in every text. @throws Error for one without a default, which would be empty with a warning.
 */
function withValues(value: unknown, env: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    const text = value.replace(
      /\$\{(\w+):-([^}]*)\}/g,
      (_, name: string, otherwise: string) => (env[name] ?? '') || otherwise,
    )
    if (text.includes('${')) throw new Error(`${value} has a variable without a default.`)
    return text
  }
  if (Array.isArray(value)) return value.map((item: unknown) => withValues(item, env))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withValues(inner, env)]),
  )
}

/** Names of the services that a plain `docker compose up` starts. */
export function servicesWithoutProfile({ services }: ComposeFile): readonly string[] {
  return Object.entries(services)
    .filter(([, service]) => service.profiles === undefined)
    .map(([name]) => name)
}

/** Bytes of a size such as 512M, 128m or 2gb. */
export function sizeBytes(text: string): number {
  const [, count = '', unit = ''] = /^(\d+)([kmg])(?:i?b)?$/i.exec(text) ?? []
  const power = 'kmg'.indexOf(unit.toLowerCase()) + 1
  if (power === 0) throw new Error(`${text} is no size.`)
  return Number(count) * 1024 ** power
}

/** Milliseconds of a duration in seconds, such as 20s. */
export function secondsAsMs(text: string): number {
  const [, count = ''] = /^(\d+)s$/.exec(text) ?? []
  if (count === '') throw new Error(`${text} is no number of seconds.`)
  return Number(count) * 1_000
}
