/**
 * A node whose pods sit on elastic network interfaces, as a process: from its state folder with
 * nobody else there, over reboots; and beside a real API server, what it says of its addresses and
 * when, how an address leaves, and how its mode changes or does not.
 */
import { afterEach, expect } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { BY_EVENT_SECONDS, eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { CloudNetwork, type CloudNode, type CloudPod } from './cloud-network.ts'
import { eniNodeOf, NodeProcess } from './node-process.ts'

const testVpc = testNeeding('root', 'ip', 'nft', 'ping')
const testCluster = testNeeding('root', 'ip', 'nft', 'ping', 'KUBEBUILDER_ASSETS')

let cloud: CloudNetwork
let processes: NodeProcess[] = []
let api: TestApiServer | undefined
afterEach(async () => {
  for (const one of processes) await one.stop('SIGKILL')
  processes = []
  await api?.close()
  api = undefined
  await cloud.close()
})

function run(node: CloudNode, options: ConstructorParameters<typeof NodeProcess>[1] = {}): NodeProcess {
  const started = new NodeProcess(node, options)
  processes.push(started)
  return started
}

/**
 * The machine starts anew: nothing of pods, rules, tables and of nftables is left, the interfaces
 * are as they were born.
 */
function reboot(node: CloudNode): void {
  for (const name of node.hostLinks()) node.network.ip(node.namespace, `link del ${name}`)
  const script = `for family in -4 -6; do
    ip $family rule | grep -E '^(512|600|2048):' | cut -d: -f1 | while read pref; do ip $family rule del pref $pref; done
    for table in 512 600 1003 1004; do ip $family route flush table $table 2>/dev/null; done
  done
  ip link set eth1 down; ip link set eth2 down; nft flush ruleset; true`
  node.run('sh', '-c', script)
  const file = join(node.stateDir, 'cni/attachments.json')
  const json = JSON.parse(readFileSync(file, 'utf8'))
  // as the kernel's own would be another one
  for (const record of json.records) record.bootId = 'a boot before'
  writeFileSync(file, JSON.stringify(json))
}

/** The host's ends of pods are damaged, one way after the other: they are whole again. */
async function repaired(node: CloudNode, unreachable: () => Promise<string[]>): Promise<void> {
  for (const name of node.hostLinks()) {
    const ip = (words: string) => node.network.ip(node.namespace, words)
    const settings = ['sysctl', '-qw', `net.ipv4.conf.${name}.forwarding=0`]
    for (const damage of [
      () => ip(`link set ${name} down`),
      () => ip(`addr del fe80::1/64 dev ${name}`),
      () => node.network.exec(node.namespace, settings).stdout,
    ]) {
      damage()
      await eventually(`repaired: ${damage}`, async () => (await unreachable()).length === 0, BY_EVENT_SECONDS)
    }
    const group = () => ip(`link show ${name}`).includes('group 29797')
    ip(`link set ${name} group default`)
    await eventually('in its group', group, BY_EVENT_SECONDS)
  }
}

testVpc(
  'with nobody there, pods start from the warm pool and stop, over reboots, with or without the process',
  async () => {
    cloud = new CloudNetwork()
    const { node1: node, node2 } = cloud
    node2.writePool()
    const far = await node2.startPod('far')
    const { metadata, spec, status } = eniNodeOf(node)
    writeFileSync(join(node.stateDir, 'eni-node.json'), JSON.stringify({ metadata, spec, status }))
    const first = run(node)
    const { node: shown, problems } = await first.untilReady()
    expect(problems).toEqual([])
    expect(shown).toMatchObject({
      mode: 'eni-ecs',
      interfaces: [
        { id: 'eni-node-1-1', link: 'eth1', addresses: 4, inUse: 0 },
        { id: 'eni-node-1-2', link: 'eth2', addresses: 2, inUse: 0 },
      ],
    })
    expect(JSON.parse(readFileSync(first.conflist, 'utf8')).plugins[0]).toMatchObject({ addressSource: 'interfaces' })
    const held: string[] = []
    for (const round of [1, 2, 3]) {
      if (round === 2) await first.stop() // its pods go on, and new ones start
      if (round === 3) {
        reboot(node)
        run(node) // and the process starts late
      }
      const pods: CloudPod[] = []
      for (const name of ['a', 'b', 'c']) {
        const pod = await node.startPod(`${name}${round}`)
        pods.push(pod)
        held.push(pod.address)
      }
      expect(new Set(pods.map(({ address }) => address)).size).toBe(3)
      expect(await cloud.unreachable([...pods, far])).toEqual([])
      if (round === 1) await repaired(node, () => cloud.unreachable([...pods, far]))
      if (round === 1) expect((await node.stopPod('a1')).status).toBe(0)
      if (round === 1) expect(await cloud.unreachable([...pods.slice(1), far])).toEqual([])
      for (const { containerId } of pods) if (round !== 2) expect((await node.stopPod(containerId)).status).toBe(0)
    }
    expect(cloud.vpc.spoofed()).toBe(0)
  },
  300_000,
)

testCluster(
  'it says who waits and what may leave, and nothing of starts and stops within the pool',
  async () => {
    cloud = new CloudNetwork()
    const { node1: node } = cloud
    api = await TestApiServer.start({ namespace: node.namespace })
    const server = api
    const wanted = eniNodeOf(node)
    const patch = (status: object) => {
      server.kubectl([
        'patch',
        'eninode',
        node.name,
        '--subresource=status',
        '--type=merge',
        '-p',
        JSON.stringify({ status }),
      ])
    }
    server.applyYaml(JSON.stringify({ ...wanted, status: undefined }))
    patch({ ...wanted.status, interfaces: [], node: undefined })
    const get = () => JSON.parse(server.kubectl(['get', 'eninode', node.name, '-o', 'json']).stdout)
    const first = run(node, { kubeconfig: server.kubeconfig })
    await eventually('it has spoken', () => get().status.node?.inUse === 0)
    const pod = node.pod('early')
    expect((await node.addPod('early', pod.path)).json.code).toBe(11)
    await eventually('somebody waits', () => get().status.node.waiting === 1)

    const [eni, other] = wanted.status.interfaces
    if (eni === undefined || other === undefined) throw new Error('two interfaces')
    patch({ interfaces: [eni, other] })
    await eventually('the addresses are handed on', async () => (await node.addPod('early', pod.path)).status === 0)
    await eventually('nobody waits', () => get().status.node.waiting === 0)
    expect(get().status.node).toMatchObject({ inUse: 1, released: [], left: false })

    const version = get().metadata.resourceVersion
    for (const name of ['x', 'y']) {
      await node.startPod(name)
      expect((await node.stopPod(name)).status).toBe(0)
    }
    await Bun.sleep(2500)
    expect(get().metadata.resourceVersion).toBe(version)

    // an address leaves once no pod has it, and no pod gets it meanwhile
    const early = (await node.records())[0].addresses[0]
    const leaving = [...eni.addresses]
    patch({ interfaces: [{ ...eni, addresses: [], releasing: leaving }, other] })
    await eventually('what is idle is released', () => get().status.node.released.length === leaving.length - 2)
    expect(get().status.node.released).not.toContain(early)
    expect((await node.startPod('z')).address).toBe('192.168.32.20')
    await node.stopPod('early')
    await eventually('all of it is released', () => get().status.node.released.includes(early))

    // without the server: nothing is released, whatever it said last; and what waited to be said is
    // said
    await server.stopApiServer()
    await node.stopPod('z')
    expect((await node.startPod('z2')).address).toBe('192.168.32.20')
    expect((await node.addPod('late', node.pod('late').path)).json.code).toBe(11)
    await server.startApiServer()
    await eventually('it is said late', () => get().status.node.waiting === 1, 60)
    expect(first.snapshot().problems).toEqual([])
  },
  300_000,
)

testCluster(
  'the mode changes with the ENINode, never under pods, and a contradiction is refused',
  async () => {
    cloud = new CloudNetwork()
    const { node2: node } = cloud
    api = await TestApiServer.start({ namespace: node.namespace })
    const server = api
    const events = () =>
      JSON.parse(server.kubectl(['get', 'events', '-A', '-o', 'json']).stdout).items.map(
        ({ reason }: { reason: string }) => reason,
      )
    const entries = [{ node: node.name, addresses: [node.address], podCIDRs: ['10.9.0.0/24'], peers: [] }]
    const slice = {
      apiVersion: 'network.openyurt.io/v1alpha1',
      kind: 'RouteSlice',
      metadata: { name: 'routes-1' },
      entries,
    }
    server.applyYaml(JSON.stringify(slice))
    const process = run(node, { kubeconfig: server.kubeconfig })
    await eventually('route mode', () => process.snapshot().ready && process.snapshot().node?.mode === 'route')
    const pod = node.pod('routed')
    node.podCIDRs = ['10.9.0.0/24']
    expect((await node.add('routed', pod.path)).status).toBe(0)

    const wanted = eniNodeOf(node, 'ens')
    server.applyYaml(JSON.stringify({ ...wanted, status: undefined }))
    server.kubectl([
      'patch',
      'eninode',
      node.name,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status: wanted.status }),
    ])
    await eventually('the change is refused', () =>
      process.snapshot().problems.some(text => text.includes('the mode stays route and does not become eni-ens')),
    )
    await eventually('an Event says so', () => events().includes('ModeChangeRefused'))
    expect((await node.call({ command: 'DEL', containerId: 'routed' })).status).toBe(0)
    await eventually('the mode changes', () => process.snapshot().node?.mode === 'eni-ens')
    await process.untilReady()
    await node.startPod('on-eni')
    await process.stop()

    const pinned = run(node, { kubeconfig: server.kubeconfig, config: { mode: 'eni-ecs' } })
    await eventually('the contradiction is told', () =>
      pinned.snapshot().problems.some(text => text.includes('says mode: eni-ecs, the controller decided eni-ens')),
    )
    await eventually('an Event says so', () => events().includes('ModeContradiction'))
    expect(pinned.snapshot().node?.mode).toBe('eni-ens') // its pods are served as before
  },
  300_000,
)
