/**
 * The memory of the controller with nodes of the cloud: none, one, a thousand with 45 addresses
 * each, in a cluster whose API server and cloud are processes of their own (`eni-world.ts`).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kubeconfigText } from '../../test/support/kubeconfig.ts'
import { type Memory, memory } from './scale/process.ts'
import { EXECUTABLE } from './start.ts'

export interface ControllerMemory {
  readonly nodes: number
  readonly memory: Memory
}

const SETTLE_SECONDS = 20

/** Starts a controller beside so many nodes and looks at it when it has judged all of them. */
export async function controllerMemory(nodes: number): Promise<ControllerMemory> {
  const folder = mkdtempSync(join(tmpdir(), 'terway-edge-bench-'))
  const world = Bun.spawn([process.execPath, `${import.meta.dir}/eni-world.ts`, String(nodes)], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const lines = world.stdout.pipeThrough(new TextDecoderStream()).getReader()
  const line = async () => JSON.parse((await lines.read()).value ?? '')
  const ask = async () => {
    world.stdin.write('\n')
    await world.stdin.flush()
    return await line()
  }
  let controller: Bun.Subprocess | undefined
  try {
    const ports = await line()
    const endpoint = `http://127.0.0.1:${ports.cloud}`
    const [config, kubeconfig] = [join(folder, 'config.yaml'), join(folder, 'kubeconfig')]
    const cloud = { credentials: { from: 'secret', name: 'cloud-key' }, clusterID: 'cluster-1' }
    const endpoints = { ecs: endpoint, vpc: endpoint, ens: endpoint }
    const settings = { allocatePodCIDRs: false, status: { listen: '127.0.0.1:0' }, cloud: { ...cloud, endpoints } }
    writeFileSync(config, JSON.stringify(settings))
    writeFileSync(kubeconfig, kubeconfigText(`http://127.0.0.1:${ports.api}`))
    const words = ['controller', '--config', config, '--kubeconfig', kubeconfig]
    controller = Bun.spawn([EXECUTABLE, ...words], {
      cwd: folder,
      stdout: 'ignore',
      stderr: Bun.file(join(folder, 'log')),
    })
    for (let tries = 0; (await ask()).judged < nodes; tries++) {
      if (tries > 240) throw new Error(`not all nodes were judged: ${await Bun.file(join(folder, 'log')).text()}`)
      await Bun.sleep(500)
    }
    await Bun.sleep(SETTLE_SECONDS * 1000)
    return { nodes, memory: memory(controller.pid) }
  } finally {
    controller?.kill('SIGKILL')
    world.kill('SIGKILL')
    await Promise.all([controller?.exited, world.exited])
    rmSync(folder, { recursive: true, force: true })
  }
}
