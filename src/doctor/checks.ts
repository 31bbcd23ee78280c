/**
 * The checks of `doctor`: from what is known of a node to a verdict each, with what to do about it.
 * Pure.
 *
 * A problem is what keeps pods or sessions from working; a warning is what an operator should know.
 * What cannot be judged is skipped and says why, never passed over.
 */

import { clockProblems, expiryProblems } from '../model/problems.ts'
import { duplicateChecks } from './duplicates.ts'
import type { CniFacts, DoctorFacts, NetworkFacts, PeerFacts } from './facts.ts'
import { firewallChecks } from './firewall.ts'
import { interfaceChecks } from './interfaces.ts'
import { machineCheck } from './machine.ts'
import { type Check, type CheckName, ok, problem, skipped, some, warning } from './verdicts.ts'

export function checksOf(facts: DoctorFacts): Check[] {
  const { network, networkProblem = '', cni, cniProblem = '' } = facts
  return [
    rights(facts),
    machineCheck(facts.machine, network?.lacksIPv4 ?? false),
    configuration(facts),
    kubeconfig(facts),
    apiServer(facts),
    clock(facts),
    credentials(facts),
    stateFolder(facts),
    serviceCheck(facts),
    tcpMd5(facts),
    ...bgpPort(facts),
    ...(network === undefined
      ? [problem('network', `the kernel cannot be asked: ${networkProblem}`, 'run it as root')]
      : networkChecks(network, facts)),
    ...(cni === undefined
      ? [problem('CNI', `its files cannot be read: ${cniProblem}`, 'run it as root')]
      : cniChecks(cni, network)),
    ...interfacesOf(facts),
    cniServer(facts),
    ...facts.peers.map(peer),
  ]
}

function interfacesOf({ interfaces, interfacesProblem }: DoctorFacts): Check[] {
  if (interfacesProblem !== undefined)
    return [problem('interfaces', `they cannot be looked at: ${interfacesProblem}`, 'run it as root')]
  return interfaces === undefined ? [] : interfaceChecks(interfaces)
}

/** Whether nothing is wrong: warnings do not count. */
export function isHealthy(checks: readonly Check[]): boolean {
  return checks.every(({ result }) => result !== 'problem')
}

function rights({ lackingCapabilities: lacking }: DoctorFacts): Check {
  if (lacking.length === 0) return ok('rights', 'CAP_NET_ADMIN and CAP_NET_BIND_SERVICE')
  return problem('rights', `doctor runs without ${lacking.join(' and ')}`, 'run it as root: sudo terway-edge doctor')
}

function configuration({ config }: DoctorFacts): Check {
  if (config.problem !== undefined) {
    return problem('configuration', config.problem, `correct ${config.file}; terway-edge config checks it`)
  }
  return ok('configuration', config.present ? config.file : `the defaults: there is no ${config.file}`)
}

function kubeconfig({ kubeconfig: { origin, problem: reason } }: DoctorFacts): Check {
  if (reason === undefined) return ok('kubeconfig', origin)
  return problem(
    'kubeconfig',
    reason,
    'make one with terway-edge kubeconfig where the cluster can be administered, and install it: terway-edge install --kubeconfig FILE',
  )
}

function apiServer({ api }: DoctorFacts): Check {
  const name = 'API server'
  if (api === undefined) return skipped(name, 'there is no usable kubeconfig')
  if (api.problem === undefined) return ok(name, `${api.server} answers`)
  const detail = `${api.server}: ${api.problem}`
  switch (api.status) {
    case 401:
      return problem(name, detail, 'its credentials are refused: make a new kubeconfig with terway-edge kubeconfig')
    case 403:
      return problem(name, detail, 'apply the rights of nodes: terway-edge manifests --part rbac | kubectl apply -f -')
    case 404:
      return problem(name, detail, 'install the CRDs: terway-edge manifests --part crds | kubectl apply -f -')
    default:
      return problem(
        name,
        detail,
        'check the uplink, DNS, firewalls on the way and the server in the kubeconfig; this node goes on with its last good state',
      )
  }
}

