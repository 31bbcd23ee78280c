/**
 * A first `network.yaml` from a few answers: complete, commented, and such that a plan of it has no
 * problems where the answers have none. Pure.
 */
import { blockSize, prefixAt } from '../lib/address-range.ts'
import { canonicalAddress, familyOf, parsePrefix, prefixOf, prefixRange } from '../lib/ip.ts'

export interface Answers {
  readonly vpc: string
  readonly service: string
  readonly pods: string
  readonly podsPerNode: number
  readonly dataCenter: string
  readonly lan: string
  readonly gateway: string
  readonly nodes: number
  readonly growth: string
  readonly localAs: number
  readonly switchAs: number
  readonly join: Join
}

/** How the data center is joined to the VPC. */
export const JOINS = ['express-connect', 'express-connect-ecr', 'vpn'] as const
export type Join = (typeof JOINS)[number]

/** A question of `plan init`, its default, and what is wrong with an answer. */
export interface Question {
  readonly key: keyof Answers
  readonly text: string
  /** May depend on what was answered before. */
  readonly fallback: (sofar: Partial<Record<keyof Answers, string>>) => string
  readonly problem: (answer: string) => string | undefined
}

const isCidr = (text: string) =>
  parsePrefix(text) === undefined ? 'write it as address/length, such as 10.0.0.0/8' : undefined
const isAddress = (text: string) => (canonicalAddress(text) === undefined ? 'write an address' : undefined)
const isNumber = (text: string) => (/^\d{1,10}$/.test(text) && Number(text) > 0 ? undefined : 'write a number')

function cidrQuestion(key: keyof Answers, text: string, fallback: string): Question {
  return { key, text, fallback: () => fallback, problem: isCidr }
}

export const QUESTIONS: readonly Question[] = [
  cidrQuestion('vpc', 'CIDR block of the VPC', '192.168.0.0/16'),
  cidrQuestion('service', 'Service CIDR of the cluster', '172.21.0.0/20'),
  cidrQuestion('pods', 'CIDR block for pods at the edge', '10.0.0.0/8'),
  { key: 'podsPerNode', text: 'pods per edge node', fallback: () => '128', problem: isNumber },
  cidrQuestion('dataCenter', 'CIDR block of the data center', '172.16.0.0/16'),
  {
    key: 'lan',
    text: 'CIDR block of the hosts of its first LAN',
    fallback: ({ dataCenter }) => firstLan(dataCenter),
    problem: isCidr,
  },
  {
    key: 'gateway',
    text: 'address of the switch on that LAN',
    fallback: ({ lan }) => (lan === undefined || isCidr(lan) !== undefined ? '172.16.0.1' : hostAt(lan, 1n)),
    problem: isAddress,
  },
  { key: 'nodes', text: 'edge nodes in that LAN', fallback: () => '10', problem: isNumber },
  {
    key: 'growth',
    text: 'more nodes each year (a number, or a share such as 15%)',
    fallback: () => '5',
    problem: text => (/^\d+(\.\d+)?%?$/.test(text) ? undefined : 'write a number, or a share such as 15%'),
  },
  { key: 'localAs', text: "AS number of the LAN's nodes", fallback: () => '65010', problem: isNumber },
  { key: 'switchAs', text: 'AS number of the switch', fallback: () => '65001', problem: isNumber },
  {
    key: 'join',
    text: `how the data center reaches the VPC (${JOINS.join(', ')})`,
    fallback: () => JOINS[0],
    problem: text => (JOINS.some(join => join === text) ? undefined : `choose one of ${JOINS.join(', ')}`),
  },
]

/** The answers from their texts, which were checked with the questions. */
export function answersOf(texts: Readonly<Record<keyof Answers, string>>): Answers {
  return {
    ...texts,
    podsPerNode: Number(texts.podsPerNode),
    nodes: Number(texts.nodes),
    localAs: Number(texts.localAs),
    switchAs: Number(texts.switchAs),
    join: JOINS.find(join => join === texts.join) ?? JOINS[0],
  }
}

