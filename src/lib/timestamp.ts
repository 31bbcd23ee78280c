/** Times as people and Kubernetes read them. Pure. */

/** An RFC 3339 time stamp in UTC with seconds, as Kubernetes writes `metav1.Time`. */
export function timestamp(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
}
