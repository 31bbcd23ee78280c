/**
 * The installed service under a real systemd, from `install` to `uninstall --purge`: the built
 * executable and the unit as it is shipped, with a BIRD router as the switch. Each test goes on
 * where the one before ended.
 */
import { afterAll, beforeAll, describe, expect } from 'bun:test'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GOING_BACK, PREVIOUS_EXECUTABLE } from '../../src/host/installed-files.ts'
import { buildVersion } from '../support/build.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually } from '../support/namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from '../support/packets.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { SYSTEMD_NEEDS } from '../support/systemd-machine.ts'
import { addPod as addPodOn, CONFLIST, doctor as doctorOn, plugin } from './systemd-calls.ts'
import { BROUGHT, OTHER_ADDRESS, OTHER_POD_CIDR, SystemdLan } from './systemd-lan.ts'
import { Probe, SECRETS } from './systemd-probe.ts'

const PORTMAP = '/usr/lib/cni/portmap'
const NEEDS = [...SYSTEMD_NEEDS, ...COUNTING_NEEDS, 'bird', 'birdc', 'nft', 'ping', 'dbus-send', PORTMAP]
const testService = testNeeding(...NEEDS)
const MINUTE = 60_000
const STATE = '/var/lib/terway-edge'
const CONFIG = '/etc/terway-edge/config.yaml'

let lan: SystemdLan

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    lan = await SystemdLan.start()
    writeFileSync(lan.machine.path('/root/unknown.kubeconfig'), kubeconfigText('http://172.16.0.1:1'))
  }, 5 * MINUTE)
  afterAll(async () => {
    await lan?.close()
  }, 5 * MINUTE)
}

/** Whether the network of the node is whole: routes here, session and routes at the switch. */
async function whole(): Promise<void> {
  await lan.established()
  await eventually('the route to the other node', () =>
    lan.on('ip', 'route', 'show', 'proto', '187').includes(`${OTHER_POD_CIDR} via ${OTHER_ADDRESS}`),
  )
}

const addPod = (pod: string) => addPodOn(lan.machine, pod)
const doctor = () => doctorOn(lan.machine)

let first = ''

