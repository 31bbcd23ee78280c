import { afterEach, describe, expect } from 'bun:test'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freeLeaks, leakedAttempts } from '../../src/cni/leaks.ts'
import { removePodLinks } from '../../src/cni/leave.ts'
import { writeReadiness } from '../../src/cni/readiness.ts'
import { vethNames } from '../../src/cni/veth-names.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { CniNode, type Json, type Reply } from './cni-node.ts'

const testRoot = testNeeding('root')
const V4 = '10.0.1.0/25'
const V6 = 'fd00:1::/64'

let node: CniNode
afterEach(async () => {
  await node.close()
})

async function add(containerId: string, netns: string, more: object = {}): Promise<Reply> {
  return node.call({ command: 'ADD', containerId, netns, ...more })
}

/** Nothing of ours is left: no links, no routes to pods, no records. */
async function expectClean(): Promise<void> {
  expect(node.hostLinks()).toEqual([])
  expect(node.podRoutes()).toEqual([])
  expect(await node.records()).toEqual([])
}

function addressesOf(reply: Reply): string[] {
  return reply.json.ips.map((ip: Json) => ip.address.split('/')[0])
}

describe('traffic', () => {
  testRoot(
    'host, pod and a machine behind a router reach each other, in both families, with the address of the pod',
    async () => {
      node = new CniNode([V4, V6])
      const lan = node.machine('lan')
      node.network.connect(
        { namespace: node.namespace, interface: 'eth0', addresses: ['172.16.0.11/24', 'fd01::11/64'] },
        { namespace: lan, interface: 'eth0', addresses: ['172.16.0.1/24', 'fd01::1/64'] },
      )
      node.network.ip(lan, `route add ${V4} via 172.16.0.11`)
      node.network.ip(lan, `route add ${V6} via fd01::11`)
      const [a, b] = [node.pod('a'), node.pod('b')]
      const [replyA, replyB] = [await add('a', a.path), await add('b', b.path)]
      expect(addressesOf(replyA)).toEqual(['10.0.1.1', 'fd00:1::1'])
      expect(addressesOf(replyB)).toEqual(['10.0.1.2', 'fd00:1::2'])
      for (const [from, to] of [
        [node.namespace, '10.0.1.1'],
        [node.namespace, 'fd00:1::1'],
        [a.namespace, '172.16.0.11'],
        [a.namespace, 'fd01::11'],
        [a.namespace, '10.0.1.2'],
        [b.namespace, 'fd00:1::1'],
        [a.namespace, '172.16.0.1'],
        [b.namespace, 'fd01::1'],
        [lan, '10.0.1.2'],
        [lan, 'fd00:1::1'],
        [a.namespace, '127.0.0.1'],
      ] as const) {
        expect({ from, to, reached: node.ping(from, to) }).toEqual({ from, to, reached: true })
      }
      const port = 7000
      const server = node.network.spawn(lan, [
        process.execPath,
        '-e',
        `const server = Bun.listen({hostname: '::', port: ${port}, socket: {open: s => { s.end(s.remoteAddress) }, data() {}}}); console.log('up')`,
      ])
      await server.stdout.getReader().read()
      const ask = (address: string) =>
        node.network.exec(a.namespace, [
          process.execPath,
          '-e',
          `await Bun.connect({hostname: '${address}', port: ${port}, socket: {data: (_, d) => console.log(d.toString()), end() { process.exit() }}})`,
        ]).stdout
      expect(ask('172.16.0.1')).toContain('10.0.1.1')
      expect(ask('fd01::1')).toContain('fd00:1::1')
    },
  )

  testRoot('IPv6 alone', async () => {
    node = new CniNode([V6])
    const [a, b] = [node.pod('a'), node.pod('b')]
    expect((await add('a', a.path)).json).toMatchObject({
      ips: [{ address: 'fd00:1::1/128', gateway: 'fe80::1', interface: 1 }],
      routes: [{ dst: '::/0', gw: 'fe80::1' }],
    })
    await add('b', b.path)
    expect(node.ping(a.namespace, 'fd00:1::2')).toBe(true)
    expect(node.network.ip(a.namespace, '-4 route')).toBe('')
  })
})

