/**
 * The installed service under a real systemd, from `install` to `uninstall --purge`: the built executable and the unit as it is shipped, with
 * a BIRD router as the switch. Each test goes on where the one before ended.
 */
import { afterAll, beforeAll, describe, expect } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { eventually } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { SYSTEMD_NEEDS } from '../support/systemd-machine.ts'
import { BROUGHT, NODE_ADDRESS, OTHER_POD_CIDR, SystemdLan } from './systemd-lan.ts'

const NEEDS = [...SYSTEMD_NEEDS, 'bird', 'birdc', 'nft', 'ping']
const testService = testNeeding(...NEEDS)
const MINUTE = 60_000
const CONFLIST = '/etc/cni/net.d/10-terway-edge.conflist'
const CONFIG = '/etc/terway-edge/config.yaml'

let lan: SystemdLan

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    lan = await SystemdLan.start()
  }, MINUTE)
  afterAll(async () => {
    await lan?.close()
  }, MINUTE)
}

/** Whether the network of the node is whole: routes here, session and routes at the switch. */
async function whole(): Promise<void> {
  await lan.established()
  await eventually('the route to the other node', () =>
    lan.on('ip', 'route', 'show', 'proto', '187').includes(`${OTHER_POD_CIDR} via 172.16.0.12`),
  )
}

/** Calls the plugin as a container runtime on that machine does, by the configuration that is there. */
function plugin(command: 'ADD' | 'DEL', pod: string): { status: number; address: string; stdout: string } {
  const conflist = JSON.parse(lan.on('cat', CONFLIST))
  const [own] = conflist.plugins
  const { status, stdout } = lan.machine.exec(
    [
      ...['env', `CNI_COMMAND=${command}`, `CNI_CONTAINERID=${pod}`, `CNI_NETNS=/run/netns/${pod}`],
      ...['CNI_IFNAME=eth0', 'CNI_PATH=/opt/cni/bin', `/opt/cni/bin/${own.type}`],
    ],
    { mayFail: true, stdin: JSON.stringify({ ...own, name: conflist.name, cniVersion: conflist.cniVersion }) },
  )
  const address = status === 0 && command === 'ADD' ? String(JSON.parse(stdout).ips[0].address).split('/')[0] : undefined
  return { status, address: address ?? '', stdout }
}

/** A pod's namespace, made as a runtime makes it: after the service was started, and seen by the host. */
function addPod(pod: string): string {
  lan.on('ip', 'netns', 'add', pod)
  const added = plugin('ADD', pod)
  expect(added).toMatchObject({ status: 0 })
  return added.address
}

function doctor(): { status: number; bad: string[] } {
  const { status, stdout } = lan.machine.exec(['terway-edge', 'doctor', '-o', 'json'], { mayFail: true })
  const { checks }: { checks: { name: string; result: string; detail: string }[] } = JSON.parse(stdout)
  const bad = checks.filter(({ result }) => result === 'problem').map(({ name, detail }) => `${name}: ${detail}`)
  return { status, bad }
}

let first = ''

describe('the service', () => {
  testService(
    'is installed: enabled, ready, a session, routes, pods, and the doctor is content',
    async () => {
      const { stdout } = lan.machine.exec([BROUGHT, 'install', '--kubeconfig', '/root/node.kubeconfig'])
      expect(stdout).toContain('the service runs')
      expect(lan.on('systemctl', 'is-enabled', 'terway-edge')).toBe('enabled\n')
      expect([lan.property('ActiveState'), lan.property('SubState'), lan.property('Type')]).toEqual([
        'active',
        'running',
        'notify',
      ])
      await whole()
      await eventually('the CNI configuration', () => lan.on('cat', CONFLIST) !== '')
      first = addPod('pod-1')
      expect(lan.pingsFromSwitch(first)).toBe(true)
      await eventually('the doctor is content', () => doctor().bad.length === 0, 5)
      expect(doctor().status).toBe(0)
      expect(lan.machine.journal('terway-edge')).not.toMatch(/"level":"(error|fatal)"/)
    },
    MINUTE,
  )
})
