/**
 * From facts to findings, and the text for people: pure. How facts are found on a real node:
 * command.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import { formatDoctor } from '../../src/commands/doctor.ts'
import { checksOf, isHealthy } from '../../src/doctor/checks.ts'
import type { CniFacts, DoctorFacts, NetworkFacts, PeerFacts } from '../../src/doctor/facts.ts'
import { helpOf } from '../../src/doctor/verdicts.ts'

const NETWORK: NetworkFacts = {
  known: true,
  podCIDRs: ['10.0.1.0/25'],
  lacksIPv4: false,
  routes: { wanted: 3, changes: [], conflicts: [], problems: [], astray: [] },
  settings: [],
  uplink: { name: 'eth0', mtu: 1500, carrier: true },
  largerLinks: [],
  firewall: { nft: true, ipv6Pods: false, accept: true, dropping: [], drops: [], doubts: [], legacyCommands: [] },
  duplicates: { silent: [], asked: 2, answers: [], ownHardwareAddresses: [], failed: [] },
}

const PEER: PeerFacts = {
  bgpPeer: 'peer',
  peerIP: '172.16.0.1',
  port: 179,
  onLink: true,
  multihop: false,
  password: false,
  sessionState: 'Established',
}

const CNI: CniFacts = {
  plugin: { file: '/opt/cni/bin/terway-edge', state: 'executable' },
  loopback: { file: '/opt/cni/bin/loopback', state: 'executable' },
  conflist: { file: '/etc/cni/net.d/10-terway-edge.conflist', state: 'right' },
  before: [],
  mtu: 'auto',
  notChained: [],
}

const WELL: DoctorFacts = {
  now: Date.parse('2027-01-01T00:00:00Z'),
  expiries: [],
  node: 'node-1',
  lackingCapabilities: [],
  machine: { kernel: '6.1.0-28-amd64', libc: '2.36', memoryMebibytes: 2048 },
  config: { file: '/etc/terway-edge/config.yaml', present: true },
  kubeconfig: { origin: '/etc/terway-edge/kubeconfig' },
  api: { server: 'https://api:6443', clockAheadSeconds: 0 },
  state: { folder: '/var/lib/terway-edge' },
  service: { pid: 7, ready: true, problems: [] },
  network: NETWORK,
  cni: CNI,
  cniServed: true,
  peers: [PEER],
}

/** The one check that is not well with `facts`, as `name: result: detail | remedy`. */
function finding(facts: Partial<DoctorFacts>): string {
  const bad = checksOf({ ...WELL, ...facts }).filter(({ result }) => result === 'problem' || result === 'warning')
  return bad.map(({ name, result, detail, remedy }) => `${name}: ${result}: ${detail} | ${remedy}`).join('\n')
}
const network = (part: Partial<NetworkFacts>) => finding({ network: { ...NETWORK, ...part } })
const firewall = (part: Partial<NetworkFacts['firewall']>) => network({ firewall: { ...NETWORK.firewall, ...part } })
const peer = (part: Partial<PeerFacts>) => {
  const { sessionState: _, ...rest } = PEER
  return finding({ peers: [{ ...rest, ...part }] })
}

test('a node that is well has nothing to mend', () => {
  const checks = checksOf(WELL)
  expect(checks.map(({ result }) => result)).toEqual(checks.map(() => 'ok'))
  expect(isHealthy(checks)).toBe(true)
  expect(formatDoctor(checks, [])).toContain('Nothing is wrong.')
})

