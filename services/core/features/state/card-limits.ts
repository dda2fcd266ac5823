// How much is remembered of a card, and for how long.

import { BUCKET_MS, CARD_REACH_MS, LATENESS_MS, RETRY_MS } from '../catalogue/time.ts'

/** Newest events of a card that are kept singly. */
export const CARD_RAW_MAX = 512

/** Newest events whose decisions a late transaction may change. */
export const REVISABLE_MAX = 64

/** Recomputations of one decision; later causes leave it as it is. */
export const CAUSES_MAX = 32

/** Events and buckets older than this before the card's newest event are forgotten. */
export const CARD_RETAIN_MS = CARD_REACH_MS + LATENESS_MS + BUCKET_MS

/** Events older than this before the newest need no offset, id or intent any more. */
export const SETTLE_MS = LATENESS_MS + RETRY_MS
