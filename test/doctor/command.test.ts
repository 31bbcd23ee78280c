/**
 * `terway-edge doctor` as a process on a node in a network namespace, with the lab's API server and
 * the real node process: each finding comes with what is broken, and goes with what mends it.
 */
import { expect } from 'bun:test'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Check } from '../../src/doctor/verdicts.ts'
import { FAR, OneNode } from '../agent/one-node.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually, run } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const ROOT = join(import.meta.dir, '../..')
const MAIN = join(ROOT, 'src/main.ts')

/** The lab's API server with one BGPPeer, whose only speaker is node n1, and two nodes. */
const API = `
import { serveApi } from '${ROOT}/src/apiserver/serve.ts'
import { systemClock } from '${ROOT}/src/lib/clock.ts'
const { api } = serveApi({ hostname: '127.0.0.1', port: 6443, clock: systemClock })
const post = async (path, object) => {
  const request = new Request('http://127.0.0.1:6443/apis/' + path, { method: 'POST', body: JSON.stringify(object), headers: { 'content-type': 'application/json' } })
  const answer = await api.fetch(request)
  if (!answer.ok) throw new Error(await answer.text())
}
for (const name of ['bgppeers', 'routeslices']) {
  const crd = Bun.YAML.parse(await Bun.file('${ROOT}/config/crd-' + name + '.yaml').text())
  await post('apiextensions.k8s.io/v1/customresourcedefinitions', crd)
}
const apiVersion = 'network.openyurt.io/v1alpha1'
await post(apiVersion + '/bgppeers', { apiVersion, kind: 'BGPPeer', metadata: { name: 'lan' },
  spec: { localSpeakers: ['n1'], localAsNumber: 65010, peerIP: '172.16.0.254', peerAsNumber: 65001, nodeSelector: 'all()' } })
await post(apiVersion + '/routeslices', { apiVersion, kind: 'RouteSlice', metadata: { name: 'routes-0' }, entries: [
  { node: 'n1', addresses: ['172.16.0.11', 'fd16::11'], podCIDRs: ['10.0.1.0/24', 'fd10:1::/64'], peers: ['lan'] },
  { node: 'n2', addresses: ['172.16.0.12'], podCIDRs: ['10.0.2.0/24'], peers: ['lan'] } ] })
`
const SWITCH = `Bun.listen({ hostname: '0.0.0.0', port: 179, socket: { data() {} } })`

class Patient {
  readonly lan = new OneNode()
  readonly config = join(this.lan.folder, 'config.yaml')
  readonly conflist = join(this.lan.folder, 'net.d/10-terway-edge.conflist')
  #agent: Bun.Subprocess | undefined

  constructor() {
    const { folder } = this.lan
    writeFileSync(join(folder, 'api.ts'), API)
    writeFileSync(join(folder, 'kubeconfig'), kubeconfigText('http://127.0.0.1:6443'))
    const cni = { confDir: join(folder, 'net.d'), binDir: join(folder, 'bin') }
    const config = { node: 'n1', kubeconfig: join(folder, 'kubeconfig'), state: join(folder, 'state'), cni }
    writeFileSync(this.config, JSON.stringify({ ...config, ipMasq: { enabled: true } }))
    this.lan.run('sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward')
  }

  /** Starts what a healthy node has around it. */
  surround(): void {
    const { network, node, outside, folder } = this.lan
    network.spawn(node, [process.execPath, join(folder, 'api.ts')])
    network.spawn(outside, [process.execPath, '-e', SWITCH])
    network.spawn(node, [process.execPath, MAIN, 'cni-server', '--config', this.config])
    mkdirSync(join(folder, 'bin'), { recursive: true })
    for (const name of ['terway-edge', 'loopback']) {
      writeFileSync(join(folder, 'bin', name), '#!/bin/sh\n')
      chmodSync(join(folder, 'bin', name), 0o755)
    }
  }

  startAgent(): void {
    this.#agent = this.lan.network.spawn(this.lan.node, [process.execPath, MAIN, 'agent', '--config', this.config])
  }

  async stopAgent(): Promise<void> {
    this.#agent?.kill('SIGTERM')
    await this.#agent?.exited
  }

  doctor(): {
    status: number
    checks: readonly Check[]
    bad: readonly string[]
    changes: readonly { kind: string; what: string; former?: string; now?: string }[]
  } {
    const command = [process.execPath, MAIN, 'doctor', '-o', 'json', '--config', this.config]
    const { status, stdout, stderr } = this.lan.network.exec(this.lan.node, command, { mayFail: true })
    if (stdout === '') throw new Error(stderr)
    const report = JSON.parse(stdout)
    const bad = (report.checks as Check[]).filter(({ result }) => result === 'problem').map(({ name }) => name)
    expect(report.healthy).toBe(status === 0)
    return { status, checks: report.checks, bad, changes: report.changes }
  }
}

