/**
 * `terway-edge switch-config`: the switch's side of a BGPPeer, in a vendor's words; `--verify`
 * compares a running configuration with it. Reads the BGPPeer from a cluster or a file; what to say
 * is decided in src/planner/vendors. Exit status 3: `--verify` found differences.
 */
import { readFileSync } from 'node:fs'
import { Option } from 'commander'
import type { Config } from '../config/schema.ts'
import { decodePassword, PASSWORD_NAMESPACE } from '../kube/bgp-password.ts'
import type { BGPPeer, BGPPeerObject } from '../kube/bgp-peer.ts'
import { withReadableStatus } from '../kube/bgp-peer-status.ts'
import { decodeBGPPeer } from '../kube/decode-bgp-peer.ts'
import { BGP_PEERS, type KubeSecret, SECRETS } from '../kube/resources.ts'
import { problemsError, UserError } from '../lib/errors.ts'
import { canonicalAddress } from '../lib/ip.ts'
import { print } from '../lib/stdout.ts'
import { formatTable } from '../lib/table.ts'
import { parseYamlDocuments } from '../lib/yaml.ts'
import { compareSwitch, type Difference } from '../planner/vendors/facts.ts'
import {
  type Gathered,
  isIpv6Only,
  isPlainWord,
  maximumPrefixesOf,
  poolsOf,
  speakersOf,
} from '../planner/vendors/gather.ts'
import { intentOf, type SwitchIntent } from '../planner/vendors/intent.ts'
import { switchConfigText, type Vendor } from '../planner/vendors/vendor.ts'
import { VENDORS } from '../planner/vendors/vendors.ts'
import { readNetworkFile } from './network-file.ts'
import { clusterNodes, controllerNetwork, withCluster } from './observe-cluster.ts'
import { createProgram, runProgram } from './program.ts'
import { printJson } from './show.ts'

const DIFFERENCES_FOUND = 3
interface Options {
  readonly vendor?: string
  readonly file?: string
  readonly kubeconfig?: string
  readonly network?: string
  readonly pods?: string[]
  readonly podsPerNode?: string
  readonly speaker?: string[]
  readonly maximumPrefix?: string
  readonly password?: boolean
  readonly passwordFile?: string
  readonly verify?: string
  readonly list?: boolean
  readonly output?: 'json'
}

export function switchConfigCommand(args: string[]): Promise<number> {
  const program = createProgram(
    'switch-config',
    "Prints the switch's side of a BGPPeer in a vendor's words: neighbours, graceful restart, filters, limits, how to look and how to take it back. With --verify it reads a running configuration and says what is missing or differs (exit status 3).",
    [
      'terway-edge switch-config --list',
      'terway-edge switch-config peer --vendor frr --kubeconfig ~/.kube/config',
      'terway-edge switch-config --file bgppeer.yaml --network network.yaml --speaker node-1=172.16.0.11 node-2=172.16.0.12 --vendor cisco-ios-xe',
      "ssh switch 'show running-config' | terway-edge switch-config peer --vendor arista-eos --verify -",
    ],
  )
    .argument('[peer]', 'the name of the BGPPeer (with --file: where it holds several)')
    .addOption(new Option('--vendor <name>', 'whose words').choices(VENDORS.map(({ name }) => name)))
    .option('--list', 'list the vendors, and how each output was tested')
    .option('--file <file>', 'read the BGPPeer from this file instead of a cluster')
    .option('--kubeconfig <file>', 'how to reach the API server (default: in-cluster)')
    .option('--network <file>', 'the network.yaml of terway-edge plan: pools, pods per node, limits')
    .option('--pods <cidrs...>', 'the pools, instead of those of --network or the cluster')
    .option('--pods-per-node <number>', 'gives the mask of the blocks (default: of --network or the cluster, else 128)')
    .option('--speaker <node=address...>', 'the address of a speaker, where no cluster says it')
    .option(
      '--maximum-prefix <number>',
      'the limit of prefixes (default: what is planned for five years and a quarter more)',
    )
    .option('--password', 'print the password of the Secret (default: a placeholder)')
    .option('--password-file <file>', 'print the password that this file holds')
    .option('--verify <file>', "read the switch's running configuration (-: stdin) and compare")
    .option('-o, --output <format>', 'json', text => {
      if (text === 'json') return text
      throw new UserError(`-o ${text}: there is json; leave it out for text`, { exitStatus: 2 })
    })
  return runProgram<Options>(program, args, async (options, [name]) => {
    if (options.list === true) return list()
    const vendor = vendorOf(options.vendor)
    const intent =
      options.file === undefined ? await liveIntent(name, options) : fileIntent(name, options.file, options)
    if (options.verify !== undefined)
      return await verify(vendor, intent, { file: options.verify, output: options.output })
    if (options.output === 'json') printJson({ vendor: vendor.name, intent, text: switchConfigText(vendor, intent) })
    else print(switchConfigText(vendor, intent))
    return 0
  })
}

