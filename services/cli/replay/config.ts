// What a replay reads from the environment beside where the stream is: it must be as the scorer had it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { defaultStore } from '../../platform/model-store.ts'
import { readBreakers, type PolicySettings } from '../../scorer/index.ts'
import { repositoryRoot } from '../command.ts'
import { releasedFolder, type ModelPlaces } from './models-by-digest.ts'

export interface ReplayConfig {
  readonly eventAheadMsMax: number
  /** What the digest of the built-in policy also names. */
  readonly settings: PolicySettings
  readonly places: ModelPlaces
}

/** `folders` come before all else. @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadReplayConfig(
  env: Readonly<Record<string, string | undefined>>,
  folders: readonly string[],
  store: string | undefined,
): ReplayConfig {
  const read = new EnvReader(env)
  const configured = read.value('SLUICE_MODEL')
  const configuredStore = read.value('SLUICE_MODEL_STORE')
  const eventAheadMsMax = read.value('SLUICE_EVENT_AHEAD_MS_MAX')
  const settings = { leaseMs: read.value('SLUICE_LEASE_MS'), breakers: readBreakers(read) }
  read.throwIfInvalid()
  const root = repositoryRoot()
  const released = releasedFolder(root)
  const usual = configured ?? (existsSync(join(released, 'manifest.json')) ? released : null)
  const places = {
    folders: usual === null ? folders : [...folders, usual],
    store: store ?? configuredStore ?? defaultStore(root),
  }
  return { eventAheadMsMax, settings, places }
}