function clock({ api }: DoctorFacts): Check {
  const name = 'clock'
  if (api?.clockAheadSeconds === undefined) return skipped(name, 'the API server has not said what time it is')
  const [apart] = clockProblems({ server: api.server, connected: true, clockAheadSeconds: api.clockAheadSeconds })
  if (apart !== undefined) return problem(name, apart, 'timedatectl set-ntp true')
  return ok(name, `within ${Math.abs(api.clockAheadSeconds) + 1} s of the API server's`)
}

function credentials({ expiries, now }: DoctorFacts): Check {
  const name = 'credentials'
  const remedy =
    'terway-edge kubeconfig where the cluster can be administered, then terway-edge install --kubeconfig FILE'
  const ending = expiryProblems(expiries, now)
  if (ending.length > 0) return problem(name, ending.join('\n'), remedy)
  const days = (at: string) => Math.floor((Date.parse(at) - now) / 86_400_000)
  return ok(name, expiries.map(({ what, at }) => `${what}: ${days(at)} days left`).join(', ') || 'nothing expires')
}

/** Peers can dial in only where this service has the port. */
function bgpPort({ bgpPort: facts, service, peers }: DoctorFacts): Check[] {
  if (facts === undefined || peers.length === 0) return []
  const name = 'BGP port'
  const others = facts.holders.filter(({ pid }) => pid !== service.pid)
  const list = others.map(({ name: program, pid }) => (pid === 0 ? program : `${program} (process ${pid})`)).join(', ')
  if (others.length > 0)
    return [
      problem(
        name,
        `${list} has TCP port ${facts.port}, so the peer cannot open sessions with this node`,
        `stop ${list}; ss -ltnp 'sport = :${facts.port}'`,
      ),
    ]
  // that nobody listens is no fault of an agent alone; a speaker tells of it itself
  return facts.holders.length === 0 ? [] : [ok(name, `the service listens on TCP port ${facts.port}`)]
}

function stateFolder({ state, network }: DoctorFacts): Check {
  const name = 'state folder'
  if (state.problem !== undefined)
    return problem(
      name,
      `${state.folder}: ${state.problem}`,
      'make it a folder that root can write, or name another with --state',
    )
  if (state.clusterProblem !== undefined)
    return problem(
      name,
      state.clusterProblem,
      `remove ${state.folder}/cluster.json; it is written anew from the API server`,
    )
  if (network?.known === false)
    return warning(
      name,
      `${state.folder} holds nothing of the cluster yet`,
      'wait for a first contact with the API server',
    )
  return ok(name, state.folder)
}

function serviceCheck({ service }: DoctorFacts): Check {
  const name = 'service'
  const logs = 'journalctl -u terway-edge'
  if (service.pid === undefined && service.problem !== undefined)
    return warning(name, `whether one runs cannot be told: ${service.problem}`, 'run doctor as root')
  if (service.pid === undefined)
    return problem(name, 'no terway-edge runs on this state folder', `systemctl start terway-edge; then ${logs}`)
  if (service.problem !== undefined)
    return warning(name, `process ${service.pid} runs, but cannot be asked: ${service.problem}`, `see ${logs}`)
  if (service.problems.length > 0)
    return problem(name, `process ${service.pid} says: ${some(service.problems)}`, 'see terway-edge status')
  if (service.ready !== false) return ok(name, `process ${service.pid} is ready`)
  return problem(name, `process ${service.pid} is not ready`, `see terway-edge status and ${logs}`)
}

function tcpMd5({ md5Problem, peers }: DoctorFacts): Check {
  const name = 'TCP MD5'
  if (md5Problem === undefined) return ok(name, 'the kernel can sign BGP sessions')
  const remedy = 'use a kernel with CONFIG_TCP_MD5SIG, or BGPPeers without authPassword'
  return peers.some(({ password }) => password) ? problem(name, md5Problem, remedy) : warning(name, md5Problem, remedy)
}

