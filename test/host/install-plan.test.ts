/** What `install` and `uninstall` decide for a machine as it was seen. */
import { describe, expect, test } from 'bun:test'
import { parseConfig } from '../../src/config/load.ts'
import { planInstall, type WantedInstall } from '../../src/host/install-plan.ts'
import { CNI_UNIT, EXECUTABLE, NODE_UNIT, PREVIOUS_EXECUTABLE } from '../../src/host/installed-files.ts'
import { planPluginInstall } from '../../src/host/plugin-plan.ts'
import { type SeenMachine, type SeenPath, sha256 } from '../../src/host/seen-machine.ts'
import { changes, type Step } from '../../src/host/steps.ts'
import { planUninstall } from '../../src/host/uninstall-plan.ts'

const CONFIG_TEXT = 'kubeconfig: /etc/terway-edge/kubeconfig'

const WANTED: WantedInstall = {
  role: 'node',
  executable: { from: '/root/terway-edge', sha256: 'new' },
  config: parseConfig(CONFIG_TEXT, 'test'),
  configText: undefined,
  kubeconfigText: 'the kubeconfig',
  start: true,
  root: '/',
}

function machine(paths: Readonly<Record<string, SeenPath>> = {}, enabled?: readonly string[]): SeenMachine {
  return { paths: new Map(Object.entries(paths)), enabled: enabled && new Set(enabled), user: USER }
}

const USER = { uid: 990, gid: 980 }
const BARE = { ...machine({}, []), user: undefined }

/** The machine that a plan leaves behind. */
function after(steps: readonly Step[], enabled: readonly string[]): SeenMachine {
  const paths = new Map<string, SeenPath>()
  for (const step of steps) {
    if (step.do === 'copy') paths.set(step.path, { kind: 'file', sha256: 'new', mode: 0o755 })
    if (step.do === 'write') paths.set(step.path, { kind: 'file', sha256: sha256(step.text), mode: step.mode })
    if (step.do === 'link') paths.set(step.path, { kind: 'link', target: step.target })
    if (step.do === 'make folder') paths.set(step.path, { kind: 'folder' })
    if (step.do === 'hand over') paths.set(step.path, handedOver(paths.get(step.path), step))
  }
  return { paths, enabled: new Set(enabled), user: USER }
}

function handedOver(there: SeenPath | undefined, { to, mode }: Extract<Step, { do: 'hand over' }>): SeenPath {
  const owner = { user: USER, group: { uid: 0, gid: USER.gid }, root: { uid: 0, gid: 0 } }[to]
  if (there?.kind === 'folder') return { ...there, owner, ...(typeof mode === 'number' && { mode }) }
  if (there?.kind !== 'file') throw new Error('there is nothing to hand over')
  return { ...there, owner, mode: mode === 'read' ? there.mode | 0o040 : there.mode }
}

const calls = (steps: readonly Step[]) => steps.flatMap(step => (step.do === 'systemctl' ? [step.words.join(' ')] : []))

