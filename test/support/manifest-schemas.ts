// Checks a Kubernetes manifest against the published schema of its kind, unknown fields included. The packages hold the
// schemas as compiled validators, which accept unknown fields. A validator reads each field that it knows, so a field
// that it has never read is not in the schema: a typing mistake.

import type { Json, Manifest } from './manifests.ts'

interface Model {
  validate(): void
}

type Models = Readonly<Record<string, unknown>>

/** Location of the kinds of an API group. */
const MODELS: Readonly<Record<string, () => Promise<Models>>> = {
  v1: () => import('kubernetes-models/v1'),
  'apps/v1': () => import('kubernetes-models/apps/v1'),
  'batch/v1': () => import('kubernetes-models/batch/v1'),
  'policy/v1': () => import('kubernetes-models/policy/v1'),
  'networking.k8s.io/v1': () => import('kubernetes-models/networking.k8s.io/v1'),
  'keda.sh/v1alpha1': () => import('@kubernetes-models/keda/keda.sh/v1alpha1'),
  'monitoring.coreos.com/v1': () =>
    import('@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'),
}

/** Faults of a manifest by the schema of its kind: broken rules, or unknown fields. */
export async function schemaMistakes(manifest: Manifest): Promise<readonly string[]> {
  const { apiVersion, kind } = manifest
  const load = MODELS[apiVersion]
  if (load === undefined) return [`no schema for ${apiVersion} ${kind}`]
  const Kind = (await load())[kind] as (new (data: unknown) => Model) | undefined
  if (Kind === undefined) return [`${apiVersion} has no kind ${kind}`]
  const unread = new Set<string>()
  const instance = new Kind(manifest)
  try {
    // The validator must see the recording object from the top, and the instance is a copy.
    instance.validate.call(recorded(instance as unknown as Json, '', unread) as unknown as Model)
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
  return [...unread].map((path) => `${path} is not a field of ${kind}`)
}

/** The same value, with each field listed in `unread` until it is read. */
function recorded(value: Json, path: string, unread: Set<string>): Json {
  if (typeof value !== 'object' || value === null) return value
  for (const name of Object.keys(value)) unread.add(`${path}/${name}`)
  const seen = new Map<string, Json>()
  return new Proxy(value as Record<string, Json>, {
    get(target, name, receiver) {
      const inner = Reflect.get(target, name, receiver) as Json
      if (typeof name === 'symbol' || !Object.hasOwn(target, name)) return inner
      unread.delete(`${path}/${name}`)
      const known = seen.get(name) ?? recorded(inner, `${path}/${name}`, unread)
      seen.set(name, known)
      return known
    },
  })
}
