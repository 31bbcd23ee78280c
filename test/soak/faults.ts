/**
 * What a long run does to a site: things that operators do, and that go wrong. Each is undone when
 * its promise resolves; whether the site is well then, and what packets it cost, is looked at by
 * who draws them.
 */
import type { BGPPeerObject } from '../../src/kube/bgp-peer.ts'
import { BGP_PEERS, type KubeObject, NODES } from '../../src/kube/resources.ts'
import { bgpPeerObject } from '../../src/lab/cluster-objects.ts'
import type { LanPlan } from '../../src/lab/plan.ts'
import { binFolder, networkConfig, pluginCalls } from '../../src/lab/pods.ts'
import { run } from '../support/namespaces.ts'
import type { Flow, Site } from './site.ts'

/** Numbers in [0, 1), by a seed. */
export type Chance = () => number

export interface Fault {
  readonly name: string
  /** What packets it may cost; all others must arrive. */
  readonly mayCost: (flow: Flow) => boolean
  readonly happen: (site: Site, chance: Chance) => Promise<void>
}

const nothing = () => false

function oneOf<T>(values: readonly T[], chance: Chance): T {
  const value = values[Math.floor(chance() * values.length)]
  if (value === undefined) throw new Error('nothing to choose from')
  return value
}

/** Nodes whose processes are killed; the others live through the whole run: they tell of memory. */
function mortals(site: Site): readonly string[] {
  return site.plan.lans.map(({ nodes }) => nodes.at(-1)?.name ?? '')
}

