/** The configuration file and its flags: defaults, and all problems at once, each by its path. */
import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { UserError } from '../../src/lib/errors.ts'

function refusal(text: string): string {
  try {
    parseConfig(text, '/etc/x.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    expect(error).toHaveProperty('exitStatus', 2)
    return error instanceof Error ? error.message : ''
  }
  throw new Error('it was accepted')
}

test('an empty file gives the documented defaults', () => {
  const config = parseConfig('# nothing\n', '/etc/x.yaml', {}, 'Shop-7')
  expect(config).toMatchObject({
    node: 'shop-7',
    state: '/var/lib/terway-edge',
    status: { listen: '127.0.0.1:9179' },
    route: { protocol: 187, table: 254 },
    network: { podsPerNode: 128 },
    allocatePodCIDRs: true,
    cni: { confDir: '/etc/cni/net.d', binDir: '/opt/cni/bin', mtu: 'auto' },
    firewall: { acceptPodTraffic: true },
    ipMasq: { enabled: false, nonMasqueradeCIDRs: [] },
  })
})

test('every key is read by somebody', () => {
  const leaves = (value: object): string[] =>
    Object.entries(value).flatMap(([key, inner]) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? leaves(inner) : [key],
    )
  const code = [...new Bun.Glob('**/*.{ts,tsx}').scanSync('src')]
    .filter(file => !file.startsWith('config/'))
    .map(file => readFileSync(`src/${file}`, 'utf8'))
  const words = new Set(code.flatMap(text => text.match(/\w+/g) ?? []))
  const keys = leaves(parseConfig('', '/etc/x.yaml'))
  expect(keys.length).toBeGreaterThan(35)
  expect(keys.filter(key => !words.has(key))).toEqual([])
})

test('flags override the file', () => {
  const config = parseConfig('status: {listen: "127.0.0.1:1"}\nstate: /a\nnode: n1', 'f', {
    statusListen: '127.0.0.1:0',
    state: '/b',
    node: 'n2',
  })
  expect(config).toMatchObject({ status: { listen: '127.0.0.1:0' }, state: '/b', node: 'n2' })
})

test('all problems are listed at once, each with its path', () => {
  const message = refusal(
    'netwrok: {}\nnetwork: {podCIDRs: [10.0.0.5/8], x: 1}\nroute: {protocol: 2}\nstatus: {listen: foo}\ncni: {mtu: big}',
  )
  expect(message).toContain('/etc/x.yaml has 6 problems')
  expect(message).toContain('netwrok: unknown key')
  expect(message).toContain('network.x: unknown key')
  expect(message).toContain(
    'network.podCIDRs[0]: "10.0.0.5/8" is not a CIDR block: host bits are set; did you mean 10.0.0.0/8?',
  )
  expect(message).toContain('route.protocol: ')
  expect(message).toContain('status.listen: write it as ADDRESS:PORT')
  expect(message).toContain('cni.mtu: auto, or a number')
})

test('problems are told in plain words', () => {
  const message = refusal(
    'logLevel: loud\nnetwork: {podsPerNode: 1.5}\nbgp: {listenPort: 99999}\nroute: {table: foo}\nstatus: {listen: "[::1]:70000", tls: {key: k}}\nipMasq:\nfirewall: 5\nstate: ""',
  )
  expect(message.split('\n').slice(1).sort()).toEqual([
    '  bgp.listenPort: must be at most 65535',
    '  firewall: must be keys and values, not 5',
    '  ipMasq: has no value: give it one, or leave the key out',
    '  logLevel: must be one of debug, info, warn, error, silent',
    '  network.podsPerNode: must be a whole number, not 1.5',
    '  route.table: main, default, or a number from 1 to 4294967295',
    '  state: is empty',
    '  status.listen: a port is at most 65535',
    '  status.tls.certificate: is required',
  ])
  expect(refusal('network:\n  podsPerNode: 2\n\tserviceCIDRs: []')).toContain('line 3, column 1): tab characters')
})

test('a state folder that others share is refused: uninstall --purge would take all of it', () => {
  for (const path of ['/', '/var/lib/', '/var/lib/x/..']) {
    expect(refusal(`state: ${path}`)).toContain('state: name a folder of its own')
  }
  expect(parseConfig('state: /var/lib/x', 'f').state).toBe('/var/lib/x')
})

test('a problem of a flag is told as one of the flag', () => {
  const given = { statusListen: '9179', logLevel: 'loud' }
  expect(() => parseConfig('', '/etc/x.yaml', given)).toThrow(
    /^the command line has 2 problems:\n {2}--log-level: .*\n {2}--status-listen: /,
  )
  expect(() => parseConfig('node: A_B', '/etc/x.yaml', given)).toThrow(/^\/etc\/x.yaml has 3 problems:\n {2}node: /)
})

test('settings under which no pod could be served are refused', () => {
  expect(refusal('network: {podsPerNode: 1}')).toContain(
    'network.podsPerNode: a podCIDR of one address cannot be served',
  )
  expect(refusal('route: {table: 255}')).toContain('route.table')
  expect(parseConfig('route: {table: 100}', 'f').route.table).toBe(100)
})

test('pools that overlap, or that nothing can come from, are refused', () => {
  expect(refusal('network: {podCIDRs: [10.0.0.0/8, 10.1.0.0/16]}')).toContain('no address may stand in two pools')
  expect(refusal('network: {podCIDRs: [10.1.0.0/16], vpcCIDRs: [10.0.0.0/8]}')).toContain('nothing can be allocated')
  expect(
    parseConfig('network: {podCIDRs: [10.0.0.0/8], dataCenterCIDRs: [10.0.0.0/16]}', 'f').network.podCIDRs,
  ).toEqual(['10.0.0.0/8'])
})

test('what is not a YAML mapping is refused', () => {
  expect(refusal('[a')).toContain('is not YAML')
  expect(refusal('- a')).toContain('is not a configuration')
})

test('a named file must be there; the default one need not', () => {
  const folder = mkdtempSync(join(tmpdir(), 'terway-edge-config-'))
  try {
    expect(() => loadConfig({ config: join(folder, 'none.yaml') })).toThrow('cannot read the configuration file')
    writeFileSync(join(folder, 'c.yaml'), 'logLevel: debug')
    expect(loadConfig({ config: join(folder, 'c.yaml') }).logLevel).toBe('debug')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
