/**
 * What the product shows is what the network does: in a lab with BIRD in one LAN and FRR in the
 * other, faults are put in that leave every session Established and every route in place. Each is
 * named by packets, with its place, and the name goes away with the fault; `check` says the same.
 */
import { afterAll, expect } from 'bun:test'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { PathsView, Snapshot } from '../../src/model/snapshot.ts'
import { eventually, run } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const BUILT = resolve('dist/terway-edge')
const root = mkdtempSync(join(tmpdir(), 'te-proven-'))
chmodSync(root, 0o755) // FRR's daemons run as a user of their own
const directory = join(root, 'lab')
const FILTER = 'import where net ~ [ 10.0.0.0/8+ ]; export none'
const BIRD_FILE = join(directory, 'routers/switch-a/bird.conf')

function lab(subcommand: string, ...words: string[]) {
  return run([BUILT, 'lab', subcommand, '--dir', directory, ...words], { mayFail: true, timeoutMilliseconds: 120_000 })
}

/** Runs a command on a machine of the lab to its end. */
function on(machine: string, ...command: string[]) {
  const { status, stdout, stderr } = lab('exec', machine, '--', ...command)
  if (status !== 0) throw new Error(`${machine}: ${command.join(' ')}: ${stderr}${stdout}`)
  return stdout
}

function snapshotOf(node: string): Snapshot {
  return JSON.parse(lab('exec', node, '--', BUILT, 'status', '-o', 'json').stdout)
}

function pathsOf(node: string): PathsView {
  const { paths } = snapshotOf(node)
  if (paths === undefined) throw new Error(`${node} measures no paths`)
  return paths
}

/** Everybody's routes are proved, and nobody has anything to say. */
function calm(): boolean {
  const { findings: ofVpc, kinds } = pathsOf('vpc')
  if (ofVpc.length > 0 || new Set(kinds.map(({ lan }) => lan)).size < 2) return false
  return ['node-1', 'node-2', 'node-3', 'node-4'].every(node => {
    const { findings, switches } = pathsOf(node)
    return findings.length === 0 && switches.length > 0 && switches.every(({ status }) => status === 'True')
  })
}

/** The process of the lab that has that name. */
function pidOf(name: string): number {
  const record: { processes: { name: string; pid: number }[] } = JSON.parse(
    readFileSync(join(directory, 'lab.json'), 'utf8'),
  )
  const found = record.processes.find(process => process.name === name)
  if (found === undefined) throw new Error(`the lab has no process ${name}`)
  return found.pid
}

function patchGateway(patch: string): void {
  const { status, stderr } = lab('kubectl', 'patch', 'bgppeer', 'lan-a', '--type', 'merge', '-p', patch)
  if (status !== 0) throw new Error(stderr)
}

function filterOfSwitchA(text: string, former: string): void {
  writeFileSync(BIRD_FILE, readFileSync(BIRD_FILE, 'utf8').replaceAll(former, text))
  on('switch-a', 'birdc', 'configure')
  on('switch-a', 'birdc', 'reload', 'in', 'all')
}

interface Fault {
  readonly name: string
  /** Who names it; `vpc` is where the controller runs. */
  readonly node: string
  readonly places: readonly string[]
  readonly put: () => void
  readonly mend: () => void
}

const FAR = ['far node', 'far LAN']

const FILTERED: Fault = {
  name: "the import filter of switch a (BIRD) refuses the LAN's prefixes",
  node: 'node-1',
  places: ['switch'],
  put: () => filterOfSwitchA('import none; export none', FILTER),
  mend: () => filterOfSwitchA(FILTER, 'import none; export none'),
}