describe('ADD and DEL', () => {
  testRoot('the result says what was made, and DEL leaves nothing', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const reply = await add('a', pod.path, {
      args: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0',
      config: { mtu: 1400, dns: { nameservers: ['10.1.0.1'] } },
    })
    const names = vethNames({ containerId: 'a', interfaceName: 'eth0' })
    expect(reply).toMatchObject({ status: 0, stderr: '' })
    expect(reply.json).toEqual({
      cniVersion: '1.1.0',
      interfaces: [
        { name: names.hostInterface, mac: names.hostMac, mtu: 1400 },
        { name: 'eth0', mac: names.podMac, mtu: 1400, sandbox: pod.path },
      ],
      ips: [{ address: '10.0.1.1/32', gateway: '169.254.1.1', interface: 1 }],
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }],
      dns: { nameservers: ['10.1.0.1'] },
    })
    const [link]: Json[] = JSON.parse(node.network.ip(pod.namespace, '-j link show eth0'))
    expect(link).toMatchObject({ mtu: 1400, address: names.podMac })
    expect(node.network.ip(node.namespace, `link show ${names.hostInterface}`)).toContain(
      'alias terway-edge pods a eth0',
    )
    expect(await node.records()).toMatchObject([
      { containerId: 'a', addresses: ['10.0.1.1'], pod: { namespace: 'default', name: 'web-0' } },
    ])
    expect(await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })).toMatchObject({
      status: 0,
      stdout: '',
    })
    await expectClean()
    expect(node.network.ip(pod.namespace, 'link show eth0', { mayFail: true })).toBe('')
  })

  testRoot('DEL again, DEL of the unknown, DEL without a namespace, DEL when the namespace is gone', async () => {
    node = new CniNode([V4])
    const [a, b] = [node.pod('a'), node.pod('b')]
    await add('a', a.path)
    await add('b', b.path)
    node.network.exec(node.namespace, ['ip', 'netns', 'del', b.namespace])
    for (const call of [
      { containerId: 'a' },
      { containerId: 'a', netns: a.path },
      { containerId: 'b', netns: b.path },
      { containerId: 'never-was', netns: '/run/netns/never-was' },
    ]) {
      expect(await node.call({ command: 'DEL', ...call })).toMatchObject({ status: 0, stdout: '' })
    }
    await expectClean()
  })

  testRoot('a DEL with a configuration that ADD would refuse', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    await add('a', pod.path)
    const config = { podCIDRs: ['broken'], mtu: 'broken' }
    expect(await node.call({ command: 'DEL', containerId: 'a', netns: pod.path, config })).toMatchObject({ status: 0 })
    await expectClean()
  })

  testRoot('the DEL of another network leaves this one alone', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    await add('a', pod.path)
    await node.call({ command: 'DEL', containerId: 'a', netns: pod.path, config: { name: 'other' } })
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
    expect(await node.records()).toHaveLength(1)
  })

  testRoot('a second ADD is refused while the first lives, and cleans up after one that died', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const first = await add('a', pod.path)
    expect(await add('a', pod.path)).toMatchObject({ status: 1, json: { code: 102 } })
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
    node.network.ip(pod.namespace, 'addr del 10.0.1.1/32 dev eth0') // as if it had died half-way
    expect(await add('a', pod.path)).toMatchObject({ status: 0, json: { ips: [{ address: '10.0.1.2/32' }] } })
    node.network.ip(node.namespace, `link del ${first.json.interfaces[0].name}`)
    expect(await add('a', pod.path)).toMatchObject({ status: 0 })
    expect(await node.records()).toHaveLength(1)
    expect(node.ping(node.namespace, '10.0.1.3')).toBe(true)
  })

  testRoot('a half-made pair without a record is replaced', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const { hostInterface } = vethNames({ containerId: 'a', interfaceName: 'eth0' })
    node.network.ip(node.namespace, `link add ${hostInterface} type veth peer name eth0 netns ${pod.namespace}`)
    expect(await add('a', pod.path)).toMatchObject({ status: 0 })
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
  })

  testRoot(
    'killed at any instruction, the next DEL or ADD ends right',
    async () => {
      node = new CniNode([V4])
      const pod = node.pod('a')
      const config = JSON.stringify({
        cniVersion: '1.1.0',
        name: 'pods',
        type: 'terway-edge',
        podCIDRs: [V4],
        stateDir: node.stateDir,
      })
      for (let round = 0; round < 20; round++) {
        const child = Bun.spawn(
          ['ip', 'netns', 'exec', node.namespace, process.execPath, `${import.meta.dir}/run-plugin.ts`],
          {
            stdin: Buffer.from(config),
            stdout: 'ignore',
            stderr: 'ignore',
            env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'a', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0' },
          },
        )
        await Bun.sleep(10 + Math.random() * 30)
        child.kill('SIGKILL')
        await child.exited
        if (round % 2 === 0) {
          const again = await add('a', pod.path)
          expect([0, 102]).toContain(again.json.code ?? 0) // 102: the first was done before it was killed
          expect(await node.records()).toHaveLength(1)
          expect(node.hostLinks()).toHaveLength(1)
        }
        expect(await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })).toMatchObject({ status: 0 })
        await expectClean()
      }
    },
    60_000,
  )

  testRoot(
    'a DEL while ADD is under way leaves all of it or nothing',
    async () => {
      node = new CniNode([V4])
      const pod = node.pod('a')
      const codes = new Set<number>()
      for (let round = 0; round < 20; round++) {
        const adding = add('a', pod.path)
        await Bun.sleep(Math.random() * 40)
        const deleted = await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })
        expect(deleted.status).toBe(0)
        const added = await adding
        codes.add(added.status === 0 ? 0 : added.json.code)
        const [records, links] = [await node.records(), node.hostLinks()]
        expect([records.length, links.length]).toEqual(records.length === 1 ? [1, 1] : [0, 0])
        if (added.status === 1) expect(records).toEqual([])
        await node.call({ command: 'DEL', containerId: 'a', netns: pod.path })
        await expectClean()
      }
      for (const code of codes) expect([0, 3, 11, 104]).toContain(code)
    },
    60_000,
  )

  testRoot('a full pool is said and leaves nothing; a freed address is given again', async () => {
    node = new CniNode(['10.0.1.0/30'])
    const pods = ['a', 'b', 'c'].map(name => node.pod(name))
    const [a, b, c] = pods.map(pod => pod.path)
    await add('a', a ?? '')
    await add('b', b ?? '')
    expect(await add('c', c ?? '')).toMatchObject({
      status: 1,
      json: { cniVersion: '1.1.0', code: 100, msg: 'all 2 addresses of 10.0.1.0/30 are in use' },
    })
    expect(await node.records()).toHaveLength(2)
    expect(node.hostLinks()).toHaveLength(2)
    await node.call({ command: 'DEL', containerId: 'a', netns: a ?? '' })
    expect(await add('c', c ?? '')).toMatchObject({ status: 0, json: { ips: [{ address: '10.0.1.1/32' }] } })
  })

  testRoot(
    '100 at once get 100 addresses of each family',
    async () => {
      node = new CniNode([V4, V6])
      const pods = Array.from({ length: 100 }, (_, index) => ({ id: `p${index}`, ...node.pod(`p${index}`) }))
      const replies = await Promise.all(pods.map(pod => add(pod.id, pod.path)))
      expect(replies.map(reply => reply.status)).toEqual(pods.map(() => 0))
      expect(new Set(replies.flatMap(addressesOf)).size).toBe(200)
      expect(node.podRoutes()).toHaveLength(200)
      await Promise.all(pods.map(pod => node.call({ command: 'DEL', containerId: pod.id, netns: pod.path })))
      await expectClean()
    },
    60_000,
  )

  testRoot('a podCIDR that changed: new pods have the new one, old ones go on and can go', async () => {
    node = new CniNode([V4])
    const [a, b] = [node.pod('a'), node.pod('b')]
    const prevResult = (await add('a', a.path)).json
    node.podCIDRs = ['10.0.2.0/25']
    expect(addressesOf(await add('b', b.path))).toEqual(['10.0.2.1'])
    expect([node.ping(b.namespace, '10.0.1.1'), node.ping(node.namespace, '10.0.2.1')]).toEqual([true, true])
    const check = await node.call({ command: 'CHECK', containerId: 'a', netns: a.path, config: { prevResult } })
    expect(check).toMatchObject({ status: 0 })
    for (const id of ['a', 'b']) await node.call({ command: 'DEL', containerId: id })
    await expectClean()
  })

  testRoot('a second interface of a pod leaves its default route alone', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    await add('a', pod.path)
    const second = await add('a', pod.path, { ifname: 'net1', config: { name: 'second' } })
    expect(second.json).toMatchObject({ ips: [{ address: '10.0.1.2/32' }], routes: [] })
    expect(node.network.ip(pod.namespace, 'route show default')).toContain('dev eth0')
    expect(node.ping(node.namespace, '10.0.1.2')).toBe(true)
  })

  testRoot('static addresses and a hardware address', async () => {
    node = new CniNode([V4, V6])
    const [a, b] = [node.pod('a'), node.pod('b')]
    const capability = { runtimeConfig: { ips: ['10.0.1.77/25'], mac: 'c2:11:22:33:44:55' } }
    const reply = await add('a', a.path, { config: capability })
    expect(addressesOf(reply)).toEqual(['10.0.1.77', 'fd00:1::1'])
    expect(reply.json.interfaces[1].mac).toBe('c2:11:22:33:44:55')
    expect(node.ping(node.namespace, '10.0.1.77')).toBe(true)
    for (const [args, why] of [
      ['IP=10.0.1.77', 'another pod has it'],
      ['IP=10.9.9.9', 'it is not in the podCIDRs of this node'],
      ['IP=10.0.1.0', 'no pod gets'],
    ] as const) {
      const refused = await add('b', b.path, { args })
      expect(refused).toMatchObject({ status: 1, json: { code: 101 } })
      expect(refused.json.msg).toContain(why)
    }
    expect(addressesOf(await add('b', b.path, { args: 'IP=fd00:1::b' }))).toEqual(['10.0.1.1', 'fd00:1::b'])
  })
})