function networkChecks(network: NetworkFacts, facts: DoctorFacts): Check[] {
  const routed = facts.interfaces === undefined
  return [
    ...(routed ? [podCIDRs(network, facts.node)] : []),
    ...hostAddress(network),
    ...(routed ? [routes(network)] : []),
    settings(network),
    uplink(network, facts.cni?.mtu ?? 'auto'),
    ...duplicateChecks(network.duplicates),
    ...firewallChecks(network.firewall),
  ]
}

function podCIDRs({ known, podCIDRs: own }: NetworkFacts, node: string): Check {
  const name = 'pod CIDRs'
  if (own.length > 0) return ok(name, own.join(', '))
  if (known)
    return problem(name, `node ${node} has none yet`, 'see kubectl describe node: the controller says there why')
  return problem(
    name,
    `no RouteSlice names node ${node}`,
    'is this its name in Kubernetes (--node, kubectl get nodes), and does the controller run?',
  )
}

/** Pods need no IPv4 address of their host; what the host itself sends to them does. */
function hostAddress({ lacksIPv4 }: NetworkFacts): Check[] {
  if (!lacksIPv4) return []
  const detail =
    'this machine has no IPv4 address: what it sends itself to IPv4 pods (probes too) has the source 0.0.0.0'
  const remedy = 'start the service with paths.enabled, or give it one on lo: ip addr add 192.0.0.8/32 dev lo'
  return [warning('host address', detail, remedy)]
}

function routes({ known, routes: { wanted, changes, conflicts, problems, astray } }: NetworkFacts): Check {
  const name = 'routes'
  if (!known) return skipped(name, 'what they should be is not known')
  if (conflicts.length > 0)
    return problem(name, some(conflicts), 'remove the route of the other program, or move one of the two CIDRs')
  if (problems.length > 0) return problem(name, some(problems), 'see terway-edge routes and the BGPPeer of this LAN')
  if (changes.length > 0)
    return problem(
      name,
      `not as they should be: ${some(changes)}`,
      'start the service; if it runs, see terway-edge routes for what the kernel refuses',
    )
  if (astray.length > 0) return problem(name, astray.join('\n'), 'what each line says; then run doctor again')
  return ok(name, `all ${wanted} are there, and packets take them`)
}

function settings({ known, settings: wrong }: NetworkFacts): Check {
  const name = 'forwarding'
  if (wrong.length > 0) {
    const list = wrong.map(({ name: key, now, value }) => `${key.replaceAll('/', '.')} is ${now}, not ${value}`)
    return problem(
      name,
      some(list),
      'start the service, which sets them; if they change back, look for them in /etc/sysctl.d',
    )
  }
  return ok(name, known ? 'IP forwarding is on, no strict reverse path filter on the uplink' : 'IP forwarding is on')
}

function uplink({ uplink: link, largerLinks }: NetworkFacts, mtu: number | 'auto'): Check {
  const name = 'MTU'
  if (link === undefined)
    return problem(
      'uplink',
      'no interface bears an address of this node, and there is no default route',
      'check ip address and ip route',
    )
  if (!link.carrier) return problem('uplink', `${link.name} has no carrier`, 'check the cable and the switch port')
  if (mtu !== 'auto' && mtu > link.mtu)
    return problem(name, `cni.mtu is ${mtu}, more than the ${link.mtu} of ${link.name}`, 'set cni.mtu to auto')
  if (largerLinks.length > 0) {
    const list = largerLinks.map(larger => `${larger.name} has ${larger.mtu}`)
    return problem(
      name,
      `more than the ${link.mtu} of ${link.name}: ${some(list)}`,
      'restart those pods: they were made when the uplink took more',
    )
  }
  return ok(name, `${link.mtu} of ${link.name}${mtu === 'auto' ? '' : `, pods have ${mtu}`}`)
}