function firstLan(dataCenter: string | undefined): string {
  if (dataCenter === undefined || isCidr(dataCenter) !== undefined) return '172.16.0.0/24'
  const { family, length } = prefixOf(dataCenter)
  const longer = Math.max(length, family === 'ipv4' ? 24 : 64)
  return prefixAt(family, prefixRange(dataCenter).first, longer)
}

function hostAt(cidr: string, offset: bigint): string {
  const { family, first } = prefixRange(cidr)
  const at = prefixAt(family, first + offset, family === 'ipv4' ? 32 : 128)
  return at.slice(0, at.indexOf('/'))
}

/**
 * Three equal parts of the lower half for nodes and three of the upper half for pods, in three
 * zones.
 */
function vSwitchLines(vpc: string, half: 'node' | 'pod'): readonly string[] {
  const { family, length, first } = prefixRange(vpc)
  const longer = Math.min(length + 3, family === 'ipv4' ? 32 : 128)
  const size = blockSize(family, longer)
  return ['a', 'b', 'c'].map((zone, index) => {
    const cidr = prefixAt(family, first + size * BigInt(index + (half === 'node' ? 0 : 4)), longer)
    return `    - {name: ${half}s-${zone}, zone: zone-${zone}, cidr: ${cidr}}`
  })
}

const PATHS: Readonly<Record<Join, readonly string[]>> = {
  'express-connect': [
    '      - {kind: gateway, name: gateway-1}  # address: to the LANs; cloudAddress: on the circuit',
    '      - {kind: vbr, name: vbr-1}          # address: its side of the circuit',
    '      - {kind: transit-router, name: tr-1}  # of the CEN instance',
  ],
  'express-connect-ecr': [
    '      - {kind: gateway, name: gateway-1}  # address: to the LANs; cloudAddress: on the circuit',
    '      - {kind: vbr, name: vbr-1}          # address: its side of the circuit',
    '      - {kind: ecr, name: ecr-1}',
    '      - {kind: transit-router, name: tr-1}  # of the CEN instance',
  ],
  vpn: [
    '      - {kind: gateway, name: gateway-1}  # address: to the LANs; cloudAddress: of the VPN',
    '      - {kind: vpn-gateway, name: vpn-1}',
  ],
}

/** The text of the file. */
export function networkTemplate(answers: Answers): string {
  const { vpc, service, pods, podsPerNode, dataCenter, lan, gateway, nodes, growth, localAs, switchAs, join } = answers
  const speakers = Array.from({ length: Math.min(3, nodes) }, (_, index) => `node-${index + 1}`)
  return `# The network of a site, for terway-edge plan. Unknown keys are errors.

vpc:
  cidrs: [${vpc}]
  nodeVSwitches:            # nodes in the cloud: at least three, each in a zone of its own
${vSwitchLines(vpc, 'node').join('\n')}
  podVSwitches:             # their pods: one in every zone; may be the same as the node vSwitches
${vSwitchLines(vpc, 'pod').join('\n')}
  # pods: 500               # expected in the cloud

serviceCIDRs: [${service}]   # cannot be changed later

edge:
  podCIDRs: [${pods}]        # pools for edge nodes; more can be appended later
  podsPerNode: ${podsPerNode}           # gives each node's mask

dataCenters:
  - name: dc-1
    cidrs: [${dataCenter}]   # all its hosts
    path:                   # from the LANs to the VPC, in order
${PATHS[join].join('\n')}
    lans:
      - name: lan-a
        hostCIDRs: [${lan}]
        # gateway: ${gateway}   # the hosts' default gateway, where it is not the first switch
        switches:           # one BGPPeer each; maximumRoutes: what its table holds
          - {address: ${quoted(gateway)}, asNumber: ${switchAs}}
        localAsNumber: ${localAs}
        speakers: [${speakers.join(', ')}]
        nodes: ${nodes}
        growthPerYear: ${growth}     # nodes, or a share such as 15%

otherNetworks: []           # what else hosts reach: {name: branch, cidrs: [10.200.0.0/16]}
# apiServer: 192.168.0.10   # addresses that nodes cannot do without
nameServers: []
`
}

/** IPv6 addresses have colons. */
function quoted(address: string): string {
  return familyOf(address) === 'ipv6' ? `"${address}"` : address
}