/** Both LANs' BGPPeers as they are, changed and put back. */
async function whilePeerHas(site: Site, lan: LanPlan, spec: object, seconds: number): Promise<void> {
  const before = await site.api.get<BGPPeerObject>(BGP_PEERS, lan.bgpPeer)
  const former = Object.fromEntries(Object.keys(spec).map(key => [key, Reflect.get(before?.spec ?? {}, key) ?? null]))
  await site.api.mergePatch(BGP_PEERS, lan.bgpPeer, { spec })
  try {
    await Bun.sleep(seconds * 1000)
  } finally {
    await site.api.mergePatch(BGP_PEERS, lan.bgpPeer, { spec: former })
  }
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'a node process is killed',
    mayCost: nothing,
    happen: (site, chance) => {
      const name = oneOf(mortals(site), chance)
      return site.restart(name, name, 100 + chance() * 3000)
    },
  },
  {
    name: 'a node process hangs for a while',
    mayCost: nothing,
    happen: async (site, chance) => {
      const name = oneOf(mortals(site), chance)
      site.signal(name, 'SIGSTOP')
      await Bun.sleep(1000 + chance() * 7000)
      site.signal(name, 'SIGCONT')
    },
  },
  {
    name: 'the API server is killed',
    mayCost: nothing,
    happen: (site, chance) => site.restart('api', site.plan.vpc.name, 100 + chance() * 8000),
  },
  {
    name: 'the API server hangs',
    mayCost: nothing,
    happen: async (site, chance) => {
      site.signal('api', 'SIGSTOP')
      await Bun.sleep(2000 + chance() * 12_000)
      site.signal('api', 'SIGCONT')
    },
  },
  {
    name: 'the controller hangs',
    mayCost: nothing,
    happen: async (site, chance) => {
      site.signal('controller', 'SIGSTOP')
      await Bun.sleep(1000 + chance() * 8000)
      site.signal('controller', 'SIGCONT')
    },
  },
  {
    name: 'routes of a node are deleted by hand',
    mayCost: nothing, // its gateway, the switch, knows the way too
    happen: async (site, chance) => {
      const { name } = oneOf(
        site.plan.lans.flatMap(({ nodes }) => nodes),
        chance,
      )
      const others = site
        .ip(name, 'route show proto 187')
        .split('\n')
        .filter(line => / via /.test(line))
      for (const line of others)
        run(['ip', '-n', site.namespace(name), 'route', 'del', line.split(' ')[0] ?? ''], { mayFail: true })
    },
  },
  {
    name: 'a Node comes, is drained and goes',
    mayCost: nothing,
    happen: async (site, chance) => {
      const lan = oneOf(site.plan.lans, chance)
      const name = `guest-${Math.floor(chance() * 1000)}`
      const template = await site.api.get<KubeObject>(NODES, lan.nodes[0]?.name ?? '')
      const labels = { ...template?.metadata.labels, 'kubernetes.io/hostname': name }
      await site.api.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } })
      const own = [
        lan.cidr.replace(/0\/24$/, '99'),
        ...(lan.cidr6 === undefined ? [] : [lan.cidr6.replace(/\/64$/, '99')]),
      ]
      const addresses = own.map(address => ({ type: 'InternalIP', address }))
      await site.api.mergePatch(NODES, name, { status: { addresses } }, { subresource: 'status' })
      await Bun.sleep(1000 + chance() * 4000)
      // else several of them count as a mass removal
      await site.api.mergePatch(NODES, name, { spec: { unschedulable: true } })
      await Bun.sleep(1000)
      await site.api.delete(NODES, name)
    },
  },
  {
    name: 'a speaker less',
    mayCost: nothing,
    happen: (site, chance) => {
      const lan = oneOf(site.plan.lans, chance)
      return whilePeerHas(site, lan, { localSpeakers: [oneOf(lan.speakers, chance).name] }, 1 + chance() * 4)
    },
  },
  {
    name: 'a community is announced for a while',
    mayCost: nothing,
    happen: (site, chance) =>
      whilePeerHas(site, oneOf(site.plan.lans, chance), { communities: ['65001:100'] }, 1 + chance() * 4),
  },
  {
    name: 'a BGPPeer is deleted and applied again',
    mayCost: () => true, // an operator took it away
    happen: async (site, chance) => {
      const lan = oneOf(site.plan.lans, chance)
      await site.api.delete(BGP_PEERS, lan.bgpPeer)
      await Bun.sleep(chance() * 3000)
      const options = { fieldManager: 'terway-edge-lab', force: true }
      await site.api.apply(BGP_PEERS, bgpPeerObject(site.plan, lan), options)
    },
  },
  {
    name: "a node's cable is pulled and put back",
    mayCost: () => true, // what goes by way of it, and its switch while it learns
    happen: async (site, chance) => {
      const lan = oneOf(site.plan.lans, chance)
      const { port } = oneOf(lan.nodes, chance)
      site.ip(lan.switch.name, `link set ${port} down`)
      await Bun.sleep(500 + chance() * 4000)
      site.ip(lan.switch.name, `link set ${port} up`)
    },
  },
  {
    name: 'pods start and stop',
    mayCost: nothing,
    happen: async (site, chance) => {
      const node = oneOf(
        site.plan.lans.flatMap(({ nodes }) => nodes),
        chance,
      )
      const conflist = networkConfig(site.plan.directory, node) ?? ''
      const [call] = pluginCalls(conflist)
      if (call === undefined) throw new Error(`${node.name} has no CNI configuration`)
      const namespaces = Array.from({ length: 3 }, (_, index) => `${site.plan.prefix}-soak-${index}`)
      try {
        for (const namespace of namespaces) run(['ip', 'netns', 'add', namespace])
        for (const command of ['ADD', 'DEL']) {
          for (const namespace of namespaces) {
            const environment = [
              `CNI_COMMAND=${command}`,
              `CNI_CONTAINERID=${namespace}`,
              `CNI_NETNS=/run/netns/${namespace}`,
              'CNI_IFNAME=eth0',
              `CNI_PATH=${binFolder(site.plan.directory, node)}`,
            ]
            const plugin = `${binFolder(site.plan.directory, node)}/${call.type}`
            run(['ip', 'netns', 'exec', node.namespace, 'env', ...environment, plugin], { stdin: call.stdin })
          }
        }
      } finally {
        for (const namespace of namespaces) run(['ip', 'netns', 'del', namespace], { mayFail: true })
      }
    },
  },
]

/** The faults of a run in order: each deck of all of them is shuffled anew, for ever. */
export function* drawn(chance: Chance): Generator<Fault, never> {
  for (;;) {
    const deck = FAULTS.map(fault => ({ fault, at: chance() })).sort((a, b) => a.at - b.at)
    for (const { fault } of deck) yield fault
  }
}
