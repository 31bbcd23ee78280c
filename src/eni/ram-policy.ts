/**
 * The least that the controller's role needs in the cloud (RAM): its own calls, and no others.
 * Rights of ENS are for all of its resources, as it knows no smaller ones. Pure.
 */
import { actionFacts, CLOUD_ACTIONS, type Product } from '../cloud/actions.ts'

/** The policy document for `products`, in RAM's words. */
export function ramPolicy(products: readonly Product[]): object {
  const actions = CLOUD_ACTIONS.filter(action => products.includes(actionFacts(action).product))
  return { Version: '1', Statement: [{ Effect: 'Allow', Action: [...actions].sort(), Resource: ['*'] }] }
}
