/**
 * `terway-edge manifests`: what a cluster needs before the first node, as YAML for kubectl apply.
 * The documents are those of config/, embedded; put in is what only the operator knows. What a
 * guess could do harm with (which nodes get podCIDRs, from where, the image) has no default.
 */
import { Option } from 'commander'
import admission from '../../config/admission.yaml' with { type: 'text' }
import bgpPeersCrd from '../../config/crd-bgppeers.yaml' with { type: 'text' }
import eniNodesCrd from '../../config/crd-eninodes.yaml' with { type: 'text' }
import routeSlicesCrd from '../../config/crd-routeslices.yaml' with { type: 'text' }
import namespace from '../../config/namespace.yaml' with { type: 'text' }
import rbac from '../../config/rbac.yaml' with { type: 'text' }
import { parseConfig } from '../config/load.ts'
import { ramPolicy } from '../eni/ram-policy.ts'
import { controllerManifest } from '../kube/controller-manifest.ts'
import { secretReaderObjects } from '../kube/node-identity.ts'
import { nodeManifest } from '../kube/node-manifest.ts'
import { type Problem, problemsError, UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import { readNetworkFile } from './network-file.ts'
import { createProgram, runProgram } from './program.ts'

interface Options {
  readonly bgpSecret: readonly string[]
  readonly cloudSecret?: string
  readonly image?: string
  readonly part: (typeof PARTS)[number]
  readonly daemonset: boolean
  readonly allocate: boolean
  readonly network?: string
  readonly edgeNodes?: string
  readonly podCidrs?: readonly string[]
  readonly podsPerNode?: string
  readonly serviceCidrs?: readonly string[]
  readonly vpcCidrs?: readonly string[]
  readonly dataCenterCidrs?: readonly string[]
  readonly replicas: number
  readonly metricsSecret?: string
  readonly disruptionBudget: boolean
}

const PARTS = ['main', 'crds', 'rbac', 'controller', 'daemonset', 'admission', 'ram-policy'] as const

export function manifestsCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'manifests',
    "Prints the roles and the controller as YAML; with --part crds what must outlive them: the CRDs, and the namespace of the nodes' identities. Apart, so that kubectl delete -f of the one does not take BGPPeers along.",
    [
      'terway-edge manifests --part crds | kubectl apply -f -   # first',
      'terway-edge manifests --image registry.example/terway-edge:0.1.0 --edge-nodes alibabacloud.com/is-edge-worker=true \\',
      '    --pod-cidrs 10.0.0.0/8 --service-cidrs 172.21.0.0/20 --data-center-cidrs 172.16.0.0/16 | kubectl apply -f -',
      'terway-edge manifests --image registry.example/terway-edge:0.1.0 --edge-nodes edge=true --network network.yaml',
      'terway-edge manifests --part rbac --bgp-secret secret-a=edge-1,edge-2 secret-b=edge-7 | kubectl apply -f -',
      'terway-edge manifests --part admission | kubectl apply -f -   # Kubernetes 1.30 or newer',
      'terway-edge manifests --part ram-policy > policy.json   # rights in the cloud, for nodes of ECS and ENS',
    ],
  )
    .addOption(new Option('--part <part>', 'main is rbac and controller').choices(PARTS).default('main'))
    .option('--daemonset', 'also a DaemonSet for the nodes, in place of install on each', false)
    .option('--image <image>', 'the image that holds the executable')
    .option('--edge-nodes <selector>', 'which Nodes get a pod CIDR, for ever: a label selector, or all()')
    .option(
      '--network <file>',
      'the network.yaml of terway-edge plan: its ranges, where no option below says others; and the page shows the plan',
    )
    .option('--pod-cidrs <cidrs...>', 'the pools that pod CIDRs come from')
    .option('--pods-per-node <number>', 'gives the size of a pod CIDR (default: 128)')
    .option('--no-allocate', 'something else gives Nodes their pod CIDRs')
    .option('--service-cidrs <cidrs...>', 'the Service ranges of the cluster')
    .option('--vpc-cidrs <cidrs...>', 'the ranges of the cloud network')
    .option('--data-center-cidrs <cidrs...>', 'the ranges of the sites')
    .option('--replicas <number>', 'of the controller, one for each node that it may run on', readReplicas, 2)
    .option('--metrics-secret <name>', 'a Secret in kube-system whose key token asks for the metrics from elsewhere')
    .option('--no-disruption-budget', 'without a PodDisruptionBudget, which Kubernetes before 1.21 does not know')
    .option('--bgp-secret <name=nodes...>', "a Secret in kube-system and who may read it: its LAN's speakers", [])
    .option(
      '--cloud-secret <name>',
      'the Secret in kube-system that holds keys of the cloud, for the controller to read',
    )
  return runProgram<Options>(program, args, async options => {
    print(manifests(options))
    return 0
  })
}

/** The documents asked for, separated by `---`. */
function manifests(options: Options): string {
  const parts: Readonly<Record<Options['part'], () => readonly string[]>> = {
    crds: () => [bgpPeersCrd, routeSlicesCrd, eniNodesCrd, namespace],
    rbac: () => [namespace, rbac, ...readers(options)],
    controller: () => controller(options),
    daemonset: () => [daemonSet(options)],
    admission: () => [admission],
    'ram-policy': () => [JSON.stringify(ramPolicy(['ecs', 'vpc', 'ens']), null, 2)],
    main: () => [rbac, ...readers(options), ...controller(options), ...(options.daemonset ? [daemonSet(options)] : [])],
  }
  return parts[options.part]()
    .map(text => text.trimEnd())
    .join('\n---\n')
    .concat('\n')
}

