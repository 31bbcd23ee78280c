/**
 * Debian's own systemd-networkd, with the files that `install` writes: what is marked as an
 * interface for pods is left alone, the machine's own are looked after as before, and rules and
 * routes of others stay when it starts anew. The mark, which udev makes of the rule, stands in its
 * database here; there is no hardware and no udev.
 */
import { afterEach, expect } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { eniKeepOffFiles, KEEP_OFF_FILES } from '../../src/host/keep-off.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const NETWORKD = '/lib/systemd/systemd-networkd'
const OWN = '00:16:3e:00:00:01'

const network = new TestNetwork()
const folder = mkdtempSync(join(tmpdir(), 'te-networkd-'))
const started: Bun.Subprocess[] = []
afterEach(async () => {
  for (const process of started.splice(0)) await stop(process)
  await network.close()
  rmSync(folder, { recursive: true, force: true })
})

async function stop(process: Bun.Subprocess): Promise<void> {
  process.kill('SIGKILL')
  await process.exited
}

/** In mounts of its own; it asks udev's database only where sysfs can be written. */
function startNetworkd(namespace: string): Bun.Subprocess {
  const script = `
    mount -o remount,rw /sys || true
    mount --bind ${folder}/run /run
    mkdir -p /etc/systemd/network && mount --bind ${folder}/network /etc/systemd/network
    exec ${NETWORKD}`
  const inside = ['ip', 'netns', 'exec', namespace, 'unshare', '--mount', '--propagation', 'private']
  const process = Bun.spawn([...inside, 'sh', '-ec', script], {
    stdout: 'ignore',
    stderr: Bun.file(join(folder, 'log')),
  })
  started.push(process)
  return process
}

testNeeding(
  'root',
  'ip',
  'unshare',
  NETWORKD,
)(
  'networkd leaves interfaces for pods alone, and rules of others, also when it starts anew',
  async () => {
    const node = network.namespace('node')
    for (const [index, name, mac] of [
      [101, 'eth0', OWN],
      [102, 'eth1', '00:16:3e:00:00:02'],
    ] as const) {
      network.ip(node, `link add ${name} index ${index} address ${mac} type veth peer name peer${index}`)
      network.ip(node, `link set peer${index} up`)
    }
    const write = (path: string, text: string) => {
      mkdirSync(join(folder, path, '..'), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    write('run/systemd/network/50-all.network', '[Match]\nName=eth*\n[Network]\nAddress=192.0.2.9/24\n')
    for (const { path, text } of [...eniKeepOffFiles({ own: [OWN], systemd: 252 }), ...KEEP_OFF_FILES]) {
      if (path.startsWith('/etc/systemd/network/')) write(`network/${basename(path)}`, text)
      if (path.startsWith('/etc/systemd/networkd.conf.d/')) write(`run/systemd/networkd.conf.d/${basename(path)}`, text)
    }
    write('run/udev/control', '')
    write('run/udev/data/n101', 'I:1\nV:1\n')
    write('run/udev/data/n102', 'I:1\nE:TERWAY_EDGE_ENI=1\nV:1\n')
    network.ip(node, 'rule add from all lookup 512 pref 512 protocol 187')
    const first = startNetworkd(node)
    const linkState = (index: number) =>
      Bun.file(join(folder, `run/systemd/netif/links/${index}`))
        .text()
        .catch(() => '')
    const configured = () => network.ip(node, '-br addr show eth0').includes('192.0.2.9')
    await eventually('eth0 is configured', configured, 30)
    await eventually('eth1 is left alone', async () => /ADMIN_STATE=unmanaged/.test(await linkState(102)), 30)
    expect(network.ip(node, '-4 -br addr show eth1')).not.toContain('192.0.2.9')
    await stop(first)
    network.ip(node, 'addr flush dev eth0')
    startNetworkd(node)
    await eventually('eth0 is configured again', configured, 30)
    expect(network.ip(node, 'rule')).toContain('512:\tfrom all lookup 512')
    expect(network.ip(node, '-4 -br addr show eth1')).not.toContain('192.0.2.9')
  },
  300_000,
)
