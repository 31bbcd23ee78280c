/** What a condition can say (Kubernetes' `metav1.ConditionStatus`). Pure. */

export const CONDITION_STATUSES = ['True', 'False', 'Unknown'] as const
export type ConditionStatus = (typeof CONDITION_STATUSES)[number]