describe('ADD that cannot be', () => {
  testRoot('leaves nothing behind, and says why', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const file = join(node.stateDir, 'no-namespace')
    writeFileSync(file, '')
    const host = vethNames({ containerId: 'clash', interfaceName: 'eth0' }).hostInterface
    node.network.ip(node.namespace, `link add ${host} type bridge`)
    node.network.ip(pod.namespace, 'link add taken0 type veth peer name taken1')
    const refusals: [object, number, string][] = [
      [{ netns: '/run/netns/te-gone' }, 3, 'does not exist'],
      [{ netns: file }, 3, 'is not a namespace'],
      [{ netns: node.network.path(node.namespace) }, 4, 'is the namespace that the plugin runs in'],
      [{ ifname: 'taken0' }, 103, 'the container has an interface taken0 already'],
      [{ containerId: 'clash' }, 103, `the host has an interface ${host} that is not ours`],
      [{ config: { podCIDRs: [] } }, 11, 'no podCIDR yet'],
      [{ config: { podCIDRs: [V4, 'fd00:1::5/128'] } }, 7, 'podCIDR fd00:1::5/128 of this node is a single address'],
      [{ config: { mtu: 20 } }, 7, 'mtu'],
      [{ config: { cniVersion: '2.0.0' } }, 1, '2.0.0'],
    ]
    for (const [call, code, text] of refusals) {
      const reply = await node.call({ command: 'ADD', containerId: 'a', netns: pod.path, ...call })
      expect(reply).toMatchObject({ status: 1, stderr: '', json: { code } })
      expect(reply.json.msg).toContain(text)
      expect(await node.records()).toEqual([])
    }
    expect(node.hostLinks()).toEqual([])
    expect(node.network.ip(node.namespace, `link show ${host}`)).toContain(host) // not ours, so it stays
  })

  testRoot('an MTU larger than the uplink', async () => {
    node = new CniNode([V4])
    const lan = node.machine('lan')
    node.network.connect(
      { namespace: node.namespace, interface: 'up0', addresses: ['172.16.0.11/24'] },
      { namespace: lan, interface: 'up0', addresses: ['172.16.0.1/24'] },
    )
    node.network.ip(node.namespace, 'link set up0 mtu 1400')
    node.network.ip(node.namespace, 'route add default via 172.16.0.1')
    const pod = node.pod('a')
    const refused = await add('a', pod.path, { config: { mtu: 1500 } })
    expect(refused).toMatchObject({ status: 1, json: { code: 7 } })
    expect(refused.json.msg).toContain('mtu 1500 is larger than 1400, that of the uplink up0')
    await expectClean()
    expect((await add('a', pod.path)).json.interfaces).toMatchObject([{ mtu: 1400 }, { mtu: 1400 }])
  })

  testRoot('a state folder that cannot be read', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    mkdirSync(join(node.stateDir, 'cni'))
    writeFileSync(join(node.stateDir, 'cni', 'attachments.json'), '{')
    expect(await add('a', pod.path)).toMatchObject({ status: 1, json: { code: 5 } })
    expect(node.hostLinks()).toEqual([])
    expect(readFileSync(join(node.stateDir, 'cni', 'attachments.json'), 'utf8')).toBe('{')
  })
})

