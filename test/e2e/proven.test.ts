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
  return ['node-1', 'node-2', 'node-3', 'node-4'].every(node => {
    const { findings, switches } = pathsOf(node)
    return findings.length === 0 && switches.length > 0 && switches.every(({ status }) => status === 'True')
  })
}

function sees(node: string, place: string): () => boolean {
  return () => pathsOf(node).findings.some(finding => finding.place === place)
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
  readonly node: string
  readonly place: string
  readonly put: () => void
  readonly mend: () => void
}

const FAULTS: readonly Fault[] = [
  {
    name: "the import filter of switch a (BIRD) refuses the LAN's prefixes",
    node: 'node-1',
    place: 'switch',
    put: () => filterOfSwitchA('import none; export none', FILTER),
    mend: () => filterOfSwitchA(FILTER, 'import none; export none'),
  },
  {
    name: 'switch b (FRR) sends one pod CIDR to a next hop that is nobody',
    node: 'node-3',
    place: 'switch',
    put: () => void on('switch-b', 'ip', 'route', 'add', '10.0.1.128/25', 'via', '172.16.1.99', 'metric', '1'),
    mend: () => void on('switch-b', 'ip', 'route', 'del', '10.0.1.128/25', 'via', '172.16.1.99', 'metric', '1'),
  },
  {
    name: 'the gateway is on-link and belongs to nobody',
    node: 'node-1',
    place: 'far',
    put: () => patchGateway('{"spec":{"gateway":"172.16.0.77"}}'),
    mend: () => patchGateway('{"spec":{"gateway":null}}'),
  },
  {
    name: "a leftover route of another program, inside another LAN's pod CIDR",
    node: 'node-2',
    place: 'far',
    put: () => void on('node-2', 'ip', 'route', 'add', 'blackhole', '10.0.1.0/26'),
    mend: () => void on('node-2', 'ip', 'route', 'del', 'blackhole', '10.0.1.0/26'),
  },
  {
    name: 'a rule of another program that leads into a blackhole',
    node: 'node-4',
    place: 'neighbour',
    put: () => {
      on('node-4', 'ip', 'route', 'add', 'blackhole', 'default', 'table', '77')
      on('node-4', 'ip', 'rule', 'add', 'to', '10.0.0.0/8', 'table', '77', 'priority', '1000')
    },
    mend: () => void on('node-4', 'ip', 'rule', 'del', 'to', '10.0.0.0/8', 'table', '77', 'priority', '1000'),
  },
  {
    name: 'the line between the switches has a smaller MTU',
    node: 'node-1',
    place: 'packet size',
    put: () => void on('switch-a', 'ip', 'link', 'set', 'core', 'mtu', '1400'),
    mend: () => void on('switch-a', 'ip', 'link', 'set', 'core', 'mtu', '1500'),
  },
]

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

    for (const { name, node, place, put, mend } of FAULTS) {
      put()
      const named = place === 'far' ? () => sees(node, 'far node')() || sees(node, 'far LAN')() : sees(node, place)
      await eventually(`${name}: named`, named, 60)
      const { sessions, problems } = snapshotOf(node)
      if (name.startsWith('the import filter')) {
        await eventually('VERIFIED is False', () => /2\/2\s+\d+\s+False/.test(column()))
        const events = () => lab('kubectl', 'describe', 'bgppeer', 'lan-a').stdout
        await eventually('an Event says why', () => /Warning\s+RoutesNotVerified/.test(events()))
      }
      expect(problems.length, name).toBeGreaterThan(0)
      expect(
        sessions.every(({ state }) => state === 'Established'),
        name,
      ).toBe(true)
      mend()
      await eventually(`${name}: forgotten`, calm, 90)
    }

    on('node-1', 'ip', 'route', 'add', 'blackhole', '10.0.0.128/26')
    const bad = lab('exec', 'node-1', '--', BUILT, 'check', ...config, '-o', 'json')
    expect(bad.status).toBe(1)
    const view: PathsView = JSON.parse(bad.stdout)
    expect(view.findings.map(finding => finding.podCIDRs)).toContainEqual(['10.0.0.128/25'])
  },
  600_000,
)