describe('install', () => {
  test('on a machine with nothing: all of it, then the services', () => {
    const { steps, problems } = planInstall({ ...WANTED, configText: CONFIG_TEXT }, BARE)
    expect(problems).toEqual([])
    expect(steps[0]).toMatchObject({ do: 'make user', name: 'terway-edge' })
    expect(steps.flatMap(step => ('path' in step ? [`${step.do} ${step.path}`] : []))).toEqual([
      `copy ${EXECUTABLE}`,
      'write /etc/terway-edge/kubeconfig',
      'write /etc/terway-edge/config.yaml',
      'link /opt/cni/bin/terway-edge',
      'link /opt/cni/bin/loopback',
      'make folder /etc/cni/net.d',
      'hand over /etc/terway-edge/kubeconfig',
      'hand over /etc/cni/net.d',
      `write ${NODE_UNIT}`,
      `write ${CNI_UNIT}`,
    ])
    expect(calls(steps)).toEqual([
      'daemon-reload',
      'enable terway-edge',
      'enable terway-edge-cni',
      'restart terway-edge',
      'restart terway-edge-cni',
    ])
  })

  test('a second time: no file', () => {
    const first = planInstall({ ...WANTED, configText: CONFIG_TEXT }, machine({}, []))
    const { steps } = planInstall({ ...WANTED, kubeconfigText: undefined }, after(first.steps, [NODE_UNIT, CNI_UNIT]))
    expect(steps.filter(step => changes(step) && step.do !== 'systemctl')).toEqual([])
  })

  test('an executable that is replaced is kept', () => {
    const { steps } = planInstall(WANTED, machine({ [EXECUTABLE]: { kind: 'file', sha256: 'old', mode: 0o755 } }, []))
    expect(steps[0]).toEqual({
      do: 'copy',
      what: 'executable',
      from: '/root/terway-edge',
      path: EXECUTABLE,
      keepAs: PREVIOUS_EXECUTABLE,
    })
  })

  test('what root had is handed over: secrets that are named to be read, the state between a stop and a start', () => {
    const root: SeenPath = { kind: 'file', sha256: 'x', mode: 0o600 }
    const text = `${CONFIG_TEXT}\nstatus: {listen: '0.0.0.0:9179', tokenFile: /etc/terway-edge/token}`
    const wanted = { ...WANTED, kubeconfigText: undefined, config: parseConfig(text, 'test') }
    const seen = machine(
      {
        '/etc/terway-edge/kubeconfig': root,
        '/etc/terway-edge/token': { ...root, mode: 0o644 },
        '/etc/cni/net.d': { kind: 'folder', mode: 0o755 },
        '/etc/cni/net.d/10-terway-edge.conflist': { ...root, mode: 0o644 },
        '/var/lib/terway-edge': { kind: 'folder', mode: 0o700 },
        [NODE_UNIT]: root,
        [CNI_UNIT]: root,
      },
      [NODE_UNIT, CNI_UNIT],
    )
    const given = (steps: readonly Step[]) =>
      steps.flatMap(step => (step.do === 'hand over' ? [`${step.path} to ${step.to}`] : []))
    const { steps } = planInstall(wanted, seen)
    expect(given(steps)).toEqual([
      '/etc/terway-edge/kubeconfig to group',
      '/etc/cni/net.d to group',
      '/etc/cni/net.d/10-terway-edge.conflist to user',
      '/var/lib/terway-edge to user',
    ])
    const order = steps.flatMap(step => (step.do === 'systemctl' ? [step.words.join(' ')] : given([step])))
    expect(order.slice(-6)).toEqual([
      'enable terway-edge-cni',
      'stop terway-edge',
      'stop terway-edge-cni',
      '/var/lib/terway-edge to user',
      'restart terway-edge',
      'restart terway-edge-cni',
    ])
    // into a running machine without a start: not under the feet of what runs
    expect(given(planInstall({ ...wanted, start: false }, seen).steps)).not.toContain('/var/lib/terway-edge to user')
  })

  test('a service that an operator has disabled stays so, and runs the new executable if it runs', () => {
    const first = planInstall({ ...WANTED, configText: CONFIG_TEXT }, machine({}, []))
    const { steps } = planInstall(WANTED, after(first.steps, [NODE_UNIT]))
    expect(calls(steps)).toEqual([
      'daemon-reload',
      'enable terway-edge',
      'restart terway-edge',
      'try-restart terway-edge-cni',
    ])
  })

  test('without a kubeconfig nothing is started; an image may get one later', () => {
    const wanted = { ...WANTED, kubeconfigText: undefined }
    const there: SeenPath = { kind: 'file', sha256: 'x', mode: 0o600 }
    const problems = (paths: Readonly<Record<string, SeenPath>>, start = true) =>
      planInstall({ ...wanted, start }, machine(paths, [])).problems.map(({ path }) => path)
    expect(problems({})).toEqual(['kubeconfig'])
    expect(problems({ '/etc/terway-edge/kubeconfig': there })).toEqual([])
    expect(problems({}, false)).toEqual([])
  })

  test("somebody else's plugin of our name is a problem, his loopback is left", () => {
    const file: SeenPath = { kind: 'file', sha256: 'x', mode: 0o755 }
    const seen = machine({ '/opt/cni/bin/terway-edge': file, '/opt/cni/bin/loopback': file }, [])
    const { steps, problems } = planInstall(WANTED, seen)
    expect(problems).toEqual([
      { path: 'cni.binDir', message: '/opt/cni/bin/terway-edge is there and is not ours: move it away first' },
    ])
    expect(steps).toContainEqual({ do: 'leave', what: 'CNI plugin', path: '/opt/cni/bin/loopback', why: 'kept' })
  })

  test("the controller's secrets must be readable by its user", () => {
    const config = parseConfig(`status: {listen: '0.0.0.0:9180', tokenFile: /etc/terway-edge/token}`, 'test')
    const wanted: WantedInstall = { ...WANTED, role: 'controller', config }
    const problems = (mode: number) =>
      planInstall(wanted, machine({ '/etc/terway-edge/token': { kind: 'file', sha256: 'x', mode } }, [])).problems
    expect(problems(0o600).map(({ message }) => message)).toEqual([
      '/etc/terway-edge/token cannot be read by the user of the service: hand it over with LoadCredential= in a drop-in',
    ])
    expect(problems(0o644)).toEqual([])
  })
})

