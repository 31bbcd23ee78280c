/**
 * `terway-edge node` as a process in a namespace, from a state folder and with no API server: what
 * its parts do together.
 */
import { afterAll, expect } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runningProcess } from '../../src/host/state-folder.ts'
import { encodeClusterState } from '../../src/kube/cluster-state.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { CniNode } from '../cni/cni-node.ts'
import { bgpPeer, entry } from '../support/cluster.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const rooted = testNeeding('root', 'ip')
const folder = mkdtempSync(join(tmpdir(), 'te-node-'))
const state = join(folder, 'state')
const network = new TestNetwork()
afterAll(async () => {
  await network.close()
  rmSync(folder, { recursive: true })
})

function nodeIn(
  namespace: string,
  stateDir = state,
): { child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>; lines: string[] } {
  const config = join(folder, 'config.yaml')
  writeFileSync(config, JSON.stringify({ cni: { confDir: join(folder, 'net.d'), binDir: join(folder, 'bin') } }))
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(kubeconfig, kubeconfigText('http://127.0.0.1:1'))
  const words = ['node', '--config', config, '--kubeconfig', kubeconfig, '--state', stateDir, '--node', 'edge-1']
  const child = Bun.spawn(
    ['ip', 'netns', 'exec', namespace, process.execPath, 'src/main.ts', ...words, '--status-listen', '127.0.0.1:9179'],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
  )
  const lines: string[] = []
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) lines.push(...decoder.decode(chunk).split('\n'))
  })()
  return { child, lines }
}

function snapshot(namespace: string): Snapshot {
  const words = [process.execPath, 'src/main.ts', 'status', '-o', 'json']
  return JSON.parse(network.exec(namespace, words, { mayFail: true }).stdout)
}

rooted(
  'it follows addresses that come later, tells the plugin until it could, and leaves files for root alone',
  async () => {
    const namespace = network.namespace('node')
    network.ip(namespace, 'link add eth0 type veth peer name switch')
    network.ip(namespace, 'addr add 172.16.0.11/24 dev eth0')
    for (const name of ['eth0', 'switch']) network.ip(namespace, `link set ${name} up`)
    // where the file shall be: it cannot be written
    mkdirSync(join(state, 'cni', 'readiness.json'), { recursive: true })
    writeFileSync(join(state, '.1.2.part'), 'of a process that was killed')
    const slices = new Map([['routes-1', [entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])]]])
    const peers = new Map([
      ['lan', bgpPeer('lan', { peerIP: '172.16.0.1', sourceAddress: '172.16.0.99', localSpeakers: ['edge-1'] })],
    ])
    writeFileSync(join(state, 'cluster.json'), encodeClusterState({ slices, peers, passwords: new Map() }))
    const { child, lines } = nodeIn(namespace)
    try {
      const problems = () => snapshot(namespace).problems.join('\n')
      await eventually('the address is missed', () => problems().includes('172.16.0.99 is on no interface'))
      await eventually('the plugin cannot be told', () =>
        lines.some(line => line.includes('the CNI plugin cannot be told')),
      )
      await eventually('it is told as lasting', () => lines.some(line => line.includes('cannot be served in full')))
      network.ip(namespace, 'addr add 172.16.0.99/24 dev eth0')
      await eventually('the address is seen', () => !problems().includes('172.16.0.99 is on no interface'))
      expect(snapshot(namespace).sessions).toMatchObject([{ bgpPeer: 'lan', peerIP: '172.16.0.1' }])
      rmSync(join(state, 'cni', 'readiness.json'), { recursive: true })
      const readiness = () => JSON.parse(readFileSync(join(state, 'cni', 'readiness.json'), 'utf8'))
      await eventually('the plugin is told', () => readiness().state === 'ready')
      expect(readdirSync(state).filter(name => name.endsWith('.part'))).toEqual([])
      const open = readdirSync(state, { recursive: true, withFileTypes: true })
        .filter(file => file.isFile() && (statSync(join(file.parentPath, file.name)).mode & 0o077) !== 0)
        .map(({ name }) => name)
      expect(open).toEqual(['cluster.json']) // as this test wrote it
    } finally {
      child.kill('SIGTERM')
    }
    expect(await child.exited).toBe(0)
  },
  300_000,
)