describe('the host', () => {
  test('rights and files', () => {
    expect(finding({ lackingCapabilities: ['CAP_NET_ADMIN'] })).toContain(
      'rights: problem: doctor runs without CAP_NET_ADMIN',
    )
    const broken = { file: '/f', present: true, problem: '/f has a problem' }
    expect(finding({ config: broken })).toContain('configuration: problem')
    expect(finding({ kubeconfig: { origin: '/k', problem: 'cannot read /k' } })).toContain(
      'kubeconfig: problem: cannot read /k',
    )
    expect(finding({ state: { folder: '/s', problem: 'EACCES' } })).toContain('state folder: problem: /s: EACCES')
    expect(finding({ state: { folder: '/s', clusterProblem: 'not JSON' } })).toContain('remove /s/cluster.json')
  })
  test('a configuration file that is not there is not said to be fine', () => {
    const said = (present: boolean) =>
      checksOf({ ...WELL, config: { file: '/f', present } }).find(({ name }) => name === 'configuration')
    expect(said(true)).toEqual({ name: 'configuration', result: 'ok', detail: '/f' })
    expect(said(false)).toEqual({ name: 'configuration', result: 'ok', detail: 'the defaults: there is no /f' })
  })
  test('the service', () => {
    expect(finding({ service: { problems: [] } })).toContain('service: problem: no terway-edge runs')
    expect(finding({ service: { pid: 7, ready: false, problems: ['a', 'b'] } })).toContain('process 7 says: a; b')
    expect(finding({ service: { pid: 7, problem: 'asks for a token', problems: [] } })).toContain('service: warning')
    expect(finding({ service: { problem: 'EACCES', problems: [] } })).toContain(
      'whether one runs cannot be told: EACCES',
    )
  })
  test('TCP MD5 is a problem only where a password is used', () => {
    expect(finding({ md5Problem: 'none' })).toStartWith('TCP MD5: warning')
    expect(finding({ md5Problem: 'none', peers: [{ ...PEER, password: true }] })).toStartWith('TCP MD5: problem')
  })
})

test('the machine: a kernel that is too old, and little memory', () => {
  const machine = (kernel: string, memoryMebibytes = 2048, lacksIPv4 = false) =>
    finding({ machine: { kernel, libc: '2.36', memoryMebibytes }, network: { ...NETWORK, lacksIPv4 } })
  expect(machine('4.19.0-25-amd64')).toStartWith('machine: problem: Linux 4.19.0-25-amd64, glibc 2.36')
  expect(machine('4.20.1')).toBe('')
  expect(machine('5.10.0')).toBe('')
  expect(machine('5.1.21', 2048, true)).toContain('Linux 5.2 is needed for IPv4 routes with an IPv6 next hop')
  expect(machine('5.2.0', 2048, true)).not.toContain('machine:')
  expect(machine('6.1.0', 200)).toStartWith('machine: warning')
})

test('a problem names where the documents say more', () => {
  const text = formatDoctor(checksOf({ ...WELL, api: { server: 's', problem: 'no', status: 0 } }), [])
  expect(text).toContain('\n  More: docs/troubleshooting.md#api-server\n')
  expect(helpOf('BGPPeer shop')).toBe('docs/troubleshooting.md#bgppeer')
})

test('each refusal of the API server has its own remedy', () => {
  const api = (status: number) => finding({ api: { server: 'https://api', problem: 'no', status } })
  expect(api(401)).toContain('new kubeconfig')
  expect(api(403)).toContain('rights of nodes')
  expect(api(404)).toContain('CRDs')
  expect(api(0)).toContain('last good state')
})

describe('time, credentials, ports', () => {
  const now = WELL.now
  const day = 86_400_000
  const expiry = (days: number) => ({
    what: 'client certificate of the kubeconfig',
    at: new Date(now + days * day).toISOString(),
    warnFrom: new Date(now + (days - 14) * day).toISOString(),
  })

  test('a clock that is apart, a certificate that ends', () => {
    const api = (clockAheadSeconds: number) => finding({ api: { server: 'https://api:6443', clockAheadSeconds } })
    expect(api(-30)).toBe('')
    expect(api(300)).toContain("clock: problem: the clock of this machine is 300 s ahead of the API server's")
    expect(api(-3600)).toContain('3600 s behind')
    expect(finding({ expiries: [expiry(30)] })).toBe('')
    expect(finding({ expiries: [expiry(13)] })).toContain(
      'credentials: problem: the client certificate of the kubeconfig expires in 13 days',
    )
    expect(finding({ expiries: [expiry(-1)] })).toContain('has expired')
  })

  test('who has the port of BGP', () => {
    const port = (...holders: { pid: number; name: string }[]) => finding({ bgpPort: { port: 179, holders } })
    expect(port({ pid: 7, name: 'terway-edge' })).toBe('')
    expect(port({ pid: 9, name: 'bird' })).toContain('BGP port: problem: bird (process 9) has TCP port 179')
    expect(port()).toBe('')
    expect(finding({ bgpPort: { port: 179, holders: [{ pid: 9, name: 'bird' }] }, peers: [] })).toBe('')
  })
})