describe('the service', () => {
  testService(
    'is installed: enabled, ready, a session, routes, pods, and the doctor is content',
    async () => {
      lan.on('install', '-D', '--target-directory=/opt/cni/bin', PORTMAP)
      const unknown = lan.machine.exec([BROUGHT, 'install', '--kubeconfig', '/root/unknown.kubeconfig'], {
        mayFail: true,
      })
      expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining('does not answer')])
      expect(traces().files).toEqual([])
      // as into an image: nothing that an operator has disabled
      lan.machine.exec([BROUGHT, 'install', '--no-start'])
      const { stdout } = lan.machine.exec([BROUGHT, 'install', '--kubeconfig', '/root/node.kubeconfig'])
      expect(stdout).toContain('the service runs')
      expect(lan.on('systemctl', 'is-enabled', 'terway-edge', 'terway-edge-cni')).toBe('enabled\nenabled\n')
      expect(lan.on('systemctl', 'is-active', 'terway-edge-cni')).toBe('active\n')
      expect([lan.property('ActiveState'), lan.property('SubState'), lan.property('Type')]).toEqual([
        'active',
        'running',
        'notify',
      ])
      await whole()
      await eventually('the CNI configuration', () => lan.on('cat', CONFLIST) !== '')
      expect(lan.on('cat', CONFLIST)).toContain('"portmap"') // a program that the agent has asked
      first = addPod('pod-1')
      expect(lan.pingsFromSwitch(first)).toBe(true)
      await eventually('the doctor is content', () => doctor().bad.length === 0)
      expect(doctor().status).toBe(0)
      expect(lan.machine.journal('terway-edge')).not.toMatch(/"level":"(error|fatal)"/)
    },
    5 * MINUTE,
  )

  testService(
    'is restarted and updated without a route withdrawn or a pod cut off, and is started again when it is killed',
    async () => {
      const before = lan.property('MainPID')
      lan.on('systemctl', 'restart', 'terway-edge')
      await whole()
      const restarted = lan.property('MainPID')
      expect(restarted).not.toBe(before)
      expect(lan.machine.exec([BROUGHT, 'install']).stdout).toContain(`${CONFIG} (kept)`)
      await whole()
      const updated = lan.property('MainPID')
      expect(updated).not.toBe(restarted)
      lan.on('kill', '-KILL', updated)
      await eventually('systemd starts it again', () => lan.property('NRestarts') === '1' && isActive())
      expect(lan.property('MainPID')).not.toBe(updated)
      await whole()
      expect(lan.pingsFromSwitch(first)).toBe(true)
      expect(lan.withdrawals()).toEqual([])
      await eventually('the doctor is content', () => doctor().bad.length === 0)
    },
    5 * MINUTE,
  )

  testService(
    'is upgraded, goes back by itself from a version that fails, and back by command: nothing is lost',
    async () => {
      const newer = '/root/terway-edge-9.0.0'
      const failing = '/root/terway-edge-9.0.1'
      buildVersion(join(lan.folder, 'newer'), '9.0.0')
      buildVersion(join(lan.folder, 'failing'), '9.0.1', 'test/e2e/version-that-fails.ts')
      for (const [file, there] of [
        ['newer', newer],
        ['failing', failing],
      ] as const)
        copyFileSync(join(lan.folder, file), lan.machine.path(there))
      const before = version()
      const lost = lan.withdrawals()
      expect(lan.on(newer, 'upgrade')).toContain(`9.0.0 runs; terway-edge rollback goes back to ${before}`)
      expect(version()).toBe('9.0.0')
      await whole()
      const refused = lan.machine.exec([failing, 'upgrade', '--patience', '20'], {
        mayFail: true,
        timeoutMilliseconds: 3 * MINUTE,
      })
      expect([refused.status, refused.stderr]).toEqual([
        1,
        expect.stringContaining('9.0.1 does not do what 9.0.0 did; 9.0.0 is back'),
      ])
      await whole()
      expect(version()).toBe('9.0.0')
      lan.on(newer, 'install') // so that what is kept is not the one that fails
      lan.machine.exec([BROUGHT, 'upgrade'])
      expect(lan.on('terway-edge', 'rollback')).toContain(`from ${before} to 9.0.0`)
      expect(lan.on('terway-edge', 'rollback')).toContain(`from 9.0.0 to ${before}`)
      // as one leaves it that is killed between the exchange and the restart: the next ends it
      lan.on('sh', '-c', `sha256sum <${PREVIOUS_EXECUTABLE} | cut -d' ' -f1 >${GOING_BACK}`)
      lan.on(PREVIOUS_EXECUTABLE, 'install', '--offline', '--no-start')
      expect(version()).toBe(before)
      expect(lan.on('terway-edge', 'rollback')).toContain(`from ${before} to 9.0.0`)
      expect(version()).toBe('9.0.0')
      expect(lan.on('terway-edge', 'rollback')).toContain(`from 9.0.0 to ${before}`)
      await whole()
      expect(version()).toBe(before)
      expect(lan.pingsFromSwitch(first)).toBe(true)
      expect(lan.withdrawals()).toEqual(lost)
      const unknown = lan.machine.exec(['terway-edge', 'upgrade', '/bin/true'], { mayFail: true })
      expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining('is no terway-edge that runs')])
    },
    5 * MINUTE,
  )

  testService(
    'takes over from a version that ran as root, and gives back to one: nothing is lost',
    async () => {
      const asRoot = '/root/terway-edge-0.0.9'
      buildVersion(join(lan.folder, 'as-root'), '0.0.9', 'test/e2e/version-as-root.ts')
      copyFileSync(join(lan.folder, 'as-root'), lan.machine.path(asRoot))
      const lost = lan.withdrawals()
      expect(processesOf('terway-edge', 'terway-edge-cni')).toEqual(OWN)
      const counted = await countingPackets(lan.network, { namespace: lan.switchNamespace, to: first }, async () => {
        expect(lan.on('terway-edge', 'upgrade', asRoot)).toContain('0.0.9 runs')
        await whole()
        expect(processesOf('terway-edge', 'terway-edge-cni').map(({ user }) => user)).toEqual(['root', 'root'])
        expect(owners()).toEqual(ROOTS)
        lan.machine.exec([BROUGHT, 'upgrade'])
        await whole()
        expect(processesOf('terway-edge', 'terway-edge-cni')).toEqual(OWN)
        expect(owners()).toEqual(HANDED_OVER)
        expect(lan.on('terway-edge', 'rollback')).toContain('0.0.9 runs')
        await whole()
        expect(owners()).toEqual(ROOTS)
        lan.machine.exec([BROUGHT, 'upgrade'])
        await whole()
      })
      expect(counted.lost).toBe(0)
      expect(lan.withdrawals()).toEqual(lost)
      expect(owners()).toEqual(HANDED_OVER)
      await eventually('the doctor is content', () => doctor().bad.length === 0)
      expect(lan.machine.journal('terway-edge')).not.toMatch(/permission denied|EACCES/i)
    },
    5 * MINUTE,
  )

  testService(
    'is never given up, however often it has to be started, and works beside no other on its state folder',
    async () => {
      lan.on('systemctl', 'stop', 'terway-edge')
      lan.on('sh', '-c', `terway-edge node --config ${CONFIG} >/dev/null 2>&1 & echo $! >/run/other`)
      await eventually('the other works', () => lan.on('cat', `${STATE}/process.json`).includes('pid'))
      const { status } = lan.machine.exec(['systemctl', 'start', 'terway-edge'], { mayFail: true })
      expect(status).toBe(1)
      expect(lan.machine.journal('terway-edge')).toContain(`works with ${STATE}: stop it first`)
      lan.on('sh', '-c', 'kill $(cat /run/other)')
      await eventually('it has its turn', isActive)
      for (let round = 0; round < 6; round++) lan.on('systemctl', 'restart', 'terway-edge')
      expect(isActive()).toBe(true)
      await whole()
    },
    5 * MINUTE,
  )

  testService(
    'is confined, and so is the one of the plugin: nothing of the machine but its network can be changed',
    async () => {
      const probe = new Probe(lan.machine)
      const common = {
        'write net.ipv4.ip_forward': 'done',
        'write kernel.core_pattern': 'refused',
        'start a unit': 'refused',
        'ask D-Bus': 'refused',
        'write /etc': 'refused',
        mount: 'refused',
        'make a user namespace': 'refused',
        'make a mount namespace': 'refused',
      }
      expect(probe.run('node')).toMatchObject({
        ...common,
        'enter a network namespace': 'refused',
        'open a socket of the network': 'done',
      })
      expect(probe.run('cni')).toMatchObject({
        ...common,
        'enter a network namespace': 'done',
        'open a socket of the network': 'refused',
      })
    },
    5 * MINUTE,
  )

  testService(
    'is exposed no more than 2.0, by the judgement of systemd, and reads nothing of the secrets of the machine',
    async () => {
      for (const unit of ['terway-edge', 'terway-edge-cni']) {
        const text = lan.machine.exec(['systemd-analyze', 'security', '--no-pager', `${unit}.service`]).stdout
        const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(text)?.[1])
        expect({ unit, low: exposure <= 2.0, exposure }).toEqual({ unit, low: true, exposure })
      }
      lan.on('mkdir', '-p', '/etc/kubernetes/pki', '/var/lib/kubelet/pki', '/etc/ssh', '/opt/another-program')
      for (const file of SECRETS) lan.on('sh', '-c', `umask 077; [ -e ${file} ] || echo secret >${file}`)
      lan.on('systemctl', 'restart', 'terway-edge', 'terway-edge-cni')
      await whole()
      for (const unit of ['node', 'cni'] as const) {
        const read = Object.entries(new Probe(lan.machine).run(unit)).filter(([what]) => what.startsWith('read '))
        expect(read).toEqual(SECRETS.map(file => [`read ${file}`, 'refused']))
      }
    },
    5 * MINUTE,
  )

  testService(
    'is ended and started again when its loop stands still, and no packet is lost on a switch that restarts gracefully',
    async () => {
      const lost = lan.withdrawals()
      const hung = lan.property('MainPID')
      const counted = await countingPackets(lan.network, { namespace: lan.switchNamespace, to: first }, async () => {
        lan.on('kill', '-STOP', hung)
        await eventually('another process', () => lan.property('MainPID') !== hung && isActive(), 60)
        await whole()
        await Bun.sleep(1000)
      })
      expect(counted.sent).toBeGreaterThan(1000)
      expect(counted.lost).toBe(0)
      expect(lan.withdrawals()).toEqual(lost)
      expect(lan.property('Result')).toBe('success') // of the one that runs now
      expect(lan.machine.journal('terway-edge')).toContain('Watchdog timeout')
    },
    5 * MINUTE,
  )

  testService(
    'has the controller beside it, as a user of its own that may do less still',
    async () => {
      const config = {
        network: { edgeNodes: 'all()', podCIDRs: ['10.0.0.0/16'] },
        status: { listen: '127.0.0.1:9180' },
      }
      writeFileSync(lan.machine.path('/root/controller.yaml'), JSON.stringify(config))
      const install = [BROUGHT, 'install', '--controller', '--config', '/root/controller.yaml']
      const refused = lan.machine.exec([...install, '--kubeconfig', '/root/none'], { mayFail: true })
      expect([refused.status, refused.stderr]).toEqual([
        2,
        expect.stringContaining('/root/none: there is no such file'),
      ])
      expect(lan.machine.exec(['ls', '/etc/terway-edge/controller.yaml'], { mayFail: true }).status).not.toBe(0)
      lan.machine.exec([...install, '--kubeconfig', '/root/node.kubeconfig'])
      const unit = 'terway-edge-controller.service'
      const pid = lan.on('systemctl', 'show', '--value', '--property=MainPID', unit).trim()
      expect(lan.on('stat', '--format=%u', `/proc/${pid}`)).not.toBe('0\n')
      await eventually('it stands by', () =>
        lan.on('terway-edge', 'status', '--address', 'http://127.0.0.1:9180').includes('controller'),
      )
      expect(lan.machine.journal(unit)).not.toMatch(/"level":"(error|fatal)"/)
      expect(Object.values(new Probe(lan.machine).run('controller')).filter(result => result === 'done')).toEqual([
        'done', // a socket of the network
      ])
      lan.on('terway-edge', 'uninstall', '--controller', '--purge')
      expect(lan.on('systemctl', 'show', '--property=LoadState', unit)).toBe('LoadState=not-found\n')
      await whole()
    },
    5 * MINUTE,
  )

  testService(
    "does the plugin's work in a second service, also for pods that come later; without it the plugin does it itself",
    async () => {
      writeConfig({ logLevel: 'debug' })
      lan.on('systemctl', 'restart', 'terway-edge-cni')
      const served = addPod('pod-served')
      expect(lan.pingsFromSwitch(served)).toBe(true)
      expect(lan.machine.journal('terway-edge-cni')).toContain('"state":"done","msg":"CNI request"')
      expect(doctor().checks.find(({ name }) => name === 'CNI server')).toMatchObject({ result: 'ok' })
      expect(plugin(lan.machine, 'DEL', 'pod-served')).toMatchObject({ status: 0 })

      lan.on('systemctl', 'disable', '--now', 'terway-edge-cni')
      const alone = addPod('pod-alone')
      expect(lan.pingsFromSwitch(alone)).toBe(true)
      expect(owners()).toEqual(HANDED_OVER) // by root, but as the service needs it
      expect(plugin(lan.machine, 'DEL', 'pod-alone')).toMatchObject({ status: 0 })
      lan.machine.exec([BROUGHT, 'install']) // an operator's choice outlives an update
      expect(lan.machine.exec(['systemctl', 'is-active', 'terway-edge-cni'], { mayFail: true }).stdout).toBe(
        'inactive\n',
      )
      lan.on('systemctl', 'start', 'terway-edge-cni') // for now
      const cniProcess = () => lan.on('systemctl', 'show', '--value', '--property=MainPID', 'terway-edge-cni').trim()
      const former = cniProcess()
      lan.machine.exec([BROUGHT, 'install'])
      expect(['0', former]).not.toContain(cniProcess()) // it runs the new executable
      expect(lan.machine.exec(['systemctl', 'is-enabled', 'terway-edge-cni'], { mayFail: true }).stdout).toBe(
        'disabled\n',
      )
      lan.on('systemctl', 'enable', '--now', 'terway-edge-cni')
      await whole()
      expect(lan.pingsFromSwitch(first)).toBe(true)
    },
    5 * MINUTE,
  )

  testService(
    'works after a power cut from its state alone, with the API server out of reach',
    async () => {
      await lan.loseCluster()
      const before = lan.withdrawals()
      await lan.reboot()
      await eventually('it is ready', isActive)
      await whole()
      expect(lan.withdrawals()).toEqual(before)
      expect(lan.pingsFromSwitch(first)).toBe(false) // no pod outlives a boot
      const second = addPod('pod-2')
      expect(second).not.toBe(first)
      expect(lan.pingsFromSwitch(second)).toBe(true)
      expect(lan.machine.journal('terway-edge')).toContain('address freed: its pod is gone')
      expect(doctor().bad.map(text => text.split(':')[0])).toEqual(['API server'])
    },
    5 * MINUTE,
  )

  testService(
    'is drained: nothing is announced any more, until it is restarted',
    async () => {
      writeConfig({ bgp: { drainSeconds: 1 }, ipMasq: { enabled: true } })
      lan.on('systemctl', 'restart', 'terway-edge')
      await whole()
      expect(lan.on('terway-edge', 'drain')).toContain('drained')
      expect([lan.switchHasRoutes(), lan.isEstablished(), isActive()]).toEqual([false, false, true])
      expect(lan.withdrawals().length).toBeGreaterThan(0) // so this is seen where it happens
      expect(lan.on('ip', 'route', 'show', 'proto', '187')).toContain(OTHER_POD_CIDR)
      lan.on('systemctl', 'restart', 'terway-edge')
      await whole()
    },
    5 * MINUTE,
  )

  testService(
    'is uninstalled, and with --purge nothing of it is left on the disk or in the kernel',
    async () => {
      await eventually('the masquerading table', () => lan.on('nft', 'list', 'tables').includes('table ip terway-edge'))
      const kept = lan.on('terway-edge', 'uninstall')
      expect(kept).toContain('kept: /etc/terway-edge')
      expect([lan.switchHasRoutes(), lan.isEstablished()]).toEqual([false, false])
      expect(traces().files.filter(path => !/^\/(etc|var\/lib)\/terway-edge\//.test(path))).toEqual([])
      expect(traces().files).toContain('/etc/terway-edge/kubeconfig')
      expect(traces()).toMatchObject({
        unit: 'LoadState=not-found',
        routes: '',
        tables: '',
        links: '',
        forwarding: '0',
      })

      lan.machine.exec([BROUGHT, 'install'])
      await whole()
      addPod('pod-3')
      lan.on('terway-edge', 'uninstall', '--purge')
      expect(traces()).toEqual({
        unit: 'LoadState=not-found',
        routes: '',
        tables: '',
        links: '',
        forwarding: '0',
        files: [],
        users: '',
      })
      expect(lan.on('stat', '--format=%U %G %a', '/etc/cni/net.d')).toBe('root root 755\n')
      expect(lan.on('systemctl', 'is-system-running')).toBe('running\n')
    },
    5 * MINUTE,
  )

  testService(
    'works with folders of its own for the state and for CNI, and leaves nothing there',
    async () => {
      const folders = { state: '/srv/terway-edge', cni: { confDir: '/srv/cni/net.d', binDir: '/srv/cni/bin' } }
      lan.on('mkdir', '-p', '/etc/terway-edge')
      lan.on('cp', '/root/node.kubeconfig', '/etc/terway-edge/kubeconfig')
      writeConfig({ bgp: { drainSeconds: 0 }, ...folders })
      await lan.findCluster()
      lan.machine.exec([BROUGHT, 'install'])
      await whole()
      await eventually('the CNI configuration', () =>
        lan.machine.exec(['ls', '/srv/cni/net.d'], { mayFail: true }).stdout.includes('10-terway-edge.conflist'),
      )
      expect(lan.on('ls', '/srv/terway-edge')).toContain('cluster.json')
      lan.on('terway-edge', 'uninstall', '--purge')
      expect(traces().files).toEqual([])
      expect(lan.on('sh', '-c', 'ls -d /srv/terway-edge /var/lib/terway-edge 2>/dev/null || true')).toBe('')
    },
    5 * MINUTE,
  )
})

