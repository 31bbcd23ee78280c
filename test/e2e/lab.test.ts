/**
 * `terway-edge lab` as a person runs it: the whole system with real routers, up, checked, damaged,
 * killed and taken down. Runs the built executable where there is one, else the source.
 */
import { afterAll, afterEach, describe, expect } from 'bun:test'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MIN_IDLE } from '../../src/lab/cloud-plan.ts'
import { TestApiServer } from '../support/kube-apiserver.ts'
import { eventually, run } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const BUILT = resolve('dist/terway-edge')
const COMMAND = existsSync(BUILT) ? [BUILT] : [process.execPath, resolve('src/main.ts')]
const MINUTES = 60_000

const root = mkdtempSync(join(tmpdir(), 'te-lab-e2e-'))
chmodSync(root, 0o755) // FRR's daemons run as a user of their own
const directory = join(root, 'lab')

interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

function start(words: readonly string[]) {
  return Bun.spawn([...COMMAND, 'lab', ...words], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
}

async function lab(...words: string[]): Promise<Ended> {
  const child = start(words)
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { status, stdout, stderr }
}

/** `lab` with the folder of this test, which must end with `status`. */
async function labEnding(status: number, subcommand: string, ...words: string[]): Promise<Ended> {
  const ended = await lab(subcommand, '--dir', directory, ...words)
  if (ended.status !== status)
    throw new Error(`lab ${subcommand} ended with ${ended.status}:\n${ended.stderr}${ended.stdout}`)
  return ended
}

/** Everything of this test's lab that is still there. */
function traces(): string[] {
  const namespaces = existsSync('/run/netns')
    ? readdirSync('/run/netns').filter(name => prefix !== '' && name.startsWith(prefix))
    : []
  const processes = readdirSync('/proc').filter(entry => {
    try {
      return (
        /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/environ`, 'utf8').includes(`TERWAY_EDGE_LAB=${directory}`)
      )
    } catch {
      return false
    }
  })
  return [...namespaces, ...processes.map(pid => `process ${pid}`), ...(existsSync(directory) ? [directory] : [])]
}

/** The process of this test's lab that has that name. */
function recordedPid(name: string): number {
  const record: { processes: { name: string; pid: number }[] } = JSON.parse(
    readFileSync(join(directory, 'lab.json'), 'utf8'),
  )
  const found = record.processes.find(process => process.name === name)
  if (found === undefined) throw new Error(`the lab has no process ${name}`)
  return found.pid
}

/** What the namespaces of this test's lab begin with, once one was seen. */
let prefix = ''
function learnPrefix(text: string): void {
  prefix = /\(namespaces (te-lab-\w+-)…\)/.exec(text)?.[1] ?? prefix
}

afterEach(async () => {
  await lab('down', '--dir', directory)
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const NEEDS = ['root', 'ip', 'ping', 'bird'] as const

describe('lab up --check', () => {
  testNeeding(...NEEDS, 'bgpd')(
    'passes with BIRD in one LAN and FRR in the other, and leaves nothing',
    async () => {
      const links = run(['ip', '-o', 'link']).stdout.split('\n').length
      const { stdout, stderr } = await labEnding(0, 'up', '--check', '--switch', 'bird,frr')
      learnPrefix(stderr)
      expect(prefix).toStartWith('te-lab-')
      expect(stdout).toContain('switch-a (bird)')
      expect(stdout).toContain('switch-b (frr)')
      expect(stdout).not.toContain('FAILED')
      expect(traces()).toEqual([])
      expect(run(['ip', '-o', 'link']).stdout.split('\n').length).toBeLessThanOrEqual(links + 1)
    },
    10 * MINUTES,
  )
})

describe('lab up --cloud --check', () => {
  testNeeding(...NEEDS, 'nft')(
    'joins two LANs with nodes of ECS and ENS whose pods sit on elastic network interfaces, in both families',
    async () => {
      const { stdout } = await labEnding(0, 'up', '--check', '--cloud', '--ipv6', '-o', 'json')
      const state: {
        matrix: { ok: boolean; from: string; to: string; expectedSource: string }[]
        cloudNodes: { node: string; mode: string; inUse: number; interfaces: { state: string; addresses: number }[] }[]
        pages: { name: string }[]
      } = JSON.parse(stdout)
      const hosts = ['node-1', 'node-2', 'node-3', 'node-4', 'cloud-1', 'cloud-2', 'ens-1'].map(name => `pod-${name}`)
      const paths = (names: readonly string[]) =>
        names.flatMap(from => names.filter(to => to !== from).map(to => `${from} > ${to}`))
      const reached = (family: 'ipv4' | 'ipv6') =>
        state.matrix
          .filter(({ ok, expectedSource }) => ok && expectedSource.includes(':') === (family === 'ipv6'))
          .map(({ from, to }) => `${from} > ${to}`)
          .sort()
      expect(reached('ipv4')).toEqual(paths([...hosts, 'vpc']).sort())
      expect(reached('ipv6')).toEqual(paths([...hosts.filter(name => name !== 'pod-ens-1'), 'vpc']).sort())
      expect(state.cloudNodes.map(({ node, mode, interfaces }) => [node, mode, interfaces.length])).toEqual([
        ['cloud-1', 'eni-ecs', 2],
        ['cloud-2', 'eni-ecs', 2],
        ['ens-1', 'eni-ens', 3],
      ])
      for (const { interfaces } of state.cloudNodes) {
        expect(interfaces.every(({ state: one }) => one === 'InUse')).toBe(true)
        expect(interfaces.reduce((sum, { addresses }) => sum + addresses, 0)).toBeGreaterThanOrEqual(MIN_IDLE)
      }
      expect(state.pages).toHaveLength(8)
      expect(traces()).toEqual([])
    },
    10 * MINUTES,
  )
})

describe('lab up --ipv6 --check', () => {
  testNeeding(...NEEDS, 'bgpd')(
    'passes in both families, over one session each, with either router',
    async () => {
      const { stdout } = await labEnding(0, 'up', '--check', '--ipv6', '--switch', 'frr,bird', '-o', 'json')
      const state: { matrix: { ok: boolean; expectedSource: string }[]; nodes: { podCIDRs: string[] }[] } =
        JSON.parse(stdout)
      expect(state.matrix.filter(({ ok, expectedSource }) => ok && expectedSource.includes(':'))).toHaveLength(20)
      expect(state.matrix).toHaveLength(40)
      expect(state.nodes.every(({ podCIDRs }) => podCIDRs.length === 2)).toBe(true)
    },
    10 * MINUTES,
  )
})

describe('a lab that is up', () => {
  testNeeding(...NEEDS)(
    'repairs a route deleted by hand, says what is wrong when a node dies, and goes without a trace',
    async () => {
      const up = await labEnding(0, 'up')
      learnPrefix(up.stderr)
      const again = await labEnding(1, 'up')
      expect(again.stderr).toContain('is up already')

      const { stdout } = await labEnding(0, 'status', '-o', 'json')
      const state: {
        problems: string[]
        nodes: { node: string; podCIDRs: string[] }[]
        matrix: { ok: boolean }[]
        pages: { name: string; url: string }[]
      } = JSON.parse(stdout)
      expect(state.problems).toEqual([])
      expect(state.matrix.filter(({ ok }) => ok)).toHaveLength(20)
      const page = await fetch(state.pages[0]?.url ?? '')
      expect(await page.text()).toContain('<html')

      const cidr = state.nodes.find(({ node }) => node === 'node-2')?.podCIDRs[0] ?? ''
      await labEnding(0, 'exec', 'node-1', '--', 'ip', 'route', 'del', cidr)
      await eventually('the route is back', async () => {
        const routes = await labEnding(0, 'exec', 'node-1', '--', 'ip', 'route', 'show', cidr)
        return routes.stdout.includes('via 172.16.0.12')
      })
      await labEnding(0, 'check')
      expect((await labEnding(0, 'exec', 'switch-a', '--', 'birdc', 'show', 'route')).stdout).toContain(
        'via 172.16.0.12',
      )
      expect((await labEnding(7, 'exec', 'pod-node-1', 'sh', '-c', 'exit 7')).stdout).toBe('')
      expect((await labEnding(2, 'exec', 'nowhere', 'true')).stderr).toContain('switch-a')

      process.kill(recordedPid('node-2'), 'SIGKILL')
      await eventually('the check fails and says why', async () =>
        (await lab('check', '--dir', directory)).stderr.includes('the process node-2 has ended'),
      )
      await labEnding(0, 'down')
      expect(traces()).toEqual([])
      expect((await labEnding(0, 'down')).stderr).toContain('there is no lab')
    },
    10 * MINUTES,
  )

  testNeeding(...NEEDS, 'kubectl')(
    'works with kubectl, which also tells when a switch is silent',
    async () => {
      await labEnding(0, 'up')
      const nodes = await labEnding(0, 'kubectl', 'get', 'nodes', '-o', 'wide')
      expect(nodes.stdout).toMatch(/^node-3\s+Ready\s.*172\.16\.1\.13/m)
      await eventually('every session counts', async () => {
        const { stdout } = await labEnding(0, 'kubectl', 'get', 'bgppeers', '-o', 'wide')
        return /^lan-a\s+\["node-1","node-2"\]\s+65010\s+172\.16\.0\.1\s+65001\s.*\b2\/2\s+2\b/m.test(stdout)
      })
      const described = await labEnding(0, 'kubectl', 'describe', 'bgppeer', 'lan-b')
      expect(described.stdout).toMatch(/Normal\s+Established\s/)
      process.kill(recordedPid('switch-a'), 'SIGKILL')
      await eventually(
        'the events say why there is no session',
        async () =>
          /FailedEstablish\s.*refused/.test((await labEnding(0, 'kubectl', 'describe', 'bgppeer', 'lan-a')).stdout),
        60,
      )
    },
    10 * MINUTES,
  )
})

describe('lab down', () => {
  testNeeding(...NEEDS)(
    'removes everything after a kill -9 at any step, and lab up builds anew on the ruins',
    async () => {
      for (const lines of [1, 2, 4, 5]) {
        const child = start(['up', '--dir', directory])
        learnPrefix(await untilLines(child.stderr, lines))
        child.kill('SIGKILL')
        await child.exited
        await labEnding(0, 'down')
        expect(traces()).toEqual([])
      }
      const child = start(['up', '--dir', directory])
      await untilLines(child.stderr, 5)
      child.kill('SIGKILL')
      await child.exited
      const { stderr } = await labEnding(0, 'up', '--check')
      expect(stderr).toContain('left behind')
      expect(traces()).toEqual([])
    },
    10 * MINUTES,
  )

  testNeeding(...NEEDS)(
    'is done by lab up itself when it is interrupted or cannot go on',
    async () => {
      const child = start(['up', '--dir', directory])
      await untilLines(child.stderr, 4)
      child.kill('SIGINT')
      expect(await child.exited).toBe(1)
      expect(traces()).toEqual([])
      const failed = await labEnding(1, 'up', '--executable', '/bin/false')
      expect(failed.stderr).toMatch(/relay has ended/)
      expect(traces()).toEqual([])
    },
    10 * MINUTES,
  )
})

/** What a stream says until it has said so many lines. */
async function untilLines(stream: ReadableStream<Uint8Array>, lines: number): Promise<string> {
  let text = ''
  const reader = stream.getReader()
  while (text.split('\n').length <= lines) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`it ended after saying: ${text}`)
    text += new TextDecoder().decode(value)
  }
  reader.releaseLock()
  return text
}

describe('a real cluster', () => {
  testNeeding(...NEEDS, 'KUBEBUILDER_ASSETS')(
    'is used through a relay, and left as it was',
    async () => {
      const server = await TestApiServer.start({ crds: false })
      const kubectl = (words: string) =>
        run([`${process.env.KUBEBUILDER_ASSETS}/kubectl`, '--kubeconfig', server.kubeconfig, ...words.split(' ')])
          .stdout
      try {
        kubectl('create secret generic other -n kube-system --from-literal=a=b')
        const things = () => kubectl('get nodes,crd,secrets,leases -A -o name').split('\n').sort()
        const before = things()
        const { stdout } = await labEnding(0, 'up', '--kubeconfig', server.kubeconfig)
        expect(stdout).not.toContain('FAILED')
        expect(kubectl('get nodes -l terway-edge.lab -o name').trim().split('\n')).toHaveLength(4)
        await labEnding(0, 'check')
        await labEnding(0, 'down')
        expect(things()).toEqual(before)
        expect(traces()).toEqual([])
        run([`${process.env.KUBEBUILDER_ASSETS}/kubectl`, '--kubeconfig', server.kubeconfig, 'create', '-f', '-'], {
          stdin: JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } }),
        })
        const refused = await labEnding(1, 'up', '--kubeconfig', server.kubeconfig)
        expect(refused.stderr).toContain('has a Node node-1 that no lab made')
        expect(things()).toContain('node/node-1')
      } finally {
        await lab('down', '--dir', directory)
        await server.close()
      }
    },
    10 * MINUTES,
  )
})
