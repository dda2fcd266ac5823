// Limits of a card's history, in events and in time.

import { BUCKET_MS, CARD_REACH_MS, LATENESS_MS, RETRY_MS } from '../catalogue/time.ts'

/** Newest events of a card that are stored singly. */
export const CARD_RAW_MAX = 512

/** Newest events whose decisions a late transaction can change. */
export const REVISABLE_MAX = 64

/** Maximum recomputations of one decision; later causes do not change it. */
export const CAUSES_MAX = 32

/** Events and buckets that are older than the card's newest event by more than this are dropped. */
export const CARD_RETAIN_MS = CARD_REACH_MS + LATENESS_MS + BUCKET_MS

/** Events that are older than the newest by more than this need no offset, id or intent any more. */
export const FINALISE_MS = LATENESS_MS + RETRY_MS
