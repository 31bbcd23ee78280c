/**
 * Who a node is towards the API server: a ServiceAccount of its own, named as the Node, in a
 * namespace that holds nothing else. So the identity bears the node's name, all nodes are one
 * group, and what a node may do to itself alone can be said by RBAC: a Role that names its own
 * ServiceAccount.
 *
 * What all nodes may do is in config/rbac.yaml (for the group), that a node writes of itself only
 * on Kubernetes 1.30 or newer in config/admission.yaml. Decides names and objects, makes none.
 * Pure.
 */
import type { KubeObject, ResourceType } from './resources.ts'

/** The namespace of the nodes' ServiceAccounts, made by config/rbac.yaml. */
export const NODE_NAMESPACE = 'terway-edge-nodes'

/** The ServiceAccount of the controller, in kube-system. */
export const CONTROLLER = 'terway-edge-controller'

/**
 * On a node's own ServiceAccount: the podCIDRs that the node had when it was last in contact,
 * joined by commas, or `none`. Written by the node, read by the controller when nothing else
 * remembers them.
 */
export const FORMER_POD_CIDRS = 'network.openyurt.io/former-pod-cidrs'

export const SERVICE_ACCOUNTS: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
}

/**
 * What makes a node's identity, in the order to apply: the ServiceAccount, the right to renew its
 * token and to say its former podCIDRs, and that right given to it; the right to report on its own
 * ENINode. Deleting the ServiceAccount revokes all.
 */
export function nodeIdentityObjects(node: string): readonly KubeObject[] {
  const metadata = {
    name: node,
    namespace: NODE_NAMESPACE,
    labels: { 'app.kubernetes.io/name': 'terway-edge' },
  }
  const account: KubeObject = { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata,
    rules: [
      { apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: [node], verbs: ['create'] },
      { apiGroups: [''], resources: ['serviceaccounts'], resourceNames: [node], verbs: ['get', 'patch'] },
    ],
  }
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: node },
    subjects: [{ kind: 'ServiceAccount', name: node, namespace: NODE_NAMESPACE }],
  }
  return [account, role, binding, ...eniReportObjects(node)]
}

/** The right of a node to report on its own ENINode, which bears its name; of no other. */
function eniReportObjects(node: string): readonly [KubeObject, KubeObject] {
  const metadata = { name: `terway-edge-node:${node}`, labels: { 'app.kubernetes.io/name': 'terway-edge' } }
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata,
    rules: [
      { apiGroups: ['network.openyurt.io'], resources: ['eninodes/status'], resourceNames: [node], verbs: ['patch'] },
    ],
  }
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', name: node, namespace: NODE_NAMESPACE }],
  }
  return [role, binding]
}

/** The right of a controller that is no pod to renew its token. */
export function controllerIdentityObjects(): readonly KubeObject[] {
  const account = { kind: 'ServiceAccount', name: CONTROLLER, namespace: 'kube-system' }
  const metadata = {
    name: `${CONTROLLER}-token`,
    namespace: 'kube-system',
    labels: { 'app.kubernetes.io/name': 'terway-edge' },
  }
  const rule = { apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: [CONTROLLER], verbs: ['create'] }
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name }
  return [
    { apiVersion, kind: 'Role', metadata, ...{ rules: [rule] } },
    { apiVersion, kind: 'RoleBinding', metadata, ...{ roleRef, subjects: [account] } },
  ]
}

/**
 * The right to read one Secret of kube-system, for the controller and the nodes named: the speakers
 * of the LAN whose password it holds. Each Secret has a Role of its own, so a LAN more or less
 * touches no other.
 */
export function secretReaderObjects(secret: string, nodes: readonly string[]): readonly [KubeObject, KubeObject] {
  const metadata = {
    name: `terway-edge-password-${secret}`,
    namespace: 'kube-system',
    labels: { 'app.kubernetes.io/name': 'terway-edge' },
  }
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata,
    rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: [secret], verbs: ['get', 'list', 'watch'] }],
  }
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
    subjects: [
      { kind: 'ServiceAccount', name: 'terway-edge-controller', namespace: 'kube-system' },
      ...nodes.map(name => ({ kind: 'ServiceAccount', name, namespace: NODE_NAMESPACE })),
    ],
  }
  return [role, binding]
}
