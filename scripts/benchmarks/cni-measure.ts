/**
 * Measures calls of CNI plugins in the network namespace that it is started in: a `Task` as its
 * argument, `Measured[]` on stdout.
 */

import { peakMegabytes } from './peak-memory.ts'

export interface Plugin {
  readonly name: string
  readonly program: string
  readonly config: object
}

interface Task {
  readonly plugins: readonly Plugin[]
  /** Paths of network namespaces, as many as are attached at once. */
  readonly pods: readonly string[]
  readonly rounds: number
  /** CNI_PATH. */
  readonly cniPath: string
}

export interface Measured {
  readonly name: string
  /** Milliseconds, one call each. */
  readonly add: readonly number[]
  readonly del: readonly number[]
  /** Milliseconds until all are done. */
  readonly addAtOnce: readonly number[]
  readonly delAtOnce: readonly number[]
  readonly megabytes: number
}

const UNMEASURED_ROUNDS = 3
const ROUNDS_AT_ONCE = 3

const task: Task = JSON.parse(process.argv[2] ?? '{}')
const runs = task.plugins.map(plugin => ({
  plugin,
  add: [] as number[],
  del: [] as number[],
  addAtOnce: [] as number[],
  delAtOnce: [] as number[],
}))
const [pod = ''] = task.pods

for (let round = -UNMEASURED_ROUNDS; round < task.rounds; round++) {
  for (const run of runs) {
    for (const command of ['ADD', 'DEL'] as const) {
      const began = performance.now()
      const { exitCode, stdout } = Bun.spawnSync([run.plugin.program], {
        ...call(run.plugin, command, { containerId: `single-${round}`, netns: pod }),
        stdout: 'pipe',
        stderr: 'pipe',
      })
      const milliseconds = performance.now() - began
      if (exitCode !== 0) throw new Error(`${run.plugin.name} ${command}: ${stdout}`)
      if (round < 0) continue
      run[command === 'ADD' ? 'add' : 'del'].push(milliseconds)
    }
  }
}
for (let round = 0; round < ROUNDS_AT_ONCE; round++) {
  for (const { plugin, addAtOnce, delAtOnce } of runs) {
    addAtOnce.push(await atOnce(plugin, 'ADD'))
    delAtOnce.push(await atOnce(plugin, 'DEL'))
  }
}
const measured: Measured[] = runs.map(({ plugin, ...times }) => ({
  name: plugin.name,
  ...times,
  megabytes: Math.max(memory(plugin, 'ADD'), memory(plugin, 'DEL')),
}))
console.log(JSON.stringify(measured))

/** In a call that is not timed. */
function memory(plugin: Plugin, command: 'ADD' | 'DEL'): number {
  const options = call(plugin, command, { containerId: 'memory', netns: pod })
  return peakMegabytes([plugin.program], { env: options.env, stdin: options.stdin })
}

async function atOnce(plugin: Plugin, command: 'ADD' | 'DEL'): Promise<number> {
  const began = performance.now()
  const statuses = await Promise.all(
    task.pods.map((netns, index) => {
      const options = call(plugin, command, { containerId: `pod-${index}`, netns })
      return Bun.spawn([plugin.program], { ...options, stdout: 'ignore', stderr: 'ignore' }).exited
    }),
  )
  const milliseconds = performance.now() - began
  const failed = statuses.filter(status => status !== 0).length
  if (failed > 0) throw new Error(`${plugin.name}: ${failed} of ${statuses.length} ${command} at once failed`)
  return milliseconds
}

function call(plugin: Plugin, command: string, { containerId, netns }: { containerId: string; netns: string }) {
  const name = plugin.name.replaceAll(/[^a-z]+/gi, '-').replace(/^-|-$/g, '')
  return {
    stdin: Buffer.from(JSON.stringify({ cniVersion: '1.0.0', name, ...plugin.config })),
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: task.cniPath,
    },
  }
}
