// The identity of a process in its consumer group.

/** Membership of a consumer group in one generation; the coordinator refuses offsets sent with any other. */
export interface Membership {
  /** Assigned by the coordinator. */
  readonly memberId: string
  /** Rises with each rebalance. */
  readonly generation: number
  /** `group.instance.id` of a static member, null for a dynamic one. */
  readonly instanceId: string | null
}
