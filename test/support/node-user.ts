/** Who a node is for RBAC and admission: the user name and the group of its ServiceAccount. */
import { NODE_NAMESPACE } from '../../src/kube/node-identity.ts'

export const NODE_GROUP = `system:serviceaccounts:${NODE_NAMESPACE}`

export function nodeUser(node: string): string {
  return `system:serviceaccount:${NODE_NAMESPACE}:${node}`
}