/** Two at a time: each is named beside the other, and the one that stays is when the other goes. */
const PAIRS: readonly (readonly [Fault, Fault])[] = [
  [
    FILTERED,
    {
      name: 'a rule of another program that leads into a blackhole',
      node: 'node-4',
      places: ['neighbour'],
      put: () => {
        on('node-4', 'ip', 'route', 'add', 'blackhole', 'default', 'table', '77')
        on('node-4', 'ip', 'rule', 'add', 'to', '10.0.0.0/8', 'table', '77', 'priority', '1000')
      },
      mend: () => void on('node-4', 'ip', 'rule', 'del', 'to', '10.0.0.0/8', 'table', '77', 'priority', '1000'),
    },
  ],
  [
    {
      name: 'the line between the switches has a smaller MTU',
      node: 'node-1',
      places: ['packet size'],
      put: () => void on('switch-a', 'ip', 'link', 'set', 'core', 'mtu', '1400'),
      mend: () => void on('switch-a', 'ip', 'link', 'set', 'core', 'mtu', '1500'),
    },
    {
      name: 'the firewall of a node drops what comes from pods of other nodes',
      node: 'node-3',
      places: ['neighbour'],
      put: () => {
        on('node-4', 'nft', 'add', 'table', 'ip', 'foreign')
        on('node-4', 'nft', 'add', 'chain', 'ip', 'foreign', 'in', '{ type filter hook input priority 0; }')
        on('node-4', 'nft', 'add', 'rule', 'ip', 'foreign', 'in', 'ip', 'saddr', '10.0.1.0/25', 'drop')
      },
      mend: () => void on('node-4', 'nft', 'delete', 'table', 'ip', 'foreign'),
    },
  ],
  [
    {
      name: 'the gateway is on-link and belongs to nobody',
      node: 'node-1',
      places: FAR,
      put: () => patchGateway('{"spec":{"gateway":"172.16.0.77"}}'),
      mend: () => patchGateway('{"spec":{"gateway":null}}'),
    },
    {
      name: "the VPC's route to a pod CIDR leads nowhere",
      node: 'vpc',
      places: FAR,
      put: () => void on('border', 'ip', 'route', 'add', 'blackhole', '10.0.1.0/25', 'metric', '1'),
      mend: () => void on('border', 'ip', 'route', 'del', 'blackhole', '10.0.1.0/25', 'metric', '1'),
    },
  ],
  [
    // this one first: node-2, too, does not reach all of LAN b as long as it is there
    {
      name: 'switch b (FRR) sends one pod CIDR to a next hop that is nobody',
      node: 'node-3',
      places: ['switch'],
      put: () => void on('switch-b', 'ip', 'route', 'add', '10.0.1.128/25', 'via', '172.16.1.99', 'metric', '1'),
      mend: () => void on('switch-b', 'ip', 'route', 'del', '10.0.1.128/25', 'via', '172.16.1.99', 'metric', '1'),
    },
    {
      name: "a leftover route of another program, inside another LAN's pod CIDR",
      node: 'node-2',
      places: FAR,
      put: () => void on('node-2', 'ip', 'route', 'add', 'blackhole', '10.0.1.0/26'),
      mend: () => void on('node-2', 'ip', 'route', 'del', 'blackhole', '10.0.1.0/26'),
    },
  ],
]

/** Whether the one that names it does. */
function isNamed({ node, places }: Fault): boolean {
  return pathsOf(node).findings.some(({ place }) => places.includes(place))
}

/** The sessions of a node, or all of them, know nothing of the fault; the list of problems does. */
function expectGreenSessions({ node, name }: Fault): void {
  const { sessions, problems } = snapshotOf(node)
  expect(problems.length, name).toBeGreaterThan(0)
  expect(
    sessions.every(({ state }) => state === 'Established'),
    name,
  ).toBe(true)
}

afterAll(() => {
  lab('down')
  rmSync(root, { recursive: true, force: true })
})