describe('uninstall', () => {
  const installed = after(planInstall({ ...WANTED, configText: CONFIG_TEXT }, machine({}, [])).steps, [
    NODE_UNIT,
    CNI_UNIT,
  ])
  const wanted = { role: 'node', config: WANTED.config, purge: false, root: '/', running: true } as const

  test('the network is left before anything goes, and what the node knows is kept', () => {
    const steps = planUninstall(wanted, installed)
    expect(steps.map(step => step.do).slice(0, 4)).toEqual(['drain', 'systemctl', 'systemctl', 'leave network'])
    expect(steps).toContainEqual({
      do: 'say',
      text: 'kept: /etc/terway-edge/config.yaml, /etc/terway-edge/kubeconfig (--purge removes them)',
    })
    expect(steps.at(-1)).toEqual({ do: 'remove', path: EXECUTABLE })
  })

  test('below another folder no network is left and no service stopped', () => {
    const steps = planUninstall({ ...wanted, root: '/mnt/image' }, { ...installed, enabled: undefined })
    expect(new Set(steps.map(step => step.do))).toEqual(new Set(['hand over', 'remove', 'say']))
  })
})

describe('the plugin alone, for a node in a container', () => {
  const [own, loopback] = ['/opt/cni/bin/terway-edge', '/opt/cni/bin/loopback']
  const plan = (paths: Readonly<Record<string, SeenPath>>) => planPluginInstall(WANTED, machine(paths))
  const done = (paths: Readonly<Record<string, SeenPath>>) =>
    plan(paths).steps.flatMap(step => ('path' in step && changes(step) ? [`${step.do} ${step.path}`] : []))
  const copy = { kind: 'file', sha256: 'new', mode: 0o755 } as const
  const link = { kind: 'link', target: own } as const

  test('is a copy, and a link to it; a second time nothing; another version replaces it', () => {
    expect(done({})).toEqual([`copy ${own}`, `link ${loopback}`])
    expect(done({ [own]: copy, [loopback]: link })).toEqual([])
    expect(done({ [own]: { ...copy, sha256: 'old' }, [loopback]: link })).toEqual([`copy ${own}`])
  })

  test("takes the links of a former installation over, and leaves the CNI project's loopback", () => {
    const former = { kind: 'link', target: EXECUTABLE } as const
    expect(done({ [own]: former, [loopback]: former })).toEqual([`copy ${own}`, `link ${loopback}`])
    expect(done({ [loopback]: { ...copy, sha256: 'theirs' } })).toEqual([`copy ${own}`])
  })

  test('is refused where the services are, which would hold the state folder', () => {
    const { problems } = plan({ [NODE_UNIT]: { kind: 'file', sha256: 'unit', mode: 0o644 } })
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining('uninstall ends them first')])
  })

  test('gives back what the services had: it may not pass over owners', () => {
    const { steps } = plan({ '/var/lib/terway-edge': { kind: 'folder', owner: USER } })
    expect(steps).toContainEqual({ do: 'hand over', path: '/var/lib/terway-edge', to: 'root' })
  })

  test('goes with uninstall', () => {
    const wanted = { role: 'node', config: WANTED.config, purge: false, root: '/', running: false } as const
    const removed = (paths: Readonly<Record<string, SeenPath>>) =>
      planUninstall(wanted, machine(paths)).flatMap(step => (step.do === 'remove' ? [step.path] : []))
    expect(removed({ [own]: copy, [loopback]: link })).toEqual([own, loopback])
    expect(removed({ [own]: copy, [loopback]: { ...copy, sha256: 'theirs' } })).toEqual([own])
  })
})