function writeConfig(config: object): void {
  writeFileSync(lan.machine.path(CONFIG), JSON.stringify({ kubeconfig: '/etc/terway-edge/kubeconfig', ...config }))
}

function version(): string {
  return JSON.parse(lan.on('terway-edge', 'status', '-o', 'json')).version
}

/** Whose the processes of services are, and what they may. */
function processesOf(...units: string[]): { user: string; capabilities: string }[] {
  return units.map(unit => {
    const pid = lan.on('systemctl', 'show', '--value', '--property=MainPID', unit).trim()
    const capabilities = /^CapEff:\s+0*(\S+)$/m.exec(lan.on('cat', `/proc/${pid}/status`))?.[1] ?? ''
    return { user: lan.on('stat', '--format=%U', `/proc/${pid}`).trim(), capabilities }
  })
}

/** CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW; CAP_NET_ADMIN and CAP_SYS_ADMIN. */
const OWN = [
  { user: 'terway-edge', capabilities: '3400' },
  { user: 'terway-edge', capabilities: '201000' },
]

/** Whose the files are that the services use. */
function owners(): string[] {
  const files = ['/etc/terway-edge/kubeconfig', '/etc/cni/net.d', STATE, `${STATE}/cluster.json`]
  const cni = ['attachments.json', 'lock'].map(name => `${STATE}/cni/${name}`)
  return lan
    .on('stat', '--format=%n %U %G %a', ...files, ...cni)
    .trim()
    .split('\n')
}

