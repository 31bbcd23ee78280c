/**
 * `terway-edge kubeconfig`: a kubeconfig with the rights of an edge node (ServiceAccount kube-system/terway-edge-node) and nothing more. Its
 * token does not expire, because a node may be out of reach for longer than any token lives; deleting the Secret revokes it.
 */
import { createKubeApi } from '../kube/client.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import type { KubeSecret, ResourceType } from '../kube/resources.ts'
import { SECRETS } from '../kube/resources.ts'
import { sleep, systemClock } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { writeFileWhole } from '../lib/files.ts'
import { silentLog } from '../lib/log.ts'
import { print } from '../lib/stdout.ts'
import { createProgram, runProgram } from './program.ts'

const SERVICE_ACCOUNTS: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
}
const NAMESPACE = 'kube-system'
const ACCOUNT = 'terway-edge-node'

interface Options {
  readonly kubeconfig?: string
  readonly server?: string
  readonly secret: string
  readonly out?: string
}

export function kubeconfigCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'kubeconfig',
    'Makes a kubeconfig with the rights of an edge node, and nothing more. Run it where you are an administrator.',
    [
      'terway-edge kubeconfig --kubeconfig ~/.kube/config --out node.kubeconfig',
      'terway-edge kubeconfig --kubeconfig ~/.kube/config --secret terway-edge-shop-7 > shop-7.kubeconfig   # one that can be revoked alone',
    ],
  )
    .option('--kubeconfig <file>', "the administrator's kubeconfig (default: in-cluster)")
    .option('--server <url>', 'the address that the nodes reach the API server at (default: the same)')
    .option('--secret <name>', 'the Secret that holds the token', 'terway-edge-node-token')
    .option('--out <file>', 'write it here, mode 0600 (default: stdout)')
  return runProgram<Options>(program, args, async options => {
    if (options.server !== undefined && !/^https?:$/.test(URL.parse(options.server)?.protocol ?? '')) {
      throw new UserError(`--server ${options.server}: write a URL, such as https://api.example:6443`, {
        exitStatus: 2,
      })
    }
    const text = await nodeKubeconfig(options)
    if (options.out === undefined) print(text)
    else writeFileWhole(options.out, text)
    return 0
  })
}

async function nodeKubeconfig(options: Options): Promise<string> {
  const api = createKubeApi({ kubeconfig: loadKubeconfig(options.kubeconfig), clock: systemClock, log: silentLog })
  try {
    if ((await api.get(SERVICE_ACCOUNTS, ACCOUNT, NAMESPACE)) === undefined) {
      throw new UserError(
        `there is no ServiceAccount ${NAMESPACE}/${ACCOUNT}: apply the roles first (terway-edge manifests | kubectl apply -f -)`,
      )
    }
    await api.apply<KubeSecret & { type: string }>(
      SECRETS,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/service-account-token',
        metadata: {
          name: options.secret,
          namespace: NAMESPACE,
          annotations: { 'kubernetes.io/service-account.name': ACCOUNT },
        },
      },
      { fieldManager: 'terway-edge-kubeconfig' },
    )
    for (let attempt = 0; attempt < 40; attempt++) {
      const secret = await api.get<KubeSecret>(SECRETS, options.secret, NAMESPACE)
      const { token, 'ca.crt': ca } = secret?.data ?? {}
      if (token !== undefined)
        return kubeconfigText({
          server: options.server ?? api.server,
          ca,
          token: Buffer.from(token, 'base64').toString(),
        })
      await sleep(systemClock, 250)
    }
    throw new UserError(
      `the Secret ${NAMESPACE}/${options.secret} got no token within 10 s: is kube-controller-manager running?`,
    )
  } finally {
    api.close()
  }
}

function kubeconfigText(from: { server: string; ca: string | undefined; token: string }): string {
  const cluster = { server: from.server, ...(from.ca !== undefined && { 'certificate-authority-data': from.ca }) }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster }],
    users: [{ name: ACCOUNT, user: { token: from.token } }],
    contexts: [{ name: 'default', context: { cluster: 'cluster', user: ACCOUNT } }],
    'current-context': 'default',
  }
  return `${Bun.YAML.stringify(config, null, 2)}\n`
}