rooted(
  'on a full disk, and on one that became read-only, it starts from what the state folder holds',
  async () => {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const mount = (...words: string[]) => expect(Bun.spawnSync(['mount', ...words, disk]).exitCode).toBe(0)
    mount('-t', 'tmpfs', '-o', 'size=256k', 'tmpfs')
    const namespace = network.namespace('disk')
    network.ip(namespace, 'addr add 172.16.0.11/24 dev lo')
    network.ip(namespace, 'link set lo up')
    const slices = new Map([['routes-1', [entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])]]])
    writeFileSync(join(disk, 'cluster.json'), encodeClusterState({ slices, peers: new Map(), passwords: new Map() }))
    writeFileSync(join(disk, 'lock'), '') // of the process before
    const routes = () => network.ip(namespace, 'route show proto 187').trim()
    try {
      Bun.spawnSync(['dd', 'if=/dev/zero', `of=${join(disk, 'fill')}`, 'bs=4k'])
      const full = nodeIn(namespace, disk)
      await eventually('its routes are there', () => routes() === 'unreachable 10.0.1.0/25')
      expect(full.lines.join('\n')).toContain('the state folder cannot be written; starting from what it holds')
      rmSync(join(disk, 'fill'))
      await eventually('it says that it runs', () => runningProcess(disk) !== undefined)
      full.child.kill('SIGTERM')
      expect(await full.child.exited).toBe(0)

      network.ip(namespace, 'route flush proto 187')
      mount('-o', 'remount,ro')
      const readOnly = nodeIn(namespace, disk)
      await eventually('its routes are there again', () => routes() === 'unreachable 10.0.1.0/25')
      readOnly.child.kill('SIGTERM')
      expect(await readOnly.child.exited).toBe(0)
    } finally {
      Bun.spawnSync(['umount', '--lazy', disk])
    }
  },
  300_000,
)

rooted(
  'a status port that somebody else has keeps nothing from working, and is taken when it is free',
  async () => {
    const namespace = network.namespace('port')
    network.ip(namespace, 'addr add 172.16.0.11/24 dev lo')
    const stateDir = join(folder, 'port')
    mkdirSync(stateDir)
    const slices = new Map([['routes-1', [entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])]]])
    writeFileSync(
      join(stateDir, 'cluster.json'),
      encodeClusterState({ slices, peers: new Map(), passwords: new Map() }),
    )
    const squatter = network.spawn(namespace, [
      process.execPath,
      '-e',
      "Bun.listen({ hostname: '127.0.0.1', port: 9179, socket: { data() {} } })",
    ])
    const listens = () => network.exec(namespace, ['ss', '-Hltn', 'sport = :9179']).stdout !== ''
    await eventually('the port is taken', listens)
    const { child, lines } = nodeIn(namespace, stateDir)
    const routes = () => network.ip(namespace, 'route show proto 187').trim()
    await eventually('its routes are there', () => routes() === 'unreachable 10.0.1.0/25')
    await eventually('it says so', () => lines.some(line => line.includes('port 9179 is in use')))
    squatter.kill()
    await eventually('the page is there', () => snapshot(namespace).node?.podCIDRs.length === 1)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  },
  300_000,
)

rooted(
  'whatever is damaged at boot while the state is good is told, and the node forwards and speaks all the same',
  async () => {
    const namespace = network.namespace('damaged')
    network.ip(namespace, 'addr add 172.16.0.11/24 dev lo')
    network.exec(namespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=0'])
    const stateDir = join(folder, 'damaged')
    for (const name of ['speaker.json', 'sysctls.json', 'drained', 'api-addresses.json', 'cni/readiness.json'])
      mkdirSync(join(stateDir, name), { recursive: true })
    writeFileSync(join(stateDir, 'cni/attachments.json'), '')
    writeFileSync(join(stateDir, 'held.json'), '{')
    const slices = new Map([['routes-1', [entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])]]])
    const peers = new Map([['lan', bgpPeer('lan', { peerIP: '172.16.0.1', localSpeakers: ['edge-1'] })]])
    writeFileSync(join(stateDir, 'cluster.json'), encodeClusterState({ slices, peers, passwords: new Map() }))
    const cni = { confDir: join(stateDir, 'net.d'), binDir: join(stateDir, 'bin') }
    writeFileSync(join(stateDir, 'config.yaml'), JSON.stringify({ cni })) // of the last good start
    const damaged = join(folder, 'damaged.yaml')
    writeFileSync(damaged, 'cni: {confDir: /etc/cni')
    writeFileSync(join(folder, 'damaged-kubeconfig'), '{')
    const words = ['--config', damaged, '--kubeconfig', join(folder, 'damaged-kubeconfig'), '--state', stateDir]
    const child = network.spawn(namespace, [process.execPath, 'src/main.ts', 'node', ...words, '--node', 'edge-1'])
    const log = new Response(child.stderr).text()
    try {
      const routes = () => network.ip(namespace, 'route show proto 187').trim()
      await eventually('its routes are there', () => routes() === 'unreachable 10.0.1.0/25')
      await eventually('it dials', () => snapshot(namespace).sessions.length === 1)
      const { problems, api } = snapshot(namespace)
      for (const part of ['going on with the configuration of the last good start', 'whether this start is a restart'])
        expect(problems.join('\n')).toContain(part)
      expect(api.problem).toContain('kubeconfig')
      const forwards = () => network.exec(namespace, ['sysctl', '-n', 'net.ipv4.ip_forward']).stdout.trim() === '1'
      await eventually('it forwards', forwards)
      await eventually('it is ready', () => snapshot(namespace).ready)
    } finally {
      child.kill('SIGTERM')
    }
    expect(await child.exited).toBe(0)
    for (const part of ['what was held cannot be read', 'was drained once', 'cannot be told whether pods'])
      expect(await log).toContain(part)
  },
  300_000,
)

