/** The configuration's `removal` as controller and nodes take it. Pure. */
import type { Config } from '../config/schema.ts'
import type { RemovalLimits } from '../kube/mass-removal.ts'

export function removalLimits({ removal }: Pick<Config, 'removal'>): RemovalLimits {
  const { share, number, delaySeconds } = removal
  return { share, number, delayMilliseconds: delaySeconds * 1000 }
}