test('dhcpcd has one file for all: lines are added to it, once, and taken out again', () => {
  const written = (text: string, role: 'install' | 'uninstall') => {
    const seen = machine({ '/etc/dhcpcd.conf': { kind: 'file', sha256: sha256(text), mode: 0o640, text } }, [])
    const wanted = { role: 'node', config: WANTED.config, purge: false, root: '/', running: false } as const
    const steps = role === 'install' ? planInstall(WANTED, seen).steps : planUninstall(wanted, seen)
    return steps.flatMap(step => (step.do === 'write' && step.path === '/etc/dhcpcd.conf' ? [step] : []))
  }
  const before = 'hostname\n\ninterface eth0\nstatic ip_address=192.0.2.1/24\n'
  const [step] = written(before, 'install')
  expect(step?.mode).toBe(0o640)
  expect(step?.text).toEndWith(before)
  expect(step?.text).toMatch(/^#[^\n]*\ndenyinterfaces te\?{11}\nhostname/)
  expect(written(step?.text ?? '', 'install')).toEqual([])
  expect(written(step?.text ?? '', 'uninstall').map(({ text }) => text)).toEqual([before])
  expect(written(before, 'uninstall')).toEqual([])
})

test("the network programs that are there are kept off pods' interfaces, until the node is uninstalled", () => {
  const folder = { kind: 'folder' } as const
  const there = machine({ '/etc/NetworkManager/conf.d': folder }, [])
  const { steps } = planInstall({ ...WANTED, configText: CONFIG_TEXT }, there)
  const written = steps.filter(step => step.do === 'write' && step.what === 'network program')
  expect(written.map(step => step.do === 'write' && step.path)).toEqual(['/etc/NetworkManager/conf.d/terway-edge.conf'])
  expect(JSON.stringify(written)).toContain('interface-name:te???????????')
  const wanted = { role: 'node', config: WANTED.config, purge: false, root: '/', running: false } as const
  expect(planUninstall(wanted, after(steps, []))).toContainEqual({
    do: 'remove',
    path: '/etc/NetworkManager/conf.d/terway-edge.conf',
  })
})

describe('elastic network interfaces', () => {
  const folder = { kind: 'folder' } as const
  const paths = {
    '/etc/udev/rules.d': folder,
    '/etc/systemd/network': folder,
    '/etc/cloud/cloud.cfg.d': folder,
    '/lib/systemd/systemd-networkd': { kind: 'file', sha256: 'x', mode: 0o755 } as const,
  }
  const OWN = '00:16:3e:00:00:01'
  const instance = { vendor: 'Alibaba Cloud', own: [OWN], systemd: 252 }
  const written = (cloud: SeenMachine['cloud'], mode = 'auto') => {
    const config = parseConfig(`${CONFIG_TEXT}\nmode: ${mode}`, 'test')
    const { steps } = planInstall({ ...WANTED, config }, { ...machine(paths, []), cloud })
    const files = steps.flatMap(step =>
      step.do === 'write' && step.what === 'network program' ? [[step.path, step.text] as const] : [],
    )
    return { steps, files: new Map(files) }
  }
  const RULE = '/etc/udev/rules.d/71-terway-edge.rules'
  const NETWORK = '/etc/systemd/network/05-terway-edge-eni.network'
  const CLOUD_INIT = '/etc/cloud/cloud.cfg.d/99-terway-edge.cfg'

  test('all but those that the machine has itself are kept from its programs', () => {
    const { steps, files } = written(instance)
    expect(files.get(RULE)).toContain(`ATTR{address}=="00:16:3e:*", ATTR{address}!="${OWN}", ENV{NM_UNMANAGED}="1"`)
    expect(files.get(NETWORK)).toContain('Property=TERWAY_EDGE_ENI=1')
    expect(Bun.YAML.parse(files.get(CLOUD_INIT) ?? '')).toEqual({
      updates: { network: { when: ['boot-new-instance'] } },
    })
    expect(calls(steps)).toContain('try-reload-or-restart systemd-networkd.service')
    const wanted = { role: 'node', config: WANTED.config, purge: false, root: '/', running: false } as const
    const removed = planUninstall(wanted, after(steps, [])).flatMap(step => (step.do === 'remove' ? [step.path] : []))
    for (const path of [RULE, NETWORK, CLOUD_INIT]) expect(removed).toContain(path)
  })

  test('a systemd that would take the file for one of all interfaces does not get it', () => {
    expect([...written({ ...instance, systemd: 241 }).files.keys()]).not.toContain(NETWORK)
    expect([...written({ ...instance, systemd: undefined }).files.keys()]).not.toContain(NETWORK)
  })

  test('machines of other makers, images, nodes of route mode: nothing', () => {
    const none = [written({ ...instance, vendor: 'Dell Inc.' }), written(undefined), written(instance, 'route')]
    for (const { steps, files } of none) {
      expect([...files.keys()]).not.toContain(RULE)
      expect(calls(steps)).not.toContain('try-reload-or-restart systemd-networkd.service')
    }
    expect([...written({ ...instance, vendor: '' }, 'eni-ens').files.keys()]).toContain(RULE)
  })
})