rooted(
  'a state folder that cannot be written any more is a problem of the page, and no more when it can',
  async () => {
    const disk = join(folder, 'full')
    mkdirSync(disk)
    expect(Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).exitCode).toBe(0)
    const namespace = network.namespace('full')
    network.ip(namespace, 'addr add 172.16.0.11/24 dev lo')
    const slices = new Map([['routes-1', [entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])]]])
    writeFileSync(join(disk, 'cluster.json'), encodeClusterState({ slices, peers: new Map(), passwords: new Map() }))
    const { child, lines } = nodeIn(namespace, disk)
    try {
      await eventually('it runs', () => snapshot(namespace).ready)
      Bun.spawnSync(['dd', 'if=/dev/zero', `of=${join(disk, 'fill')}`, 'bs=4k'])
      const told = () => snapshot(namespace).problems.some(text => text.includes('its disk is full'))
      await eventually('it is told', told)
      rmSync(join(disk, 'fill'))
      await eventually('it is over', () => !told())
      expect(lines.filter(line => line.includes('cannot be written'))).toHaveLength(1)
    } finally {
      child.kill('SIGTERM')
      await child.exited
      Bun.spawnSync(['umount', '--lazy', disk])
    }
  },
  300_000,
)

rooted(
  'pods that kept addresses of other podCIDRs than the node has are named',
  async () => {
    const cni = new CniNode(['10.0.9.0/25'])
    const { namespace, stateDir } = cni
    const args = 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=old'
    expect(await cni.add('a', cni.pod('old').path, { args })).toMatchObject({ status: 0 })
    const slices = new Map([['routes-1', [entry('edge-1', ['192.0.2.11'], ['10.0.1.0/25'], ['lan'])]]])
    writeFileSync(
      join(stateDir, 'cluster.json'),
      encodeClusterState({ slices, peers: new Map(), passwords: new Map() }),
    )
    const { child } = nodeIn(namespace, stateDir)
    try {
      await eventually('it is named', () =>
        snapshot(namespace).problems.join().includes('nobody routes to: shop/old (10.0.9.1)'),
      )
    } finally {
      child.kill('SIGTERM')
      await child.exited
      await cni.close()
    }
  },
  300_000,
)

rooted(
  'it ends at SIGTERM while it starts, and while an API server that is silent and readers of its page hold it up',
  async () => {
    const namespace = network.namespace('stop')
    network.ip(namespace, 'addr add 172.16.0.11/24 dev lo')
    const silent = network.spawn(namespace, [
      process.execPath,
      '-e',
      "Bun.listen({ hostname: '127.0.0.1', port: 1, socket: { data() {} } })",
    ])
    const stateDir = join(folder, 'stop')
    mkdirSync(stateDir)
    const slices = new Map([['routes-1', [entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])]]])
    writeFileSync(
      join(stateDir, 'cluster.json'),
      encodeClusterState({ slices, peers: new Map(), passwords: new Map() }),
    )
    for (const moment of ['start', 'page']) {
      const { child, lines } = nodeIn(namespace, stateDir)
      const listens = () => network.exec(namespace, ['ss', '-Hltn', 'sport = :9179']).stdout !== ''
      if (moment === 'start') await eventually('it starts', () => lines.join('').includes('terway-edge started'))
      else {
        await eventually('the page is there', listens)
        const reader = network.spawn(namespace, ['curl', '-sN', 'http://127.0.0.1:9179/api/v1/events'])
        await reader.stdout.getReader().read()
      }
      child.kill('SIGTERM')
      expect([moment, await child.exited]).toEqual([moment, 0])
      expect(lines.join('\n')).not.toContain('cut short')
    }
    silent.kill()
  },
  300_000,
)