describe('the network', () => {
  test('pod CIDRs and routes', () => {
    const none = { wanted: 0, changes: [], conflicts: [], problems: [], astray: [] }
    expect(network({ known: false, podCIDRs: [], routes: none })).toContain('no RouteSlice names node node-1')
    expect(network({ podCIDRs: [] })).toContain('node node-1 has none yet')
    expect(network({ lacksIPv4: true })).toStartWith('host address: warning: this machine has no IPv4 address')
    const changes = ['add 10.0.2.0/25', 'add 10.0.3.0/25', 'add 10.0.4.0/25', 'add 10.0.5.0/25']
    expect(network({ routes: { ...NETWORK.routes, changes } })).toContain('add 10.0.4.0/25; and 1 more')
    expect(network({ routes: { ...NETWORK.routes, conflicts: ['10.0.2.0/25: taken'], changes } })).toContain(
      'routes: problem: 10.0.2.0/25: taken |',
    )
  })
  test('an address on two machines', () => {
    const [mine, first, second] = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03']
    const answered = (whose: 'node' | 'device', ...hardwareAddresses: string[]) =>
      network({
        duplicates: {
          ...NETWORK.duplicates,
          answers: [{ address: '172.16.0.11', whose, hardwareAddresses }],
          ownHardwareAddresses: [mine],
          failed: [],
        },
      })
    expect(answered('node', mine)).toBe('')
    expect(answered('node', first)).toContain(`duplicate address: problem: ${first} says that it has 172.16.0.11 of`)
    expect(answered('device', first)).toBe('')
    expect(answered('device', mine, first)).toBe('')
    expect(answered('device', first, second)).toContain(`problem: ${first} and ${second} both say`)
    const failed = [{ address: 'fd16::11', interface: 'eth0' }]
    expect(network({ duplicates: { ...NETWORK.duplicates, failed } })).toContain('fd16::11 of eth0')
    const silent = { ...NETWORK.duplicates, silent: ['172.16.0.253'] }
    expect(network({ duplicates: silent })).toContain('peers and gateways: problem: nobody on the LAN answers ARP for')
  })
  test('what leads packets astray, and rules that drop them', () => {
    const astray = ['packets to 10.0.2.0/24 are dropped by blackhole 10.0.0.0/8: remove it']
    expect(network({ routes: { ...NETWORK.routes, astray } })).toContain('routes: problem: packets to 10.0.2.0/24')
    expect(firewall({ drops: ['the firewall drops packets from pods here'] })).toContain(
      'FORWARD: problem: the firewall',
    )
    expect(firewall({ doubts: ['inet t c, rule with handle 4'] })).toBe('')
  })
  test('settings and MTU', () => {
    const settings = [{ name: 'net/ipv4/conf/eth0.5/rp_filter', now: '1', value: '2' }]
    expect(network({ settings })).toContain('net.ipv4.conf.eth0.5.rp_filter is 1, not 2')
    expect(network({ largerLinks: [{ name: 'te1', mtu: 9000 }] })).toContain('more than the 1500 of eth0: te1 has 9000')
    expect(finding({ cni: { ...CNI, mtu: 9000 } })).toContain('set cni.mtu to auto')
    expect(network({ uplink: { name: 'eth0', mtu: 1500, carrier: false } })).toContain('eth0 has no carrier')
  })
  test('FORWARD', () => {
    const dropping = (accepted: boolean) => [{ table: 'ip filter', accepted, advice: '' }]
    expect(firewall({ dropping: dropping(true) })).toBe('')
    expect(firewall({ dropping: dropping(false) })).toContain('FORWARD: problem: ip filter drops the packets of pods')
    expect(firewall({ dropping: dropping(false), accept: false })).toContain('FORWARD: warning')
    expect(firewall({ legacyCommands: ['iptables-legacy -I FORWARD'] })).toContain('run iptables-legacy -I FORWARD')
    expect(firewall({ nft: false })).toContain('FORWARD: warning: the program nft is missing')
    expect(firewall({ nft: false })).not.toContain('sources of pods')
    expect(firewall({ nft: false, ipv6Pods: true })).toContain(
      'sources of pods: problem: nobody checks the IPv6 addresses that pods send from',
    )
    expect(firewall({ nft: false, masqueradeMissing: ['ip'] })).toContain(
      'masquerade: problem: ipMasq needs the program nft',
    )
    expect(firewall({ masqueradeMissing: ['ip'] })).toContain('the rules for ip are missing')
    expect(firewall({ masqueradeMissing: [] })).toBe('')
  })
  test('a kernel that cannot be asked', () => {
    const { network: _, ...rest } = WELL
    const checks = checksOf({ ...rest, networkProblem: 'EPERM' })
    expect(checks.find(({ name }) => name === 'network')?.detail).toBe('the kernel cannot be asked: EPERM')
  })
})

