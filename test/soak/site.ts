/**
 * A lab that is up, as a long run handles it: its processes are killed and started again as systemd
 * would, its objects changed as operators do, its packets counted, its memory read. The lab is the
 * product's own (`terway-edge lab up`).
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { KubeApi } from '../../src/kube/api.ts'
import { openCluster } from '../../src/lab/cluster.ts'
import { down } from '../../src/lab/down.ts'
import { observeLab } from '../../src/lab/observe.ts'
import { type LabOptions, type LabPlan, namespacesOf, planLab } from '../../src/lab/plan.ts'
import { isAlive, startProcess } from '../../src/lab/processes.ts'
import { ownCommand } from '../../src/lab/programs.ts'
import { LabBook, type ProcessRecord, readRecord } from '../../src/lab/record.ts'
import { up } from '../../src/lab/up.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { run } from '../support/namespaces.ts'
import { type Counted, countingPackets } from '../support/packets.ts'
import type { Sample } from './growth.ts'

/** Packets from one pod to another, or from the VPC. */
export interface Flow {
  readonly name: string
  readonly namespace: string
  readonly to: string
}

export interface SiteOptions {
  /** Absent: from the sources. */
  readonly executable?: string
  readonly signal?: AbortSignal
  readonly say: (line: string) => void
}

export class Site {
  readonly plan: LabPlan
  readonly api: KubeApi
  readonly flows: readonly Flow[]
  readonly #book: LabBook
  readonly #senders = new Set<Bun.Subprocess>()

  private constructor(plan: LabPlan, book: LabBook) {
    this.plan = plan
    this.#book = book
    this.api = openCluster(book.record.kubeconfig, systemClock)
    this.flows = flowsOf(plan, book)
  }

  /** Builds the lab; throws when it does not come together. */
  static async open(lab: LabOptions, given: SiteOptions): Promise<Site> {
    const { executable, say, signal = new AbortController().signal } = given
    const state = await up({
      lab,
      command: ownCommand(executable),
      pagePort: 0,
      clock: systemClock,
      signal,
      say,
    })
    const record = readRecord(lab.directory)
    if (record === undefined || state.problems.length > 0) {
      await down(lab.directory, systemClock)
      throw new Error(`the lab does not come together: ${state.problems.join('; ')}`)
    }
    return new Site(planLab(lab), new LabBook(record))
  }

  /** What is wrong: seen from outside by pings and switches, and what the processes say. */
  async problems(): Promise<readonly string[]> {
    const { plan, api } = this
    const { problems } = await observeLab({ plan, record: this.#book.record, api, clock: systemClock })
    const told = await Promise.all(this.#book.record.pages.map(({ name, url }) => problemsTold(name, url)))
    return [...problems, ...told.flat()]
  }

  /** Packets of all flows while `during` runs, which begins when those of all flows are sent. */
  async counting(during: () => Promise<void>): Promise<ReadonlyMap<string, Counted>> {
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
    let waiting = this.flows.length
    const sent = () => {
      if (--waiting === 0) during().then(resolve, reject)
      return ended
    }
    const counts = this.flows.map(async flow => [flow.name, await countingPackets(this, flow, sent)] as const)
    return new Map(await Promise.all(counts))
  }

  /** For `countingPackets`. */
  spawn(namespace: string, command: readonly string[]): Bun.Subprocess<'ignore', 'pipe', 'pipe'> {
    const child = Bun.spawn(['ip', 'netns', 'exec', namespace, ...command], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    this.#senders.add(child)
    void child.exited.then(() => this.#senders.delete(child))
    return child
  }

  /** `ip` in a part of the lab. */
  ip(place: string, words: string): string {
    return run(['ip', '-n', this.namespace(place), ...words.split(' ')]).stdout
  }

  /** A command in a part of the lab. */
  exec(place: string, command: readonly string[]): string {
    return run(['ip', 'netns', 'exec', this.namespace(place), ...command]).stdout
  }

  namespace(place: string): string {
    const namespace = namespacesOf(this.plan).get(place)
    if (namespace === undefined) throw new Error(`the lab has no ${place}`)
    return namespace
  }

  processOf(name: string): ProcessRecord {
    const found = this.#book.record.processes.find(process => process.name === name)
    if (found === undefined) throw new Error(`the lab has no process ${name}`)
    return found
  }

  signal(name: string, signal: NodeJS.Signals): void {
    process.kill(this.processOf(name).pid, signal)
  }

  /** Kills a process and starts the same again `milliseconds` later. */
  async restart(name: string, place: string, milliseconds: number): Promise<void> {
    const before = this.processOf(name)
    const command = readFileSync(`/proc/${before.pid}/cmdline`, 'utf8').split('\0').filter(Boolean)
    this.signal(name, 'SIGKILL')
    await Bun.sleep(milliseconds)
    while (isAlive(before)) await Bun.sleep(20)
    startProcess(this.#book, { name, namespace: this.namespace(place), command })
  }

  /** What each process has, in bytes and descriptors. */
  samples(at: number): readonly Sample[] {
    return this.#book.record.processes.filter(isAlive).flatMap(({ name, pid }) => {
      const memory = Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
      return [{ at, name, pid, memory, files: readdirSync(`/proc/${pid}/fd`).length }]
    })
  }

  /** Ends everything; says what could not be removed. */
  async close(): Promise<readonly string[]> {
    for (const child of this.#senders) child.kill('SIGKILL')
    this.api.close()
    return (await down(this.plan.directory, systemClock)).messages
  }
}

/**
 * In a LAN, from LAN to LAN both ways, and from the VPC; where there are both families, each way in
 * one of them, as packets at this rate are what a run costs.
 */
function flowsOf(plan: LabPlan, book: LabBook): readonly Flow[] {
  const [[a1, a2], [b1, b2]] = plan.lans.map(({ nodes }) => nodes.map(({ name }) => name)) as [string[], string[]]
  const ends = [
    [`pod-${a1}`, a2],
    [`pod-${a2}`, b1],
    [`pod-${b2}`, a1],
    [plan.vpc.name, b2],
  ] as const
  return ends.flatMap(([from, node = ''], index) => {
    const addresses = book.record.pods.find(pod => pod.node === node)?.addresses ?? []
    const to = addresses[index % addresses.length]
    const namespace = namespacesOf(plan).get(from)
    return to === undefined || namespace === undefined ? [] : [{ name: `${from} > pod-${node} (${to})`, namespace, to }]
  })
}

/** The list that the page, `status` and the metrics show. */
async function problemsTold(name: string, url: string): Promise<readonly string[]> {
  try {
    const answer = await fetch(`${url}api/v1/snapshot`, { signal: AbortSignal.timeout(5000) })
    const { problems } = (await answer.json()) as { problems: readonly string[] }
    return problems.map(problem => `${name} says: ${problem}`)
  } catch (error) {
    return [`${name} does not answer: ${String(error)}`]
  }
}
