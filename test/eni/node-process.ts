/**
 * `terway-edge node` as a process in a machine of `cloud-network.ts`, with a state folder, and an
 * API server or none.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually } from '../support/namespaces.ts'
import { type CloudNode, POD_GATEWAYS } from './cloud-network.ts'

/**
 * The ENINode of a machine, with all of its addresses, as controller and cloud would have made it.
 */
export function eniNodeOf(node: CloudNode, platform: 'ecs' | 'ens' = 'ecs') {
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'ENINode',
    metadata: { name: node.name },
    spec: {
      platform,
      instanceID: 'i-1',
      instanceType: 'ecs.g7.large',
      regionID: 'cn-hangzhou',
      zoneID: 'cn-hangzhou-k',
      vSwitchIDs: ['vsw-1'],
      securityGroupIDs: ['sg-1'],
      ipFamilies: ['IPv4', 'IPv6'],
      limits: { interfaces: 2, addressesPerInterface: 6 },
      pool: { minIdle: 0, maxIdle: 5, warmUp: 0 },
    },
    status: {
      interfaces: node.enis.map(({ id, port, addresses }) => ({
        id,
        mac: port.mac,
        vSwitchID: 'vsw-1',
        state: 'InUse',
        gateways: [...POD_GATEWAYS],
        addresses: [...addresses],
        releasing: [] as string[],
      })),
      operations: [],
      conditions: [] as object[],
    },
  }
}

export class NodeProcess {
  readonly node: CloudNode
  readonly lines: string[] = []
  readonly #folder: string
  readonly #child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>

  /**
   * `kubeconfig` absent: no API server answers. `program`: the built executable in place of the
   * sources.
   */
  constructor(node: CloudNode, options: { kubeconfig?: string; config?: object; program?: string } = {}) {
    this.node = node
    this.#folder = join(node.stateDir, 'test')
    mkdirSync(this.#folder, { recursive: true })
    const config = join(this.#folder, 'config.yaml')
    const [confDir, binDir] = [join(this.#folder, 'net.d'), join(this.#folder, 'bin')]
    const { kubeconfig = join(this.#folder, 'kubeconfig') } = options
    writeFileSync(config, JSON.stringify({ cni: { confDir, binDir }, paths: { enabled: false }, ...options.config }))
    if (options.kubeconfig === undefined) writeFileSync(kubeconfig, kubeconfigText('http://127.0.0.1:1'))
    const program = options.program === undefined ? [process.execPath, 'src/main.ts'] : [options.program]
    const words = ['agent', '--config', config, '--kubeconfig', kubeconfig, '--state', node.stateDir]
    const child = Bun.spawn(['ip', 'netns', 'exec', node.namespace, ...program, ...words, '--node', node.name], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
    })
    this.#child = child
    void (async () => {
      const decoder = new TextDecoder()
      for await (const chunk of child.stderr) this.lines.push(...decoder.decode(chunk).split('\n'))
    })()
  }

  snapshot(): Snapshot {
    const words = [process.execPath, 'src/main.ts', 'status', '-o', 'json']
    return JSON.parse(this.node.network.exec(this.node.namespace, words, { mayFail: true }).stdout)
  }

  async untilReady(): Promise<Snapshot> {
    try {
      return await eventually(`${this.node.name} is ready`, () => {
        const seen = this.snapshot()
        return seen.ready && seen.node?.interfaces !== undefined ? seen : undefined
      })
    } catch (cause) {
      throw new Error(this.lines.join('\n'), { cause })
    }
  }

  /** What the container runtime reads. */
  get conflist(): string {
    return join(this.#folder, 'net.d/10-terway-edge.conflist')
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal)
    await this.#child.exited
  }
}
