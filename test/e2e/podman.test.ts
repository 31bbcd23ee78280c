/**
 * Containers of podman with its CNI backend, on the CNI configuration that the node agent writes:
 * the second runtime beside containerd.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { cniConfigFile, writeCniConfig } from '../../src/agent/cni-config.ts'
import { chainedPlugins } from '../../src/agent/cni-plugins.ts'
import { writeBusyboxImage } from '../support/busybox-image.ts'
import { type CommandResult, run, TestNetwork } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = ['root', 'podman', 'conmon', 'runc', 'busybox', 'iptables', 'nsenter', '/usr/lib/cni/portmap']
const IMAGE = 'localhost/busybox:1'
const BUILT = resolve('dist/terway-edge')

const folder = mkdtempSync(join(tmpdir(), 'te-podman-'))
const stateDir = join(folder, 'state')
let network: TestNetwork
let node: string
let lan: string

if (missing(NEEDS).length === 0) {
  beforeAll(() => {
    network = new TestNetwork()
    node = network.namespace('node')
    lan = network.namespace('lan')
    network.connect(
      { namespace: node, interface: 'eth0', addresses: ['172.16.0.11/24'] },
      { namespace: lan, interface: 'eth0', addresses: ['172.16.0.1/24'] },
    )
    network.exec(node, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    network.ip(lan, 'route add 10.0.1.0/25 via 172.16.0.11')
    const binDir = join(folder, 'bin')
    mkdirSync(binDir)
    installPlugin(join(binDir, 'terway-edge'))
    symlinkSync('/usr/lib/cni/portmap', join(binDir, 'portmap'))
    writeCniConfig(folder, { podCIDRs: ['10.0.1.0/25'], stateDir, chained: chainedPlugins(binDir) })
    writeFileSync(join(folder, 'containers.conf'), configuration(binDir))
    writeBusyboxImage(folder, [IMAGE])
    podman('load', '-i', join(folder, 'image.tar'))
  }, 300_000)

  afterAll(async () => {
    podman('rm', '--all', '--force', '--time=0')
    await network.close()
    removeCgroups()
    rmSync(folder, { recursive: true, force: true })
  }, 300_000)
}

function installPlugin(path: string): void {
  if (existsSync(BUILT)) {
    symlinkSync(BUILT, path)
    return
  }
  writeFileSync(path, `#!/bin/sh\nexec ${process.execPath} ${resolve('src/main.ts')} "$@"\n`)
  chmodSync(path, 0o755)
}

/**
 * Nothing of it outside of the folder, and nothing that takes more rights than a test machine may
 * have.
 */
function configuration(binDir: string): string {
  return `[network]
network_backend = "cni"
cni_plugin_dirs = ["${binDir}"]
network_config_dir = "${folder}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
lock_type = "file"
tmp_dir = "${folder}/tmp"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
pids_limit = 0
`
}

function podman(...words: string[]): CommandResult {
  const places = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs']
  // not `ip netns exec`, which hides the cgroups
  const command = ['nsenter', `--net=${network.path(node)}`, 'env', `CONTAINERS_CONF=${folder}/containers.conf`]
  return run([...command, 'podman', ...places, ...words], { mayFail: true })
}

/** Empty ones that podman leaves; one that another podman uses stays. */
function removeCgroups(): void {
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    for (const group of ['libpod_parent/conmon', 'libpod_parent']) {
      const path = join('/sys/fs/cgroup', hierarchy, group)
      if (existsSync(path)) run(['rmdir', path], { mayFail: true })
    }
  }
}

const addresses = (): string[] =>
  JSON.parse(readFileSync(join(stateDir, 'cni/attachments.json'), 'utf8')).records.flatMap(
    (record: { addresses: string[] }) => record.addresses,
  )

testNeeding(...NEEDS)(
  'containers have addresses of the podCIDR, published ports, static addresses; and give them back',
  () => {
    expect(existsSync(cniConfigFile(folder))).toBe(true)
    const serve = 'mkdir /www && echo from podman >/www/index.html && exec httpd -f -p 80 -h /www'
    const web = podman('run', '-d', '--name=web', '--network=terway-edge', '-p=8080:80', IMAGE, 'sh', '-c', serve)
    expect(web).toMatchObject({ status: 0, stderr: '' })
    const [settings] = JSON.parse(podman('inspect', 'web').stdout)
    expect(settings.NetworkSettings.Networks['terway-edge']).toMatchObject({ IPAddress: '10.0.1.1', IPPrefixLen: 32 })
    for (const url of ['http://10.0.1.1/', 'http://172.16.0.11:8080/']) {
      const script = `console.log(await (await fetch('${url}', {proxy: ''})).text())`
      expect([url, network.exec(lan, [process.execPath, '-e', script]).stdout.trim()]).toEqual([url, 'from podman'])
    }
    const static7 = ['run', '--rm', '--network=terway-edge:ip=10.0.1.7', IMAGE, 'ip', '-o', 'addr', 'show', 'eth0']
    expect(podman(...static7).stdout).toContain('inet 10.0.1.7/32')
    const taken = podman('run', '--rm', '--network=terway-edge:ip=10.0.1.1', IMAGE, 'true')
    expect(taken.status).not.toBe(0)
    expect(taken.stderr).toContain('the static address 10.0.1.1 cannot be given: another pod has it')
    expect(addresses()).toEqual(['10.0.1.1'])
    expect(podman('rm', '--force', '--time=0', 'web').status).toBe(0)
    expect(addresses()).toEqual([])
    expect(
      network
        .ip(node, '-o link show type veth')
        .split('\n')
        .filter(line => line.includes(': te')),
    ).toEqual([])
  },
  300_000,
)
