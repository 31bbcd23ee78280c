/**
 * Makes the identity of a node, or of a controller that is no pod, and the kubeconfig that bears
 * it: a token bound to its ServiceAccount, which the process renews by itself. Run by an
 * administrator.
 *
 * A token and no client certificate: deleting the ServiceAccount revokes it at once, which no API
 * server does with a certificate, and renewing needs nobody's approval.
 */
import { ApiError, type KubeApi } from './api.ts'
import type { Kubeconfig } from './kubeconfig.ts'
import { CONTROLLER, controllerIdentityObjects, NODE_NAMESPACE, nodeIdentityObjects } from './node-identity.ts'
import type { KubeObject, ResourceType } from './resources.ts'
import { requestToken } from './token-renewal.ts'
import { Transport } from './transport.ts'

export type Holder = { readonly kind: 'node'; readonly node: string } | { readonly kind: 'controller' }

export interface Issue {
  readonly api: KubeApi
  readonly kubeconfig: Kubeconfig
  readonly holder: Holder
  /** The address that the holder reaches the API server at. */
  readonly server: string
  readonly lifetimeSeconds: number
}

const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1', namespaced: true }
const TYPES: Readonly<Record<string, ResourceType>> = {
  ServiceAccount: { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true },
  Role: { ...RBAC, kind: 'Role', plural: 'roles' },
  RoleBinding: { ...RBAC, kind: 'RoleBinding', plural: 'rolebindings' },
  ClusterRole: { ...RBAC, namespaced: false, kind: 'ClusterRole', plural: 'clusterroles' },
  ClusterRoleBinding: { ...RBAC, namespaced: false, kind: 'ClusterRoleBinding', plural: 'clusterrolebindings' },
}

/**
 * The text of the kubeconfig. Called again, the identity stays and the token is new. Throws
 * `ApiError`.
 */
export async function issueKubeconfig({ api, kubeconfig, holder, server, lifetimeSeconds }: Issue): Promise<string> {
  const node = holder.kind === 'node'
  const objects = node ? nodeIdentityObjects(holder.node) : controllerIdentityObjects()
  for (const object of objects) await apply(api, object)
  const account = node
    ? { namespace: NODE_NAMESPACE, account: holder.node }
    : { namespace: 'kube-system', account: CONTROLLER }
  const transport = new Transport(kubeconfig)
  try {
    const token = await requestToken(transport, { ...account, seconds: lifetimeSeconds })
    const ca = (await kubeconfig.credentials()).tls?.ca
    return kubeconfigText({ server, ca, user: account.account, token })
  } catch (error) {
    throw error instanceof ApiError && error.status === 404 ? missing(account.namespace, account.account, error) : error
  } finally {
    transport.close()
  }
}

async function apply(api: KubeApi, object: KubeObject): Promise<void> {
  const type = TYPES[object.kind]
  if (type === undefined) throw new Error(`no way to apply a ${object.kind}`)
  const { namespace = 'the cluster', name } = object.metadata
  try {
    await api.apply(type, object, { fieldManager: 'terway-edge-kubeconfig', force: true })
  } catch (error) {
    throw error instanceof ApiError && error.status === 404 ? missing(namespace, name, error) : error
  }
}

function missing(namespace: string, name: string, cause: ApiError): ApiError {
  const how = 'terway-edge manifests --part crds, and then the rest, make it'
  return new ApiError(`${namespace}/${name} cannot be made: there is no namespace or ServiceAccount; ${how}`, {
    status: 404,
    cause,
  })
}

function kubeconfigText(from: { server: string; ca: string | undefined; user: string; token: string }): string {
  const { server, ca, user, token } = from
  const cluster = {
    server,
    ...(ca !== undefined && { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'default', context: { cluster: 'cluster', user } }],
    'current-context': 'default',
  }
  return `${Bun.YAML.stringify(config, null, 2)}\n`
}
