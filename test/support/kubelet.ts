/**
 * A real node for tests: Debian's containerd and the kubelet of KUBEBUILDER_ASSETS, in a network
 * namespace given and in mount, PID and UTS namespaces of its own, registered at a `TestApiServer`.
 * Its CNI folders are ordinary ones, and commands run in it as on that machine.
 *
 * Pods need `imagePullPolicy: Never` and one image, busybox; there is no registry, scheduler or
 * service proxy.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeBusyboxImage } from './busybox-image.ts'
import type { TestApiServer } from './kube-apiserver.ts'
import { kubeletCgroups } from './kubernetes-version.ts'
import { type CommandResult, eventually, run } from './namespaces.ts'

export const IMAGE = 'localhost/busybox:1'
const PAUSE = 'localhost/pause:1'

/** What a test must ask for (`testNeeding`) before it starts one. */
export const KUBELET_NEEDS: readonly string[] = [
  'root',
  'KUBEBUILDER_ASSETS',
  ...['containerd', 'ctr', 'runc', 'busybox', 'conntrack', 'iptables', 'unshare', 'nsenter'],
  ...(existsSync(kubeletPath()) ? [] : ['kubelet']),
]

export interface KubeletOptions {
  readonly server: TestApiServer
  /** As `ip netns` names it. */
  readonly namespace: string
  /** The node's name in Kubernetes, and its address. */
  readonly name: string
  readonly address: string
  /** More images than busybox: tar files, one name each. */
  readonly images?: readonly string[]
}

export class TestKubelet {
  readonly folder: string
  /** Where the runtime looks for CNI configurations and plugins. */
  readonly confDir: string
  readonly binDir: string
  readonly #options: KubeletOptions
  readonly #process: Bun.Subprocess

  /** Starts it and waits until its Node is registered. */
  static async start(options: KubeletOptions): Promise<TestKubelet> {
    const node = new TestKubelet(options)
    try {
      const { server, name } = options
      const registered = () => {
        if (node.#process.exitCode !== null) throw new Error(`the node ended: ${node.logTail()}`)
        return server.kubectl(['get', 'node', name], { mayFail: true }).status === 0
      }
      await eventually(`node ${name} is registered`, registered, 60)
      return node
    } catch (error) {
      await node.close()
      throw error
    }
  }

  private constructor(options: KubeletOptions) {
    this.#options = options
    this.folder = mkdtempSync(join(tmpdir(), 'te-kubelet-'))
    this.confDir = join(this.folder, 'net.d')
    this.binDir = join(this.folder, 'bin')
    mkdirSync(this.confDir)
    mkdirSync(this.binDir)
    writeFileSync(join(this.folder, 'resolv.conf'), '')
    writeFileSync(join(this.folder, 'containerd.toml'), this.#containerdConfig())
    writeFileSync(join(this.folder, 'kubelet.json'), JSON.stringify(kubeletConfig(this.folder)))
    writeBusyboxImage(this.folder, [IMAGE, PAUSE])
    for (const [index, image] of (options.images ?? []).entries()) {
      symlinkSync(image, join(this.folder, `${index}-image.tar`))
    }
    this.#process = Bun.spawn(
      [
        ...['nsenter', `--net=/run/netns/${options.namespace}`],
        ...['unshare', '--mount', '--uts', '--pid', '--fork', '--kill-child'],
        ...[`${import.meta.dir}/kubelet-node.sh`, this.folder, options.name],
      ],
      {
        stdin: 'ignore',
        stdout: Bun.file(join(this.folder, 'node.log')),
        stderr: Bun.file(join(this.folder, 'node.log')),
        env: { ...process.env, KUBELET: this.#kubeletCommand() },
      },
    )
  }

  /** Runs a command on that machine to its end. */
  exec(command: readonly string[], options: { mayFail?: boolean } = {}): CommandResult {
    return run([...this.#enter(), ...command], options)
  }

  /** Starts a program on that machine; it ends with it, if not before. */
  spawn(command: readonly string[], log: string): Bun.Subprocess {
    const file = Bun.file(join(this.folder, log))
    return Bun.spawn([...this.#enter(), ...command], { stdin: 'ignore', stdout: file, stderr: file })
  }

  /** The last lines of a log of that machine. */
  logTail(name = 'kubelet.log', lines = 3): string {
    const files = [name, 'node.log'].map(file => join(this.folder, file)).filter(file => existsSync(file))
    return files.flatMap(file => readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines)).join(' | ')
  }

  /** Power off: everything on that machine is killed, and its folder removed. */
  async close(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#process.exited
    const tasks = join(this.folder, 'state/io.containerd.runtime.v2.task/k8s.io')
    const ids = existsSync(tasks) ? readdirSync(tasks) : []
    await eventually('its processes are gone', () => ids.every(removeCgroups))
    cgroups().forEach(removeFolder) // unless another node has containers in it
    rmSync(this.folder, { recursive: true, force: true })
  }

  #enter(): string[] {
    const pid = readFileSync(join(this.folder, 'pid'), 'utf8').trim()
    return ['nsenter', `--target=${pid}`, '--mount', '--uts', '--pid', '--net', '--wd=/', '--']
  }

  #containerdConfig(): string {
    const cri = 'plugins."io.containerd.grpc.v1.cri"'
    return `version = 2
root = "${this.folder}/containerd"
state = "${this.folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[${cri}]
sandbox_image = "${PAUSE}"
stream_server_address = "127.0.0.1"
restrict_oom_score_adj = true
[${cri}.containerd]
snapshotter = "native"
[${cri}.cni]
bin_dir = "${this.binDir}"
conf_dir = "${this.confDir}"
max_conf_num = 1
`
  }

  #kubeletCommand(): string {
    const { server, name, address } = this.#options
    const version = /v1\.(\d+)/.exec(run([kubeletPath(), '--version']).stdout)?.[1] ?? '0'
    return [
      kubeletPath(),
      ...['--config', join(this.folder, 'kubelet.json'), '--kubeconfig', server.kubeconfig],
      ...['--hostname-override', name, '--node-ip', address],
      ...['--root-dir', join(this.folder, 'kubelet'), '--cert-dir', join(this.folder, 'pki')],
      ...(Number(version) < 24 ? ['--container-runtime', 'remote'] : []),
      ...['--container-runtime-endpoint', 'unix:///run/containerd/containerd.sock'],
    ].join(' ')
  }
}

function kubeletPath(): string {
  return join(process.env.KUBEBUILDER_ASSETS ?? '/nowhere', 'kubelet')
}

function kubeletConfig(folder: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    ...kubeletCgroups(),
    evictionHard: { 'nodefs.available': '0%', 'nodefs.inodesFree': '0%', 'imagefs.available': '0%' },
    imageGCHighThresholdPercent: 100,
    nodeStatusUpdateFrequency: '1s',
    resolvConf: join(folder, 'resolv.conf'),
  }
}

/** containerd's cgroups, in the one hierarchy or in each of several. */
function cgroups(): string[] {
  const base = '/sys/fs/cgroup'
  return [base, ...readdirSync(base).map(name => join(base, name))].map(path => join(path, 'k8s.io')).filter(existsSync)
}

/** The cgroups of a container outlive it; true when they are gone. */
function removeCgroups(id: string): boolean {
  return cgroups().every(group => !existsSync(join(group, id)) || removeFolder(join(group, id)))
}

/** False while it is in use. */
function removeFolder(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch {
    return false
  }
}