const HANDED_OVER = [
  '/etc/terway-edge/kubeconfig root terway-edge 640',
  '/etc/cni/net.d root terway-edge 1775',
  ...['700', 'cluster.json 600', 'cni/attachments.json 600', 'cni/lock 600'].map(of('terway-edge')),
]
const ROOTS = [
  '/etc/terway-edge/kubeconfig root root 640',
  '/etc/cni/net.d root root 755',
  ...['700', 'cluster.json 600', 'cni/attachments.json 600', 'cni/lock 600'].map(of('root')),
]

function of(user: string) {
  return (text: string) => {
    const [mode = '', name] = text.split(' ').reverse()
    return `${name === undefined ? STATE : `${STATE}/${name}`} ${user} ${user} ${mode}`
  }
}

function isActive(): boolean {
  return lan.property('ActiveState') === 'active'
}

/** What there is of ours on the node. */
function traces() {
  const shell = (command: string) => lan.on('sh', '-c', command).trim()
  return {
    unit: shell('systemctl show --property=LoadState terway-edge.service terway-edge-cni.service | sort -u'),
    routes: shell('ip route show proto 187; ip -6 route show proto 187'),
    tables: shell('nft list tables'),
    links: shell('ip -o link show type veth | grep -v eth0 || true'),
    forwarding: shell('cat /proc/sys/net/ipv4/ip_forward'),
    users: shell('grep terway-edge /etc/passwd /etc/group /etc/shadow || true'),
    files: lan.machine
      .changedFiles()
      .filter(path => /terway-edge|cni/.test(path) && !path.startsWith(BROUGHT) && !path.endsWith('/portmap')),
  }
}
