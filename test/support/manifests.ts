// Renders the Kustomize folders of this repository: resources, namespace, patches (strategic merge and JSON 6902) and
// images. It refuses everything that it does not know, so that a manifest cannot use untested features.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

export interface Manifest extends JsonObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: JsonObject & { readonly name: string }
}

interface Kustomization {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace?: string
  readonly resources?: readonly string[]
  readonly patches?: readonly { readonly path: string; readonly target?: Target }[]
  readonly images?: readonly {
    readonly name: string
    readonly newName?: string
    readonly newTag?: string
  }[]
}

interface Target {
  readonly group?: string
  readonly version?: string
  readonly kind: string
  readonly name: string
}

interface Operation {
  readonly op: string
  readonly path: string
  readonly value: Json
}

const KNOWN = new Set(['apiVersion', 'kind', 'namespace', 'resources', 'patches', 'images'])
const WITHOUT_NAMESPACE = new Set(['Namespace'])
/** The field by which Kubernetes distinguishes the items of a list. */
const LIST_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  env: 'name',
  ports: 'containerPort',
  volumes: 'name',
  volumeMounts: 'mountPath',
}

/** All documents of a file. @throws Error with the first mistake in its YAML. */
export function readManifests(path: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => {
    const [mistake] = document.errors
    if (mistake !== undefined) throw mistake
    return document.toJS() as Manifest
  })
}

/** The manifests of `kubectl kustomize <folder>`, in the order of the files. */
export function renderKustomization(folder: string): readonly Manifest[] {
  const text = readFileSync(join(folder, 'kustomization.yaml'), 'utf8')
  const kustomization = parse(text) as Kustomization
  const unknown = Object.keys(kustomization).filter((name) => !KNOWN.has(name))
  if (unknown.length > 0) throw new Error(`${folder}: ${unknown.join(', ')} is not rendered here.`)
  let manifests = (kustomization.resources ?? []).flatMap((resource) => {
    const path = join(folder, resource)
    return statSync(path).isDirectory() ? renderKustomization(path) : readManifests(path)
  })
  for (const { path, target } of kustomization.patches ?? [])
    manifests = patched(manifests, join(folder, path), target)
  const { namespace, images = [] } = kustomization
  if (namespace !== undefined) manifests = manifests.map((each) => inNamespace(each, namespace))
  for (const image of images)
    manifests = manifests.map((each) => withImage(each, image) as Manifest)
  return manifests
}

function inNamespace(manifest: Manifest, namespace: string): Manifest {
  if (WITHOUT_NAMESPACE.has(manifest.kind)) return manifest
  return { ...manifest, metadata: { ...manifest.metadata, namespace } }
}

function withImage(value: Json, image: NonNullable<Kustomization['images']>[number]): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => withImage(item, image))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      if (name !== 'image' || typeof inner !== 'string') return [name, withImage(inner, image)]
      const [imageName, tag] = inner.split(':')
      if (imageName !== image.name) return [name, inner]
      return [name, `${image.newName ?? imageName}:${image.newTag ?? tag ?? 'latest'}`]
    }),
  )
}

function patched(
  manifests: readonly Manifest[],
  path: string,
  target: Target | undefined,
): Manifest[] {
  const patches: readonly Manifest[] = target === undefined ? readManifests(path) : []
  const wanted = target === undefined ? patches.map(targetOf) : [target]
  for (const { kind, name } of wanted) {
    const found = manifests.filter((each) => each.kind === kind && each.metadata.name === name)
    if (found.length !== 1)
      throw new Error(`${path}: ${kind} ${name} is there ${found.length} times.`)
  }
  return manifests.map((manifest) => {
    const isMeant = wanted.some(
      ({ kind, name }) => manifest.kind === kind && manifest.metadata.name === name,
    )
    if (!isMeant) return manifest
    if (target === undefined) {
      const patch = patches.find((each) => each.kind === manifest.kind)
      return mergeInto(manifest, patch ?? {}, '') as Manifest
    }
    const operations = parse(readFileSync(path, 'utf8')) as readonly Operation[]
    return operations.reduce<Json>(applyOperation, manifest) as Manifest
  })
}

function targetOf(patch: Manifest): Target {
  return { kind: patch.kind, name: patch.metadata.name }
}

/** A strategic merge: objects field by field, the lists of LIST_KEYS item by item; everything else is replaced. */
function mergeInto(base: Json | undefined, patch: Json, field: string): Json {
  if (Array.isArray(patch)) {
    const key = LIST_KEYS[field]
    if (key === undefined || !Array.isArray(base)) return patch as readonly Json[]
    return mergeLists(base as readonly JsonObject[], patch as readonly JsonObject[], key)
  }
  if (!isObject(patch)) return patch
  const merged: Record<string, Json> = isObject(base) ? { ...base } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$')) throw new Error(`${name} is not rendered here.`)
    if (value === null) Reflect.deleteProperty(merged, name)
    else merged[name] = mergeInto(merged[name], value, name)
  }
  return merged
}

function mergeLists(
  base: readonly JsonObject[],
  patch: readonly JsonObject[],
  key: string,
): readonly Json[] {
  const isNew = (item: JsonObject): boolean => base.every((each) => each[key] !== item[key])
  const merged = base.map((item) => {
    const change = patch.find((each) => each[key] === item[key])
    return change === undefined ? item : mergeInto(item, change, '')
  })
  return [...merged, ...patch.filter(isNew)]
}

function applyOperation(document: Json, { op, path, value }: Operation): Json {
  if (op !== 'replace') throw new Error(`${op} is not rendered here.`)
  const steps = path.split('/').slice(1)
  const replace = (node: Json | undefined, depth: number): Json => {
    const step = steps[depth]
    if (step === undefined) return value
    if (Array.isArray(node)) {
      const items = node as readonly Json[]
      if (items[Number(step)] === undefined) throw new Error(`${path} is not there.`)
      return items.map((item, index) => (index === Number(step) ? replace(item, depth + 1) : item))
    }
    if (!isObject(node) || node[step] === undefined) throw new Error(`${path} is not there.`)
    return { ...node, [step]: replace(node[step], depth + 1) }
  }
  return replace(document, 0)
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