describe('the other operations', () => {
  testRoot('CHECK finds what is missing', async () => {
    node = new CniNode([V4, V6])
    const pod = node.pod('a')
    const prevResult = (await add('a', pod.path)).json
    const check = () => node.call({ command: 'CHECK', containerId: 'a', netns: pod.path, config: { prevResult } })
    const host = prevResult.interfaces[0].name
    expect(await check()).toMatchObject({ status: 0, stdout: '' })
    const damages: [namespace: string, damage: string, repair: string | undefined, text: string][] = [
      [
        pod.namespace,
        'route del default',
        'route add default via 169.254.1.1 dev eth0 onlink',
        'the container has no route 0.0.0.0/0',
      ],
      [node.namespace, 'route del 10.0.1.1', `route add 10.0.1.1 dev ${host}`, 'the host has no route 10.0.1.1/32'],
      [
        pod.namespace,
        'neigh replace 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent',
        `neigh replace 169.254.1.1 lladdr ${prevResult.interfaces[0].mac} dev eth0 nud permanent`,
        "the container's neighbour entry of its gateway 169.254.1.1 is gone or wrong",
      ],
      [node.namespace, `link set ${host} mtu 1400`, undefined, ''], // the uplink's may have changed: not our concern
      [pod.namespace, 'addr del fd00:1::1/128 dev eth0', undefined, 'eth0 of the container lacks fd00:1::1'],
    ]
    for (const [namespace, damage, repair, text] of damages) {
      node.network.ip(namespace, damage)
      const reply = await check()
      if (text === '') {
        expect(reply).toMatchObject({ status: 0 })
        continue
      }
      expect(reply).toMatchObject({ status: 1, json: { code: 105 } })
      expect(reply.json.details).toContain(text)
      if (repair === undefined) continue
      node.network.ip(namespace, repair)
      expect(await check()).toMatchObject({ status: 0 })
    }
    node.network.ip(node.namespace, `link del ${host}`)
    expect((await check()).json.details).toContain(`the host's interface ${host} is gone`)
  })

  testRoot('GC removes what is not valid, of its own network, and nothing else', async () => {
    node = new CniNode([V4])
    const pods = ['a', 'b', 'c'].map(id => ({ id, ...node.pod(id) }))
    for (const pod of pods) await add(pod.id, pod.path, pod.id === 'c' ? { config: { name: 'other' } } : {})
    node.network.ip(node.namespace, 'link add te0123456789a type veth peer name peer0')
    const orphan = vethNames({ containerId: 'orphan', interfaceName: 'eth0' }).hostInterface
    node.network.ip(node.namespace, `link add ${orphan} type veth peer name peer1`)
    node.network.exec(node.namespace, ['ip', 'link', 'set', orphan, 'alias', 'terway-edge pods orphan eth0'])
    const valid = [{ containerID: 'a', ifname: 'eth0' }]
    const reply = await node.call({ command: 'GC', config: { 'cni.dev/valid-attachments': valid } })
    expect(reply).toMatchObject({ status: 0, stdout: '' })
    expect((await node.records()).map(record => record.containerId)).toEqual(['a', 'c'])
    const hostEnd = (id: string) => vethNames({ containerId: id, interfaceName: 'eth0' }).hostInterface
    expect(node.hostLinks().sort()).toEqual([hostEnd('a'), hostEnd('c'), 'te0123456789a'].sort())
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
    expect(await node.call({ command: 'GC' })).toMatchObject({ status: 1, json: { code: 7 } })
    expect(await node.records()).toHaveLength(2)
  })

  testRoot(
    'DEL on a disk that takes nothing takes the pod down; its address is freed when the disk takes that',
    async () => {
      node = new CniNode([V4])
      const mount = (...words: string[]) => expect(Bun.spawnSync(['mount', ...words, node.stateDir]).exitCode).toBe(0)
      mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs')
      try {
        const [a, b] = [node.pod('a'), node.pod('b')]
        await add('a', a.path)
        await add('b', b.path)
        const del = (containerId: string) => node.call({ command: 'DEL', containerId })
        Bun.spawnSync(['dd', 'if=/dev/zero', `of=${join(node.stateDir, 'fill')}`, 'bs=4k'])
        expect(await del('a')).toMatchObject({ status: 0, stdout: '' })
        mount('-o', 'remount,ro')
        expect(await del('b')).toMatchObject({ status: 0, stdout: '' })
        expect(node.hostLinks()).toEqual([])
        mount('-o', 'remount,rw')
        rmSync(join(node.stateDir, 'fill'))
        expect(addressesOf(await add('c', node.pod('c').path))).toEqual(['10.0.1.3']) // no address is given twice
        for (const pod of [a, b]) node.network.exec(node.namespace, ['ip', 'netns', 'del', pod.namespace])
        const here = <T>(action: () => T) => inNetworkNamespace(node.network.path(node.namespace), action)
        expect(here(() => freeLeaks(node.stateDir, new Set()))).toEqual([]) // an ADD under way could look so
        const leaked = here(() => leakedAttempts(node.stateDir))
        expect(here(() => freeLeaks(node.stateDir, leaked)).map(record => record.containerId)).toEqual(['a', 'b'])
        expect((await node.records()).map(record => record.containerId)).toEqual(['c'])
      } finally {
        Bun.spawnSync(['umount', '--lazy', node.stateDir])
      }
    },
  )

  testRoot('leaks are freed when the node process starts', async () => {
    node = new CniNode([V4])
    const [a, b] = [node.pod('a'), node.pod('b')]
    await add('a', a.path)
    await add('b', b.path)
    const free = () => inNetworkNamespace(node.network.path(node.namespace), () => freeLeaks(node.stateDir))
    expect(free()).toEqual([])
    node.network.exec(node.namespace, ['ip', 'netns', 'del', b.namespace])
    await eventually('the kernel takes the links of the namespace', () => node.hostLinks().length === 1)
    expect(free()).toMatchObject([{ containerId: 'b', addresses: ['10.0.1.2'] }])
    expect(free()).toEqual([])
    expect((await node.records()).map(record => record.containerId)).toEqual(['a'])
    expect(node.ping(node.namespace, '10.0.1.1')).toBe(true)
  })

  testRoot('a node that leaves takes its pods off the network, and nothing that others made', async () => {
    node = new CniNode([V4])
    for (const id of ['a', 'b']) await add(id, node.pod(id).path)
    node.network.ip(node.namespace, 'link add te0123456789a type veth peer name peer0')
    const leave = () => inNetworkNamespace(node.network.path(node.namespace), () => removePodLinks(node.stateDir))
    expect(leave()).toEqual({ removed: 2, problems: [] })
    expect(leave()).toEqual({ removed: 0, problems: [] })
    expect(node.hostLinks()).toEqual(['te0123456789a'])
    expect(await node.records()).toEqual([])
    expect(addressesOf(await add('c', node.pod('c').path))).toEqual(['10.0.1.3'])
  })

  testRoot('STATUS', async () => {
    node = new CniNode([V4])
    const status = (config: object = {}) => node.call({ command: 'STATUS', config: { ...config } })
    expect(await status()).toMatchObject({ status: 0, stdout: '' })
    expect(await status({ podCIDRs: [] })).toMatchObject({ status: 1, json: { code: 50 } })
    expect(await status({ podCIDRs: ['10.0.1.5/32'] })).toMatchObject({ status: 1, json: { code: 50 } })
    writeReadiness(node.stateDir, { state: 'unavailable', reason: 'no route to the gateway' })
    expect(await status()).toMatchObject({ status: 1, json: { code: 50 } })
    writeReadiness(node.stateDir, { state: 'limited', reason: 'the uplink is down' })
    expect((await status()).json).toMatchObject({
      code: 51,
      msg: 'the node is not ready for pods: the uplink is down',
    })
    writeReadiness(node.stateDir, { state: 'ready' })
    expect(await status()).toMatchObject({ status: 0 })
    node.network.exec(node.namespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=0'])
    expect((await status()).json).toMatchObject({
      code: 51,
      msg: 'this node does not forward packets: net.ipv4.ip_forward is 0',
    })
  })

  for (const cniVersion of ['0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    testRoot(`every operation in ${cniVersion}`, async () => {
      node = new CniNode([V4])
      const pod = node.pod('a')
      const call = (command: string, config: object = {}) =>
        node.call({ command, containerId: 'a', netns: pod.path, config: { cniVersion, ...config } })
      expect((await call('VERSION')).json).toEqual({
        cniVersion,
        supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
      })
      const added = await call('ADD')
      const old = cniVersion < '1.0.0'
      expect(added.json).toMatchObject({ cniVersion, ips: [{ address: '10.0.1.1/32', ...(old && { version: '4' }) }] })
      expect(added.json.ips[0].version).toBe(old ? '4' : undefined)
      const prevResult = added.json
      const known = { status: 0, stdout: '' }
      const refused = { status: 1, json: { cniVersion, code: 1 } }
      expect(await call('CHECK', { prevResult })).toMatchObject(cniVersion === '0.3.1' ? refused : known)
      const valid = { 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }] }
      expect(await call('GC', valid)).toMatchObject(cniVersion === '1.1.0' ? known : refused)
      expect(await call('STATUS')).toMatchObject(cniVersion === '1.1.0' ? known : refused)
      expect(await call('DEL', { prevResult })).toMatchObject(known)
      await expectClean()
    })
  }

  testRoot('as type loopback', async () => {
    node = new CniNode([V4])
    const pod = node.pod('a')
    const config = {
      cniVersion: '1.0.0',
      name: 'cni-loopback',
      type: 'loopback',
      podCIDRs: undefined,
      stateDir: undefined,
    }
    const call = (command: string, more: object = {}) =>
      node.call({ command, containerId: 'a', netns: pod.path, ifname: 'lo', config: { ...config, ...more } })
    expect(node.ping(pod.namespace, '127.0.0.1')).toBe(false)
    const added = await call('ADD')
    expect(added.json).toEqual({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: pod.path }],
      ips: [
        { address: '127.0.0.1/8', interface: 0 },
        { address: '::1/128', interface: 0 },
      ],
      routes: [],
      dns: {},
    })
    expect(node.ping(pod.namespace, '127.0.0.1')).toBe(true)
    expect(await call('CHECK', { prevResult: added.json })).toMatchObject({ status: 0 })
    expect(await call('DEL', { prevResult: added.json })).toMatchObject({ status: 0, stdout: '' })
    expect(await call('CHECK', { prevResult: added.json })).toMatchObject({ status: 1, json: { code: 105 } })
    expect(await node.call({ command: 'DEL', containerId: 'a', netns: '/run/netns/te-gone', config })).toMatchObject({
      status: 0,
    })
    expect(await node.records()).toEqual([])
  })
})