test('what only root may read is a finding, never a failure or a lie', () => {
  const { cni: _, ...rest } = WELL
  const checks = checksOf({ ...rest, cniProblem: 'EACCES' })
  expect(checks.find(({ name }) => name === 'CNI')).toMatchObject({ result: 'problem' })
  expect(formatDoctor(checksOf(WELL), undefined)).toContain('cannot be read: run it as root')
})

test('a server of the plugin that does not run is told, and no problem', () => {
  const checks = checksOf({ ...WELL, cniServed: false })
  const remedy = 'systemctl enable --now terway-edge-cni'
  expect(checks.find(({ name }) => name === 'CNI server')).toMatchObject({
    result: 'skipped',
    detail: expect.stringContaining(remedy),
  })
  expect(isHealthy(checks)).toBe(true)
  // where nobody could ask, nothing is said of it
  const unasked = checksOf({ ...WELL, cniServed: undefined }).find(({ name }) => name === 'CNI server')
  expect(unasked).toEqual({ name: 'CNI server', result: 'skipped', detail: 'only root may ask it' })
})

test('CNI: the files, and the configuration of another that comes first', () => {
  const cni = (part: Partial<CniFacts>) => finding({ cni: { ...CNI, ...part } })
  expect(cni({ before: ['/etc/cni/net.d/05-x.conflist'] })).toContain('05-x.conflist comes before ours')
  expect(cni({ plugin: { file: '/p', state: 'not executable' } })).toContain(
    'CNI plugin: problem: /p is not executable',
  )
  expect(cni({ conflist: { file: '/c', state: 'different' } })).toContain('/c is not what it should be')
})

describe('a peer', () => {
  test('that cannot be reached, and why', () => {
    expect(peer({ onLink: false })).toContain('172.16.0.1 is not on-link')
    expect(peer({ onLink: false, multihop: true, tcp: 'connected' })).toBe('')
    expect(peer({ tcp: { kind: 'refused', detail: 'connection refused' } })).toContain('add this node as a peer')
    expect(peer({ tcp: { kind: 'timed-out', detail: 'timed out' } })).toContain('the peer asks for a password')
    expect(peer({ password: true, tcp: { kind: 'timed-out', detail: 'timed out' } })).toContain('the password differs')
    expect(peer({ tcp: { kind: 'unreachable', detail: 'host is unreachable' } })).toContain('check the cable')
  })
  test('that answers TCP but not BGP', () => {
    expect(peer({ tcp: 'connected' })).toBe('')
    expect(peer({ tcp: 'connected', sessionState: 'Active', sessionError: 'wrong AS' })).toContain(
      'the session is Active: wrong AS',
    )
  })
  test('whose session is up but does not announce all', () => {
    const checks = checksOf({ ...WELL, peers: [{ ...PEER, sessionError: 'not announced: 2 IPv4 prefixes: why' }] })
    const detail = expect.stringMatching(/is Established, but not announced: 2 IPv4 prefixes: why$/)
    expect(checks.at(-1)).toMatchObject({ result: 'problem', detail })
  })
  test('that is waited for is skipped', () => {
    const checks = checksOf({ ...WELL, peers: [{ ...PEER, sessionState: 'Active' }] })
    expect(checks.at(-1)).toMatchObject({ name: 'BGPPeer peer', result: 'skipped' })
  })
})

test('the text for people: problems before warnings, control characters written out, few of many routes', () => {
  const checks = checksOf({ ...WELL, service: { problems: [] }, md5Problem: 'no \x1b[31mMD5' })
  const routes = Array.from({ length: 25 }, (_, index) => ({ kind: 'route' as const, what: `10.0.${index}.0/24` }))
  const sysctl = { kind: 'sysctl', what: 'net.ipv4.ip_forward', former: '0', now: '1' } as const
  const text = formatDoctor(checks, [sysctl, ...routes])
  expect(text.indexOf('PROBLEM: service')).toBeLessThan(text.indexOf('Warning: TCP MD5'))
  expect(text).not.toContain('\x1b')
  expect(text).toMatch(/sysctl +net\.ipv4\.ip_forward +0 +1/)
  expect(text).toContain('and 5 more routes')
})