testNeeding(
  'root',
  'ip',
  'ping',
  'nft',
  'iptables-nft',
)(
  'a node that has nothing, is mended by its service, is broken, and is mended again',
  async () => {
    const patient = new Patient()
    const { lan } = patient
    try {
      lan.run('iptables-nft', '-P', 'FORWARD', 'DROP')
      const empty = patient.doctor()
      expect(empty.status).toBe(3)
      expect(empty.bad).toEqual(
        expect.arrayContaining([
          'API server',
          'state folder',
          'service',
          'pod CIDRs',
          'forwarding',
          'CNI plugin',
          'CNI loopback',
        ]),
      )
      expect(empty.changes).toEqual([])

      patient.surround()
      patient.startAgent()
      const well = await eventually('the doctor is content', () => {
        const found = patient.doctor()
        if (found.status === 0) return found
        throw new Error(JSON.stringify(found.checks.filter(({ result }) => result === 'problem')))
      })
      expect(well.bad).toEqual([])
      expect(well.checks.find(({ name }) => name === 'FORWARD')?.detail).toBe(
        'ip filter drops, and pods are let through',
      )
      expect(well.checks.find(({ name }) => name === 'BGPPeer lan')?.detail).toBe('172.16.0.254 port 179 answers')
      await eventually('the server of the plugin is found', () =>
        patient.doctor().checks.some(({ name, result }) => name === 'CNI server' && result === 'ok'),
      )
      expect(well.changes).toContainEqual({ kind: 'sysctl', what: 'net.ipv4.ip_forward', former: '0', now: '1' })
      expect(well.changes.map(({ kind, what }) => `${kind} ${what}`)).toEqual(
        expect.arrayContaining([
          'route 10.0.2.0/24 via 172.16.0.12 dev eth0',
          'route unreachable 10.0.1.0/24',
          'firewall table ip terway-edge',
          'firewall chain TERWAY-EDGE of table ip filter, and a jump to it',
          `file ${patient.conflist}`,
        ]),
      )
      expect(lan.pings(lan.pod, FAR)).toBe(true)

      const taker = lan.network.spawn(lan.node, [process.execPath, '-e', SWITCH])
      lan.run(
        'nft',
        'add table inet t; add chain inet t c { type filter hook forward priority 0; }; add rule inet t c ip saddr 10.0.0.0/8 drop',
      )
      lan.network.ip(lan.node, 'rule add to 10.0.0.0/8 table 77')
      lan.network.ip(lan.node, 'route add blackhole 10.0.0.0/8 table 77')
      await eventually('each fault is named by doctor', () => {
        const { bad } = patient.doctor()
        expect(bad).toEqual(expect.arrayContaining(['routes', 'FORWARD', 'BGP port', 'service']))
        return true
      })
      taker.kill('SIGKILL')
      lan.run('nft', 'delete table inet t')
      lan.network.ip(lan.node, 'rule del to 10.0.0.0/8 table 77')
      await eventually('and not when it is gone', () => patient.doctor().status === 0)

      lan.network.ip(lan.node, 'link set eth0 mtu 1400')
      await eventually('the MTU of pods follows the uplink', () =>
        readFileSync(patient.conflist, 'utf8').includes('1400'),
      )

      await patient.stopAgent()
      lan.run('iptables-nft', '-F')
      lan.run('nft', 'delete', 'table', 'ip', 'terway-edge')
      lan.run('sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward')
      lan.network.ip(lan.node, 'route del 10.0.2.0/24')
      rmSync(patient.conflist)
      writeFileSync(join(lan.folder, 'net.d/05-other.conflist'), '{}')
      const broken = patient.doctor()
      expect(broken.status).toBe(3)
      expect(broken.bad).toEqual(['service', 'routes', 'forwarding', 'FORWARD', 'masquerade', 'CNI configuration'])
      const bad = broken.checks.filter(({ result }) => result === 'problem' || result === 'warning')
      expect(bad.filter(({ remedy }) => remedy === undefined)).toEqual([])

      rmSync(join(lan.folder, 'net.d/05-other.conflist'))
      patient.startAgent()
      await eventually('it is mended', () => patient.doctor().status === 0)

      lan.network.ip(lan.node, 'route del 10.0.2.0/24')
      lan.network.ip(lan.node, 'link set eth0 down')
      expect(patient.doctor().bad).toEqual(expect.arrayContaining(['uplink', 'BGPPeer lan']))
    } finally {
      await patient.stopAgent()
      await lan.close()
    }
  },
  300_000,
)

testNeeding('root')('wrong usage is exit status 2, a file with problems is one of the findings', () => {
  const doctor = (...words: string[]) => run([process.execPath, MAIN, 'doctor', ...words], { mayFail: true })
  expect(doctor('--config', '/nonexistent/file').status).toBe(2)
  expect(doctor('-o', 'yaml').status).toBe(2)
  expect(doctor('--what').status).toBe(2)
  const folder = mkdtempSync(join(tmpdir(), 'te-doctor-'))
  try {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, 'statte: /x\n')
    const found = doctor('--config', file, '--state', join(folder, 'state'))
    expect(found.status).toBe(3)
    expect(found.stdout).toContain('statte: unknown key')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