function list(): number {
  const rows = VENDORS.map(({ name, title, ranWith, read }) => [
    name,
    title,
    ranWith ?? 'not run on a device',
    read === undefined ? 'no' : 'yes',
  ])
  print(formatTable([{ title: 'VENDOR' }, { title: 'FOR' }, { title: 'TESTED WITH' }, { title: '--VERIFY' }], rows))
  return 0
}

function vendorOf(name: string | undefined): Vendor {
  const vendor = VENDORS.find(one => one.name === name)
  if (vendor !== undefined) return vendor
  const names = VENDORS.map(one => one.name).join(', ')
  throw new UserError(`--vendor: choose one of ${names}`, { exitStatus: 2 })
}

function fileIntent(name: string | undefined, file: string, options: Options): SwitchIntent {
  const documents = parseYamlDocuments(readText(file), file)
  const peers = documents
    .filter(document => kindOf(document) === BGP_PEERS.kind)
    .map(document => decoded(document, file))
  const found = name === undefined ? peers : peers.filter(peer => peer.name === name)
  const [peer] = found
  if (peer === undefined || found.length > 1) {
    const there =
      peers.length === 0 ? 'no BGPPeer' : `the BGPPeers ${peers.map(one => one.name).join(', ')}: name one of them`
    throw new UserError(`${file} holds ${there}`, { exitStatus: 2 })
  }
  const secrets = documents.filter(document => kindOf(document) === 'Secret') as KubeSecret[]
  const reference = peer.spec.authPassword?.secretKeyRef
  const secret = secrets.find(({ metadata }) => metadata.name === reference?.name)
  return complete({ peer, named: namedSpeakers(options) }, options, { secret })
}

function kindOf(document: unknown): unknown {
  return typeof document === 'object' && document !== null && 'kind' in document ? document.kind : undefined
}

function decoded(object: unknown, where: string): BGPPeer {
  const result = decodeBGPPeer(object)
  if ('problems' in result) throw problemsError(where, result.problems)
  return result.peer
}

async function liveIntent(name: string | undefined, options: Options): Promise<SwitchIntent> {
  if (name === undefined)
    throw new UserError('name the BGPPeer (kubectl get bgppeers), or give --file', { exitStatus: 2 })
  return await withCluster(options.kubeconfig, async api => {
    const object = await api.get<BGPPeerObject>(BGP_PEERS, name)
    if (object === undefined) throw new UserError(`there is no BGPPeer ${name} (kubectl get bgppeers lists them)`)
    const peer = decoded(object, `BGPPeer ${name}`)
    const selected = withReadableStatus(object).status?.selectedNodes
    const nodes = await clusterNodes(api)
    const live = await controllerNetwork(api)
    const reference = peer.spec.authPassword?.secretKeyRef
    const secret =
      options.password === true && reference !== undefined
        ? await api.get<KubeSecret>(SECRETS, reference.name, PASSWORD_NAMESPACE)
        : undefined
    const gathered = { peer, named: namedSpeakers(options), nodes, ...(selected !== undefined && { selected }) }
    return complete(gathered, options, { secret, ...(live !== undefined && { live }) })
  })
}

