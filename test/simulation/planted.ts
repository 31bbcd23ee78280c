/**
 * Defects that are planted, one at a time, into a copy of the product's sources: each must be found
 * by the simulation. Deciders, stores and shells; what each would do to a site stands beside it.
 *
 *   bun test/simulation/planted.ts [WORD]    looks for a seed that finds each (whose name has WORD)
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Planted {
  /** What the site suffers. */
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** What finds it: a seed, or the name of a kept case. */
  readonly by: number | string
}

export const PLANTED: readonly Planted[] = [
  {
    name: 'the Lease is taken while its holder still leads',
    file: 'controller/lease.ts',
    from: 'now - observed.at >= (leaseDurationSeconds ?? LEASE_SECONDS) * 1000',
    to: 'now - observed.at >= 4000',
    by: 1,
  },
  {
    name: 'a leader goes on by its last answer, however old',
    file: 'controller/lease.ts',
    from: 'this.#leadsUntil = sent + RENEW_DEADLINE_MILLISECONDS',
    to: 'this.#leadsUntil = sent + 60 * RENEW_DEADLINE_MILLISECONDS',
    by: 1,
  },
  {
    name: 'routes that are not wanted any more stay',
    file: 'agent/plan.ts',
    from: 'if (!keep.has(route)) changes.push',
    to: 'if (!keep.has(route) && desired.length === 0) changes.push',
    by: 1,
  },
  {
    name: 'merged routes cover more than was given',
    file: 'lib/merge-prefixes.ts',
    from: 'if (a.last + 1n !== b.first || a.first % size !== 0n)',
    to: 'if (a.first % size !== 0n)',
    by: 1,
  },
  {
    name: 'a watch that is too old goes on without a new list',
    file: 'kube/cache.ts',
    from: "if (event.code === 410) return 'relist'",
    to: "if (event.code === 410) return 'again'",
    by: 2,
  },
  {
    name: 'objects that were deleted stay known',
    file: 'kube/cache.ts',
    from: "if (event.type === 'DELETED') return this.#objects.delete(key)",
    to: "if (event.type === 'DELETED') return true",
    by: 3,
  },
  {
    name: 'a short outage after a change makes it held for good',
    file: 'kube/held-changes.ts',
    from: 'if (trial.isSecond || before === undefined)',
    to: 'if (before !== undefined)',
    by: 'short-outage-after-a-change',
  },
  {
    name: 'entries of nodes that are gone stay',
    file: 'controller/slices.ts',
    from: 'if (entry === undefined || kept.length === ENTRIES_PER_SLICE) continue',
    to: 'if (kept.length === ENTRIES_PER_SLICE || entry === undefined) return nodesIn(slice).length > 1 ? [...slice.entries] : kept',
    by: 3,
  },
  {
    name: 'held removals never go on',
    file: 'kube/mass-removal.ts',
    from: 'const isOver = now - since >= delay && input.listedAt - since >= delay',
    to: 'const isOver = false',
    by: 8,
  },
  {
    name: 'a wake-up while a pass runs is lost',
    file: 'lib/loop.ts',
    from: 'else this.#again = Math.min(this.#again ?? settleMilliseconds, settleMilliseconds)',
    to: '',
    by: 'a-node-leaves-and-returns',
  },
  {
    name: 'a freed podCIDR is given to another node at once',
    file: 'controller/pod-cidr.ts',
    from: `    record: memory.record,
    claims: memory.claims,
    given:`,
    to: `    record: new Map(),
    claims: new Map(),
    given:`,
    by: 'a-node-leaves-and-returns',
  },
  {
    name: 'a node that registers again gets another podCIDR',
    file: 'controller/pod-cidr.ts',
    from: 'if (!former.every(podCIDR => fits(name, podCIDR))) continue',
    to: 'if (former.length > 0) continue',
    by: 'a-node-leaves-and-returns',
  },
  {
    name: 'an address is given again while its pod still has it',
    file: 'cni/attachments.ts',
    from: 'new Set(attachments.records.flatMap(record => record.addresses))',
    to: 'new Set(attachments.records.slice(-12).flatMap(record => record.addresses))',
    by: 'more-pods-than-addresses',
  },
  {
    name: 'state that was not synced is lost with the power',
    file: 'lib/files.ts',
    from: 'written)\n    disk.sync(file)',
    to: 'written)',
    by: 'power-lost-while-the-server-is-away',
  },
  {
    name: 'a node that does not know its podCIDRs says that pods can be served',
    file: 'cni/tell-readiness.ts',
    from: "if (ready) return { state: 'ready' }",
    to: "if (ready || problems.length >= 0) return { state: 'ready' }",
    by: 'disks-swapped-while-the-server-is-away',
  },
]

const ROOT = join(import.meta.dir, '..', '..')

/** A copy of the sources with the defect in it; the caller removes the folder. */
export function plant(defect: Planted): string {
  const folder = mkdtempSync(join(tmpdir(), 'terway-edge-planted-'))
  for (const name of ['src', 'test/simulation']) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  for (const name of ['node_modules', 'config', 'ui', 'package.json', 'tsconfig.json'])
    symlinkSync(join(ROOT, name), join(folder, name))
  const path = join(folder, 'src', defect.file)
  const text = readFileSync(path, 'utf8')
  if (text.split(defect.from).length !== 2) throw new Error(`${defect.file} does not hold once: ${defect.from}`)
  writeFileSync(
    path,
    text.replace(defect.from, () => defect.to),
  )
  return folder
}

/** Plays seeds on the copy; the first that fails and what it says. */
export function playPlanted(folder: string, arguments_: readonly string[]): { found: boolean; text: string } {
  const run = Bun.spawnSync([process.execPath, join(folder, 'test/simulation/cli.ts'), '--as-it-is', ...arguments_], {
    cwd: folder,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  return { found: run.exitCode === 1, text: run.stderr.toString() }
}

function search(word: string): void {
  for (const defect of PLANTED.filter(({ name, file }) => new RegExp(word).test(`${name} ${file}`))) {
    const folder = plant(defect)
    const { found, text } = playPlanted(folder, ['--from', '2', '--seeds', '12', '--seconds', '25'])
    console.error(`${found ? 'found' : 'NOT FOUND'}: ${defect.name}: ${text.split('\n')[0]}`)
    rmSync(folder, { recursive: true })
  }
}

if (import.meta.main) search(process.argv[2] ?? '')
