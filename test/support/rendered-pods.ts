// Pods in rendered manifests: the workloads that start them, their environment, and the selectors that match them.

import { ok, strictEqual } from 'node:assert/strict'
import type { Json, JsonObject, Manifest } from './manifests.ts'

interface EnvironmentVariable {
  readonly name: string
  readonly value?: string
}

interface Container {
  readonly name: string
  readonly image: string
  readonly args: readonly string[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly env?: readonly EnvironmentVariable[]
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[]
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>
    readonly limits: Readonly<Record<string, string>>
  }
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly lifecycle?: unknown
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly failureThreshold: number
  readonly periodSeconds: number
}

interface PodSpec {
  readonly containers: readonly Container[]
  readonly volumes: readonly {
    readonly name: string
    readonly secret?: { readonly secretName: string }
  }[]
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly nodeSelector?: Readonly<Record<string, string>>
  readonly topologySpreadConstraints?: readonly { readonly labelSelector: Selector }[]
}

export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: string
    readonly values: readonly string[]
  }[]
}

interface Pod {
  readonly owner: string
  readonly labels: Readonly<Record<string, string>>
  readonly spec: PodSpec
}

/** A field deep inside, by its path; the type is what the schema has been checked for. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export function at<Value>(value: Json | undefined, ...path: readonly (string | number)[]): Value {
  const found = path.reduce<Json | undefined>(
    (inner, step) => (inner as JsonObject | undefined)?.[step],
    value,
  )
  ok(found !== undefined, `${path.join('.')} is there`)
  return found as unknown as Value
}

/** The one manifest of this kind and name. */
export function one(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind && each.metadata.name === name)
  strictEqual(found.length, 1, `${kind} ${name}`)
  return found[0] as Manifest
}

/** Pods of Deployments and Jobs. */
export function podsOf(manifests: readonly Manifest[]): readonly Pod[] {
  return manifests
    .filter(({ kind }) => kind === 'Deployment' || kind === 'Job')
    .map((manifest) => ({
      owner: manifest.metadata.name,
      labels: at(manifest, 'spec', 'template', 'metadata', 'labels'),
      spec: at(manifest, 'spec', 'template', 'spec'),
    }))
}

/** True when a selector of labels matches this pod. */
export function selects({ matchLabels = {}, matchExpressions = [] }: Selector, pod: Pod): boolean {
  return (
    Object.entries(matchLabels).every(([name, value]) => pod.labels[name] === value) &&
    matchExpressions.every(
      ({ key, operator, values }) => operator === 'In' && values.includes(pod.labels[key] ?? ''),
    )
  )
}

/** Variables of a container with their values, those of its config maps included. */
export function environment(
  manifests: readonly Manifest[],
  container: Container,
): Readonly<Record<string, string>> {
  const maps = (container.envFrom ?? []).map(({ configMapRef }) =>
    at<Readonly<Record<string, string>>>(one(manifests, 'ConfigMap', configMapRef.name), 'data'),
  )
  const own = (container.env ?? []).map(({ name, value = '' }) => [name, value] as const)
  return Object.assign({}, ...maps, Object.fromEntries(own)) as Record<string, string>
}