function cniChecks(facts: CniFacts, network: NetworkFacts | undefined): Check[] {
  const { plugin, loopback, conflist, before, notChained } = facts
  return [
    executable('CNI plugin', plugin, 'terway-edge install makes it'),
    executable('CNI loopback', loopback, 'terway-edge install, or the package of CNI plugins, brings it'),
    cniConfiguration(conflist, before, network),
    ...notChained.map(({ file, effect }) =>
      warning(
        'CNI chain',
        `${file} is missing: ${effect}`,
        `copy it from the CNI plugins (Debian: apt-get install containernetworking-plugins; ln -s /usr/lib/cni/${file.split('/').at(-1)} ${file})`,
      ),
    ),
  ]
}

function cniServer({ cniServed }: DoctorFacts): Check {
  const name = 'CNI server'
  if (cniServed === undefined) return skipped(name, 'only root may ask it')
  if (cniServed) return ok(name, 'it does the work of the plugin')
  const alone = 'none runs, so each call of the plugin does its work itself, some milliseconds slower'
  return skipped(name, `${alone}; to start it: systemctl enable --now terway-edge-cni`)
}

function executable(name: CheckName, { file, state }: CniFacts['plugin'], remedy: string): Check {
  return state === 'executable' ? ok(name, file) : problem(name, `${file} is ${state}`, remedy)
}

function cniConfiguration(
  { file, state }: CniFacts['conflist'],
  before: CniFacts['before'],
  network: NetworkFacts | undefined,
): Check {
  const name = 'CNI configuration'
  const [first] = before
  if (first !== undefined)
    return problem(
      name,
      `${first} comes before ours, and the runtime takes the first`,
      'remove it, or the network that made it',
    )
  if (state === 'right') return ok(name, file)
  if (network !== undefined && network.podCIDRs.length === 0)
    return skipped(name, 'it is written when podCIDRs are known')
  return problem(
    name,
    `${file} is ${state === 'missing' ? 'missing' : 'not what it should be'}`,
    'start the service, which writes it',
  )
}

function peer(facts: PeerFacts): Check {
  const { bgpPeer, peerIP, port, onLink, multihop, tcp } = facts
  const name = `BGPPeer ${bgpPeer}` as const
  const who = `${peerIP} port ${port}`
  if (facts.sessionState === 'Established') {
    const detail = `the session with ${peerIP} is Established`
    if (facts.sessionError === undefined) return ok(name, detail)
    return problem(name, `${detail}, but ${facts.sessionError}`, 'see terway-edge peers')
  }
  if (facts.sessionSaid !== undefined)
    return problem(name, `${peerIP}: ${facts.sessionSaid}`, 'that is the reason; what it says is to be mended there')
  if (!onLink && !multihop)
    return problem(
      name,
      `peerIP ${peerIP} is not on-link at this node`,
      facts.securesTtl
        ? 'correct peerIP or the addresses of this node, or say in ttlSecurity how many hops away it is'
        : 'correct peerIP or the addresses of this node, or set ebgpMultihop',
    )
  if (tcp === undefined) return skipped(name, `${who} was not tried: this node waits for the peer to connect`)
  if (tcp !== 'connected') return problem(name, `${who}: ${tcp.detail}`, peerRemedy(tcp.kind, facts))
  const last = facts.sessionError === undefined ? '' : `: ${facts.sessionError}`
  if (facts.sessionState === undefined) return ok(name, `${who} answers`)
  return problem(
    name,
    `${who} answers, but the session is ${facts.sessionState}${last}`,
    'see terway-edge peers -o wide',
  )
}

function peerRemedy(kind: string, { password }: PeerFacts): string {
  switch (kind) {
    case 'refused':
      return 'the peer does not take BGP from this address: add this node as a peer there'
    case 'timed-out':
      return password
        ? 'the password differs (a wrong TCP MD5 key is met with silence), or something drops port 179 on the way'
        : 'the peer asks for a password, or something drops port 179 on the way'
    case 'unreachable':
      return 'check the cable, the VLAN, and that the peer bears this address: ip neighbour'
    default:
      return 'see terway-edge peers -o wide'
  }
}