testNeeding(
  'root',
  'ip',
  'ping',
  'bird',
  'birdc',
  'zebra',
  'nft',
  BUILT,
)(
  'faults that leave everything green are named by packets, and forgotten when they are gone',
  async () => {
    const up = lab('up', '--switch', 'bird,frr')
    expect(up.status, up.stderr + up.stdout).toBe(0)
    await eventually('packets prove the routes of both switches', calm)
    const config = ['--config', join(directory, 'nodes/node-1/config.yaml')]
    const good = lab('exec', 'node-1', '--', BUILT, 'check', ...config)
    expect(good.stdout).toContain('Nothing is lost.')
    expect(good.status).toBe(0)

    const column = () => lab('kubectl', 'get', 'bgppeer', 'lan-a', '-o', 'wide').stdout
    await eventually('the condition says so', () => /2\/2\s+\d+\s+True/.test(column()))

    // from a desk: every LAN, and the VPC, to every other
    const desk = ['check', '--kubeconfig', join(directory, 'kubeconfig.host')]
    const whole = run([BUILT, ...desk], { mayFail: true, timeoutMilliseconds: 150_000 })
    expect(whole.stdout).toMatch(/FROM \\ TO +lan-a +lan-b +VPC\n/)
    expect(whole.stdout).toContain('BGPPeer lan-a: routes of the switch proved (node-1, node-2)')
    expect(whole.stdout).toContain('Nothing is lost.')
    expect(whole.status, whole.stdout + whole.stderr).toBe(0)

    for (const [first, second] of PAIRS) {
      first.put()
      await eventually(`${first.name}: named`, () => isNamed(first), 180)
      expectGreenSessions(first)
      if (first === FILTERED) {
        await eventually('VERIFIED is False', () => /2\/2\s+\d+\s+False/.test(column()))
        const events = () => lab('kubectl', 'describe', 'bgppeer', 'lan-a').stdout
        await eventually('an Event says why', () => /Warning\s+RoutesNotVerified/.test(events()))
      }
      second.put()
      await eventually(`${second.name}: named beside it`, () => isNamed(second) && isNamed(first), 180)
      expectGreenSessions(second)
      first.mend()
      await eventually(`${first.name}: forgotten, the other is not`, () => !isNamed(first) && isNamed(second), 180)
      second.mend()
      await eventually(`${second.name}: forgotten`, calm, 180)
    }

    // the desk sees one that only a node of one LAN can see, and tells who does not answer
    on('node-1', 'ip', 'route', 'add', 'blackhole', '10.0.1.0/25')
    process.kill(pidOf('node-4'), 'SIGSTOP')
    const lost = run([BUILT, ...desk, '--timeout', '15', '-o', 'json'], { mayFail: true, timeoutMilliseconds: 60_000 })
    process.kill(pidOf('node-4'), 'SIGCONT')
    on('node-1', 'ip', 'route', 'del', 'blackhole', '10.0.1.0/25')
    expect(lost.status).toBe(1)
    const said: { silent: string[]; reports: { node: string; paths: PathsView }[] } = JSON.parse(lost.stdout)
    expect(said.silent).toEqual([expect.stringContaining('node-4, a speaker of lan-b, did not answer')])
    const ofNode1 = said.reports.find(({ node }) => node === 'node-1')?.paths.findings ?? []
    expect(ofNode1.map(({ podCIDRs }) => podCIDRs)).toContainEqual(expect.arrayContaining(['10.0.1.0/25']))
    expect(lab('kubectl', 'get', 'bgppeers', '-o', 'yaml').stdout).not.toContain('network.openyurt.io/check')
    await eventually('calm again', calm, 180)

    on('node-1', 'ip', 'route', 'add', 'blackhole', '10.0.0.128/26')
    const bad = lab('exec', 'node-1', '--', BUILT, 'check', ...config, '-o', 'json')
    expect(bad.status).toBe(1)
    const view: PathsView = JSON.parse(bad.stdout)
    expect(view.findings.map(finding => finding.podCIDRs)).toContainEqual(['10.0.0.128/25'])
  },
  1_200_000,
)
