// What may be given away with a model: licences by kind of thing, and whether rows may leave with it. Only what the
// simulator made is ours to give; what others recorded belongs to them.

/** An SPDX identifier, or null where nobody has said what is allowed. */
export type Licence = string | null

export interface ReleaseTerms {
  /** Whether rows of the test period are written into the model folder. */
  readonly shipsRows: boolean
  readonly code: Licence
  /** Weights, golden rows and evaluation rows. */
  readonly data: Licence
  readonly documents: Licence
}

/** For models of simulated data. */
export const OPEN_TERMS: ReleaseTerms = Object.freeze({
  shipsRows: true,
  code: 'Apache-2.0',
  data: 'CDLA-Permissive-2.0',
  documents: 'CC-BY-4.0',
})

/** For models of recorded data: our code stays open, all else is for its owner to say. */
export const OWNED_TERMS: ReleaseTerms = Object.freeze({
  shipsRows: false,
  code: 'Apache-2.0',
  data: null,
  documents: null,
})

/** Names of the licences that Sluice uses, by SPDX identifier. */
export const LICENCE_NAMES: Readonly<Record<string, string>> = Object.freeze({
  'Apache-2.0': 'Apache License 2.0',
  'CDLA-Permissive-2.0': 'Community Data License Agreement, Permissive, version 2.0',
  'CC-BY-4.0': 'Creative Commons Attribution 4.0 International',
})

/** Files for people and about the folder; all else is data. */
const DOCUMENT = /\.(md|yml|svg|png)$|^(bom\.json|SHA256SUMS)$/

/** Licence of one file of a model folder. */
export function licenceOfFile(path: string, terms: ReleaseTerms): Licence {
  // A net's layout is a program for TensorFlow.js, made by our code from what its owner asked for.
  if (/(^|\/)(model|target)\.json$/.test(path)) return terms.data === null ? null : terms.code
  return DOCUMENT.test(path) ? terms.documents : terms.data
}

/** Path of the file that states a licence; null without one. */
export function licencePath(licence: Licence): string | null {
  return licence === null ? null : `LICENSES/${licence}.md`
}