function controller(given: Options): string[] {
  const plan = given.network === undefined ? undefined : readPlan(given.network)
  const options = { ...plan?.ranges, ...given }
  const { image, allocate, edgeNodes, podCidrs, replicas, metricsSecret, disruptionBudget } = options
  const missing: Problem[] = []
  if (image === undefined || !/^\S+$/.test(image))
    missing.push({ path: '--image', message: 'name the image that holds the executable' })
  if (allocate && edgeNodes === undefined) {
    const message = 'say which Nodes get a pod CIDR (a label selector, or all()), or --no-allocate'
    missing.push({ path: '--edge-nodes', message })
  }
  if (allocate && podCidrs === undefined)
    missing.push({ path: '--pod-cidrs', message: 'name the pools that pod CIDRs come from, or --no-allocate' })
  if (metricsSecret !== undefined && !NAME.test(metricsSecret))
    missing.push({ path: '--metrics-secret', message: `${JSON.stringify(metricsSecret)} is not the name of a Secret` })
  if (image === undefined || missing.length > 0) throw problemsError('the command line', missing)
  const config = controllerConfig(options)
  parseConfig(Bun.YAML.stringify(config), 'the command line')
  return controllerManifest({ image, replicas, edgeNodes, config, plan: plan?.text, metricsSecret, disruptionBudget })
}

/** A network.yaml as text, and what it says of ranges. */
function readPlan(file: string): { readonly text: string; readonly ranges: Partial<Options> } {
  const { text, network } = readNetworkFile(file)
  const { edge, serviceCIDRs, vpc, dataCenters } = network
  return {
    text,
    ranges: {
      podCidrs: edge.podCIDRs,
      podsPerNode: String(edge.podsPerNode),
      serviceCidrs: serviceCIDRs,
      vpcCidrs: vpc.cidrs,
      dataCenterCidrs: dataCenters.flatMap(({ cidrs }) => cidrs),
    },
  }
}

function daemonSet({ image, edgeNodes }: Options): string {
  const missing: Problem[] = []
  if (image === undefined || !/^\S+$/.test(image))
    missing.push({ path: '--image', message: 'name the image that holds the executable' })
  if (edgeNodes === undefined)
    missing.push({ path: '--edge-nodes', message: 'say which Nodes it runs on (a label selector, or all())' })
  if (image === undefined || missing.length > 0) throw problemsError('the command line', missing)
  parseConfig(Bun.YAML.stringify({ network: { edgeNodes } }), 'the command line')
  return nodeManifest({ image, edgeNodes })
}

function controllerConfig(options: Options) {
  const { edgeNodes, podCidrs, podsPerNode, serviceCidrs, vpcCidrs, dataCenterCidrs } = options
  const network = {
    ...(edgeNodes !== undefined && { edgeNodes }),
    ...(podCidrs !== undefined && { podCIDRs: podCidrs }),
    ...(podsPerNode !== undefined && { podsPerNode: Number(podsPerNode) }),
    ...(serviceCidrs !== undefined && { serviceCIDRs: serviceCidrs }),
    ...(vpcCidrs !== undefined && { vpcCIDRs: vpcCidrs }),
    ...(dataCenterCidrs !== undefined && { dataCenterCIDRs: dataCenterCidrs }),
  }
  return { allocatePodCIDRs: options.allocate, network }
}

/** RFC 1123 subdomain, as Kubernetes wants the names of Secrets and Nodes. */
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

function readReplicas(text: string): number {
  if (/^[1-3]$/.test(text)) return Number(text)
  throw new UserError(`--replicas ${text}: one leads and another stands by, so write 1, 2 or 3`, { exitStatus: 2 })
}

function readers(options: Options): readonly string[] {
  return [...options.bgpSecret.flatMap(secretReaders), ...cloudSecretReader(options)]
}

/** `NAME=NODE,NODE` as the Role and the RoleBinding that it means. */
function secretReaders(text: string): readonly string[] {
  const [secret = '', nodes] = text.split('=', 2)
  const fail = (what: string) => new UserError(`--bgp-secret ${text}: ${what}`, { exitStatus: 2 })
  if (!NAME.test(secret)) throw fail(`${JSON.stringify(secret)} is not the name of a Secret`)
  if (nodes === undefined || nodes === '')
    throw fail(`say who may read it, the speakers of its LAN: --bgp-secret ${secret}=node-1,node-2`)
  const names = nodes.split(',')
  const wrong = names.find(name => !NAME.test(name))
  if (wrong !== undefined) throw fail(`${JSON.stringify(wrong)} is not the name of a node`)
  return secretReaderObjects(secret, names).map(object => Bun.YAML.stringify(object, null, 2))
}

/** The right of the controller to read the keys of the cloud. */
function cloudSecretReader({ cloudSecret }: Options): readonly string[] {
  if (cloudSecret === undefined) return []
  if (!NAME.test(cloudSecret))
    throw new UserError(`--cloud-secret ${cloudSecret}: not the name of a Secret`, { exitStatus: 2 })
  return secretReaderObjects(cloudSecret, []).map(object => Bun.YAML.stringify(object, null, 2))
}
