/**
 * In a chain with the plugins of the CNI project, as runtimes call them: what they need of our
 * result is in it.
 */
import { afterEach, expect } from 'bun:test'
import { testNeeding } from '../support/requires.ts'
import { CniNode, type Json } from './cni-node.ts'

const FOLDER = '/usr/lib/cni'

/** A test that needs root, plugins of Debian's containernetworking-plugins, and programs. */
function testWith(
  plugins: readonly string[],
  programs: readonly string[],
  name: string,
  body: () => Promise<void>,
): void {
  testNeeding('root', ...plugins.map(plugin => `${FOLDER}/${plugin}`), ...programs)(name, body, 30_000)
}

let node: CniNode
afterEach(async () => {
  await node.close()
})

for (const cniVersion of ['0.4.0', '1.0.0']) {
  testWith(['portmap'], ['iptables'], `portmap, ${cniVersion}: a host port leads to the pod`, async () => {
    node = new CniNode(['10.0.1.0/25'])
    const lan = node.machine('lan')
    node.network.connect(
      { namespace: node.namespace, interface: 'up0', addresses: ['172.16.0.11/24'] },
      { namespace: lan, interface: 'up0', addresses: ['172.16.0.1/24'] },
    )
    const pod = node.pod('a')
    const attachment = { containerId: 'a', netns: pod.path }
    const first = await node.call({ command: 'ADD', ...attachment, config: { cniVersion } })
    const portmap = {
      program: `${FOLDER}/portmap`,
      config: {
        cniVersion,
        type: 'portmap',
        capabilities: { portMappings: true },
        runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
        prevResult: first.json,
      },
    }
    const second = await node.call({ command: 'ADD', ...attachment, ...portmap })
    expect(second.status).toBe(0)
    expect(second.json.ips).toEqual(first.json.ips)
    const server = node.network.spawn(pod.namespace, [
      process.execPath,
      '-e',
      "Bun.serve({hostname: '0.0.0.0', port: 80, fetch: () => new Response('from the pod')}); console.log('up')",
    ])
    await server.stdout.getReader().read()
    const answered = node.network.exec(lan, [
      process.execPath,
      '-e',
      "console.log(await (await fetch('http://172.16.0.11:8080/')).text())",
    ])
    expect(answered.stdout).toBe('from the pod\n')
    const prevResult = second.json
    const check = await node.call({ command: 'CHECK', ...attachment, config: { cniVersion, prevResult } })
    expect(check).toMatchObject({ status: 0, stdout: '' })
    const portmapDel = { ...portmap, config: { ...portmap.config, prevResult } }
    expect(await node.call({ command: 'DEL', ...attachment, ...portmapDel })).toMatchObject({ status: 0 })
    expect(await node.call({ command: 'DEL', ...attachment, config: { cniVersion, prevResult } })).toMatchObject({
      status: 0,
    })
    expect(node.hostLinks()).toEqual([])
  })
}

testWith(['bandwidth'], [], 'bandwidth: finds the host end and limits it', async () => {
  node = new CniNode(['10.0.1.0/25'])
  const pod = node.pod('a')
  const attachment = { containerId: 'a', netns: pod.path }
  const first = await node.call({ command: 'ADD', ...attachment, config: { cniVersion: '1.0.0' } })
  const host: string = first.json.interfaces[0].name
  const limit = { ingressRate: 1_000_000, ingressBurst: 80_000 }
  const reply = await node.call({
    command: 'ADD',
    ...attachment,
    program: `${FOLDER}/bandwidth`,
    config: {
      cniVersion: '1.0.0',
      type: 'bandwidth',
      capabilities: { bandwidth: true },
      runtimeConfig: { bandwidth: limit },
      prevResult: first.json,
    },
  })
  expect(reply).toMatchObject({ status: 0, stderr: '' })
  const queues: Json[] = JSON.parse(
    node.network.exec(node.namespace, ['tc', '-j', 'qdisc', 'show', 'dev', host]).stdout,
  )
  expect(queues.map(queue => queue.kind)).toContain('tbf')
  const config = { cniVersion: '1.0.0', prevResult: reply.json }
  expect(await node.call({ command: 'DEL', ...attachment, config })).toMatchObject({ status: 0 })
  expect(node.hostLinks()).toEqual([])
})

testWith(['tuning'], [], 'second in a chain: what came before stays in the result', async () => {
  node = new CniNode(['10.0.1.0/25'])
  const pod = node.pod('a')
  const attachment = { containerId: 'a', netns: pod.path }
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'dummy0', mac: '02:00:00:00:00:01' }],
    ips: [{ address: '198.51.100.7/32', interface: 0 }],
    routes: [{ dst: '198.51.100.0/24' }],
    dns: { nameservers: ['198.51.100.1'] },
  }
  const reply = await node.call({ command: 'ADD', ...attachment, config: { cniVersion: '1.0.0', prevResult } })
  expect(reply.json).toMatchObject({
    interfaces: [{ name: 'dummy0' }, {}, { name: 'eth0', sandbox: pod.path }],
    ips: [
      { address: '198.51.100.7/32', interface: 0 },
      { address: '10.0.1.1/32', interface: 2 },
    ],
    routes: [{ dst: '198.51.100.0/24' }, { dst: '0.0.0.0/0', gw: '169.254.1.1' }],
    dns: { nameservers: ['198.51.100.1'] },
  })
  const tuned = await node.call({
    command: 'ADD',
    ...attachment,
    program: `${FOLDER}/tuning`,
    config: {
      cniVersion: '1.0.0',
      type: 'tuning',
      sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' },
      prevResult: reply.json,
      dataDir: `${node.stateDir}/tuning`,
    },
  })
  expect(tuned).toMatchObject({ status: 0, stderr: '' })
})

testWith(['firewall'], ['iptables'], 'firewall: lets the pod through a FORWARD chain that drops', async () => {
  node = new CniNode(['10.0.1.0/25'])
  const lan = node.machine('lan')
  node.network.connect(
    { namespace: node.namespace, interface: 'up0', addresses: ['172.16.0.11/24'] },
    { namespace: lan, interface: 'up0', addresses: ['172.16.0.1/24'] },
  )
  node.network.ip(lan, 'route add 10.0.1.0/25 via 172.16.0.11')
  node.network.exec(node.namespace, ['iptables', '-P', 'FORWARD', 'DROP'])
  const pod = node.pod('a')
  const attachment = { containerId: 'a', netns: pod.path }
  const first = await node.call({ command: 'ADD', ...attachment, config: { cniVersion: '1.0.0' } })
  expect(node.ping(pod.namespace, '172.16.0.1')).toBe(false)
  const firewall = {
    program: `${FOLDER}/firewall`,
    config: { cniVersion: '1.0.0', type: 'firewall', backend: 'iptables', prevResult: first.json },
  }
  const second = await node.call({ command: 'ADD', ...attachment, ...firewall })
  expect(second).toMatchObject({ status: 0, json: { ips: first.json.ips } })
  expect(node.ping(pod.namespace, '172.16.0.1')).toBe(true)
  const config = { cniVersion: '1.0.0', prevResult: second.json }
  expect(await node.call({ command: 'CHECK', ...attachment, config })).toMatchObject({ status: 0 })
  expect(await node.call({ command: 'DEL', ...attachment, ...firewall })).toMatchObject({ status: 0 })
  expect(await node.call({ command: 'DEL', ...attachment, config })).toMatchObject({ status: 0 })
  expect(node.hostLinks()).toEqual([])
  expect(node.network.exec(node.namespace, ['iptables', '-S', 'CNI-FORWARD']).stdout).not.toContain('10.0.1.1')
})
