// How a process presents itself to the coordinator of its consumer group.

/** Membership of a consumer group in one generation; the coordinator refuses offsets that come with any other. */
export interface Membership {
  /** Given by the coordinator. */
  readonly memberId: string
  /** Rises with each rebalance. */
  readonly generation: number
  /** `group.instance.id` of a static member, null for a dynamic one. */
  readonly instanceId: string | null
}