function namedSpeakers({ speaker = [] }: Options): ReadonlyMap<string, string> {
  return new Map(
    speaker.map(text => {
      const [node = '', address = ''] = text.split('=', 2)
      const canonical = canonicalAddress(address)
      if (node !== '' && canonical !== undefined) return [node, canonical]
      throw new UserError(`--speaker ${text}: write NODE=ADDRESS`, { exitStatus: 2 })
    }),
  )
}

interface Sources {
  readonly secret: KubeSecret | undefined
  /** Of the controller's configuration. */
  readonly live?: Config['network']
}

/** Fills in pools, limits and the password. Throws a `UserError` that says what is missing. */
function complete(known: Gathered, options: Options, { secret, live }: Sources): SwitchIntent {
  const network = options.network === undefined ? undefined : readNetworkFile(options.network).network
  const gathered: Gathered = {
    ...known,
    ...(network !== undefined && { network }),
    ...(options.maximumPrefix !== undefined && { maximumPrefixes: number('--maximum-prefix', options.maximumPrefix) }),
  }
  const found = speakersOf(gathered)
  if ('problem' in found) throw new UserError(found.problem, { exitStatus: 2 })
  const pools = poolsOf({
    ...(options.pods !== undefined && { pods: options.pods }),
    ...(options.podsPerNode !== undefined && { podsPerNode: number('--pods-per-node', options.podsPerNode) }),
    network,
    live,
  })
  if ('problem' in pools) throw new UserError(pools.problem, { exitStatus: 2 })
  const password = passwordOf(known.peer, options, secret)
  return intentOf({
    peer: known.peer,
    speakers: found.speakers,
    ...pools,
    maximumPrefixes: maximumPrefixesOf(gathered),
    ipv6Only: isIpv6Only(gathered),
    ...(password !== undefined && { password }),
  })
}

function passwordOf(peer: BGPPeer, options: Options, secret: KubeSecret | undefined): string | undefined {
  const reference = peer.spec.authPassword?.secretKeyRef
  if (reference === undefined) return undefined
  if (options.passwordFile !== undefined) return plain(readText(options.passwordFile).replace(/\r?\n$/, ''))
  if (options.password !== true) return undefined
  const result = decodePassword(secret, reference)
  if ('problem' in result) throw new UserError(result.problem)
  return plain(result.password.reveal())
}

function plain(password: string): string {
  if (isPlainWord(password)) return password
  throw new UserError(
    'the password has characters that a switch may read as something else; leave --password away and put it in by hand',
  )
}

async function verify(
  vendor: Vendor,
  intent: SwitchIntent,
  { file, output }: { file: string; output: 'json' | undefined },
): Promise<number> {
  if (vendor.read === undefined) {
    const can = VENDORS.filter(({ read }) => read !== undefined).map(({ name }) => name)
    throw new UserError(`--verify reads ${can.join(', ')}, not ${vendor.name}`, { exitStatus: 2 })
  }
  const text = file === '-' ? await Bun.stdin.text() : readText(file)
  const differences = compareSwitch(intent, vendor.read(text))
  if (output === 'json') printJson({ ok: differences.length === 0, differences })
  else print(differencesText(intent, differences))
  return differences.length === 0 ? 0 : DIFFERENCES_FOUND
}

function differencesText({ bgpPeer }: SwitchIntent, differences: readonly Difference[]): string {
  if (differences.length === 0) return `The switch is configured for BGPPeer ${bgpPeer}.\n`
  return formatTable(
    [{ title: 'WHERE' }, { title: 'IS' }, { title: 'WHAT' }],
    differences.map(({ where, kind, what }) => [where, kind, what]),
  )
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`cannot read ${file}`, { exitStatus: 2, cause })
  }
}

function number(flag: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UserError(`${flag} ${text}: write a number`, { exitStatus: 2 })
}
