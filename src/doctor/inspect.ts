/**
 * Looks at this node for `terway-edge doctor`: its files, the API server, the local process, the
 * kernel, the peers. Each look that fails becomes a fact; only the checks (`checks.ts`) judge.
 */
import { accessSync, constants, existsSync, lstatSync, readlinkSync } from 'node:fs'
import { release, totalmem } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { cniConfigFile } from '../agent/cni-config.ts'
import { hopLimits } from '../bgp/machine/peer-settings.ts'
import { createTransport, md5Problem } from '../bgp/tcp/transport.ts'
import { type HopLimits, isConnection } from '../bgp/tcp/transport-types.ts'
import { isServed } from '../cni/server.ts'
import { isOurAlias } from '../cni/veth-names.ts'
import type { Config } from '../config/schema.ts'
import { firewallConfig } from '../firewall/config.ts'
import { lackingCapabilities } from '../host/capabilities.ts'
import { CNI_NAMES, CONFIG, EXECUTABLE, KUBECONFIG, UNITS } from '../host/installed-files.ts'
import { runningProcess } from '../host/state-folder.ts'
import { ApiError } from '../kube/api.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import { createKubeApi } from '../kube/client.ts'
import { loadClusterState } from '../kube/cluster-state.ts'
import type { ClusterView } from '../kube/cluster-view-types.ts'
import { credentialExpiries } from '../kube/credential-expiry.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { viewOf } from '../kube/merge-cluster.ts'
import { BGP_PEERS } from '../kube/resources.ts'
import { renewedTokenFile } from '../kube/token-renewal.ts'
import { systemClock } from '../lib/clock.ts'
import { errorCode, errorText } from '../lib/errors.ts'
import { silentLog } from '../lib/log.ts'
import type { BgpSession } from '../model/session.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { onLinkInterface } from '../netlink/on-link.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { saidSinceUp } from '../speaker/session-history.ts'
import { askSnapshot } from '../status/ask.ts'
import { observeCni } from './cni.ts'
import type { DoctorFacts, HostChange, NetworkFacts, PeerFacts } from './facts.ts'
import { listenersOn } from './listeners.ts'
import { hostChanges, observeNetwork } from './observe.ts'
import { observeInterfaces } from './observe-interfaces.ts'

const API_TIMEOUT_MILLISECONDS = 5000
const PEER_TIMEOUT_MILLISECONDS = 3000
const RIGHTS = ['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE'] as const

export interface Inspected {
  readonly facts: DoctorFacts
  /** Undefined: they could not all be read. */
  readonly changes: readonly HostChange[] | undefined
}

const isPodLink = ({ alias }: { alias?: string }) => isOurAlias(alias)

/** `configProblem`: why `config` is not what the file says but the defaults. */
export async function inspectNode(config: Config, file: string, configProblem?: string): Promise<Inspected> {
  const { state, problems: stateProblems } = loadClusterState(config.state, { node: config.node })
  const view = state && viewOf(state, new Map(), 'state')
  const mark = config.route
  const [access, local] = await Promise.all([inspectApi(config), inspectService(config)])
  const seen = await observeNetwork({
    clock: systemClock,
    self: config.node,
    view,
    mark,
    firewall: firewallConfig(config),
    isPodLink,
  }).then(
    (network): { network: NetworkFacts } => ({ network }),
    (error: unknown) => ({ networkProblem: errorText(error) }),
  )
  const network = 'network' in seen ? seen.network : undefined
  const interfaces = await observeInterfaces(config).then(
    found => (found === undefined ? undefined : { interfaces: found }),
    (error: unknown) => ({ interfacesProblem: errorText(error) }),
  )
  const md5 = md5Problem()
  return {
    facts: {
      now: systemClock.now(),
      node: config.node,
      ...(config.bgp.listenPort > 0 && {
        bgpPort: { port: config.bgp.listenPort, holders: listenersOn(config.bgp.listenPort) },
      }),
      lackingCapabilities: lackingCapabilities(RIGHTS),
      machine: { kernel: release(), libc: libcVersion(), memoryMebibytes: Math.floor(totalmem() / 2 ** 20) },
      ...(md5 !== undefined && { md5Problem: md5.detail }),
      config: { file, present: existsSync(file), ...(configProblem !== undefined && { problem: configProblem }) },
      ...access,
      state: {
        folder: config.state,
        ...folderProblem(config.state),
        ...(stateProblems.length > 0 && { clusterProblem: stateProblems.join('; ') }),
      },
      service: local.facts,
      ...seen,
      ...cniFacts(config, network, interfaces !== undefined && 'interfaces' in interfaces),
      ...interfaces,
      cniServed: await isServed(config.state),
      peers: view === undefined ? [] : await inspectPeers(config.node, view, local.snapshot?.sessions ?? []),
    },
    changes: await hostChanges({ mark, stateDir: config.state, isPodLink }).then(
      seen => [...filesOf(config), ...seen],
      () => undefined,
    ),
  }
}

const REPORT = z.object({ header: z.object({ glibcVersionRuntime: z.string() }) })

function libcVersion(): string | undefined {
  return REPORT.safeParse(process.report.getReport()).data?.header.glibcVersionRuntime
}

function folderProblem(folder: string): { problem?: string } {
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    return {}
  } catch (error) {
    return { problem: errorCode(error) === 'ENOENT' ? 'there is no such folder yet' : errorText(error) }
  }
}

function cniFacts(
  config: Config,
  network: NetworkFacts | undefined,
  onInterfaces: boolean,
): Pick<DoctorFacts, 'cni' | 'cniProblem'> {
  try {
    return { cni: observeCni(config.cni, network && expectedCni(config, network, onInterfaces)) }
  } catch (error) {
    return { cniProblem: errorText(error) }
  }
}

function expectedCni({ cni, state }: Config, { podCIDRs, uplink }: NetworkFacts, onInterfaces: boolean) {
  if (podCIDRs.length === 0 && !onInterfaces) return undefined
  const mtu = cni.mtu === 'auto' ? uplink?.mtu : cni.mtu
  return {
    podCIDRs: onInterfaces ? undefined : podCIDRs,
    stateDir: state,
    allowSourceAddresses: cni.allowSourceAddresses,
    uplink: uplink?.name,
    ...(mtu !== undefined && { mtu }),
  }
}

async function inspectApi({
  kubeconfig: file,
  state,
}: Config): Promise<Pick<DoctorFacts, 'kubeconfig' | 'api' | 'expiries'>> {
  let kubeconfig: ReturnType<typeof loadKubeconfig>
  try {
    kubeconfig = loadKubeconfig(file, renewedTokenFile(state))
  } catch (error) {
    return {
      kubeconfig: { origin: file ?? 'the service account of this pod', problem: errorText(error) },
      expiries: [],
    }
  }
  const { origin, server } = kubeconfig
  const expiries = await credentialExpiries(kubeconfig).catch(() => [])
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
  const late = Promise.withResolvers<never>()
  const cancel = systemClock.after(API_TIMEOUT_MILLISECONDS, () =>
    late.reject(new Error(`no answer within ${API_TIMEOUT_MILLISECONDS / 1000} s`)),
  )
  try {
    await Promise.race([api.list(BGP_PEERS), late.promise])
    const ahead = api.counts?.clockAheadSeconds
    return {
      kubeconfig: { origin },
      api: { server, ...(ahead !== undefined && { clockAheadSeconds: ahead }) },
      expiries,
    }
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 0
    return { kubeconfig: { origin }, api: { server, problem: errorText(error), status }, expiries }
  } finally {
    cancel()
    api.close()
  }
}

async function inspectService(config: Config): Promise<{ facts: DoctorFacts['service']; snapshot?: Snapshot }> {
  let pid: number | undefined
  try {
    pid = runningProcess(config.state)?.pid
  } catch (error) {
    return { facts: { problem: errorText(error), problems: [] } }
  }
  if (pid === undefined) return { facts: { problems: [] } }
  const { listen, tokenFile, tls } = config.status
  if (listen.endsWith(':0'))
    return { facts: { pid, problem: 'its status interface has a port of its choice', problems: [] } }
  try {
    const address = `${tls === undefined ? 'http' : 'https'}://${listen}`
    const snapshot = await askSnapshot({ address, ...(tokenFile !== undefined && { tokenFile }) })
    return { facts: { pid, ready: snapshot.ready, problems: snapshot.problems }, snapshot }
  } catch (error) {
    return { facts: { pid, problem: errorText(error), problems: [] } }
  }
}

function inspectPeers(self: string, view: ClusterView, sessions: readonly BgpSession[]): Promise<PeerFacts[]> {
  const mine = view.peers.filter(({ spec }) => spec.localSpeakers.includes(self))
  return Promise.all(
    mine.map(async peer => {
      const session = sessions.find(row => row.bgpPeer === peer.name && row.node === self)
      const { peerIP, peerPort } = peer.spec
      const { ttl, minimumTtl = 0 } = limitsOf(peer)
      const said = saidSinceUp(session?.history ?? [])
      const facts: PeerFacts = {
        bgpPeer: peer.name,
        peerIP,
        port: peerPort,
        onLink: isOnLink(peerIP),
        multihop: ttl > 1 && minimumTtl < 255,
        securesTtl: peer.spec.ttlSecurity !== undefined,
        password: peer.spec.authPassword !== undefined,
        ...(session !== undefined && { sessionState: session.state }),
        ...(session?.lastError !== undefined && { sessionError: session.lastError }),
        ...(said?.reason !== undefined && { sessionSaid: said.reason }),
      }
      // a second connection beside a session would only confuse the peer
      if (session?.state === 'Established' || peer.spec.passive) return facts
      return { ...facts, tcp: await tryPeer(peer, view) }
    }),
  )
}

function isOnLink(address: string): boolean {
  const netlink = Rtnetlink.open()
  try {
    return onLinkInterface(netlink, address) !== undefined
  } catch {
    return false
  } finally {
    netlink.close()
  }
}

function limitsOf({ spec }: Pick<BGPPeer, 'spec'>): HopLimits {
  return hopLimits({ ...spec, localAs: spec.localAsNumber, peerAs: spec.peerAsNumber })
}

/** One TCP connection, with the password and TTL of the session, closed as soon as it is there. */
function tryPeer({ name, spec }: BGPPeer, view: ClusterView): Promise<NonNullable<PeerFacts['tcp']>> {
  const { promise, resolve } = Promise.withResolvers<NonNullable<PeerFacts['tcp']>>()
  const password = view.passwords.get(name)
  const to = {
    address: spec.peerIP,
    port: spec.peerPort,
    ...limitsOf({ spec }),
    timeoutMilliseconds: PEER_TIMEOUT_MILLISECONDS,
    ...(spec.sourceAddress !== undefined && { sourceAddress: spec.sourceAddress }),
    ...(password !== undefined && { password }),
  }
  createTransport({ clock: systemClock }).connect(to, result => {
    if (!isConnection(result)) return resolve({ kind: result.kind, detail: result.detail })
    result.attach({ data() {}, drained() {}, ended() {} })
    result.close()
    resolve('connected')
  })
  return promise
}

/** A `loopback` may be that of the CNI project; `own` is a link, or a copy of the executable. */
function isOurs(path: string, own: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found?.isSymbolicLink() !== true) return path === own && found?.isFile() === true
  return [EXECUTABLE, own].includes(readlinkSync(path))
}

function filesOf({ cni, state }: Config): HostChange[] {
  const [own, ...others] = CNI_NAMES.map(name => join(cni.binDir, name))
  const plugins = own === undefined ? [] : [own, ...others].filter(path => isOurs(path, own))
  const files = [EXECUTABLE, ...UNITS, CONFIG, KUBECONFIG, ...plugins, cniConfigFile(cni.confDir), state]
  return files.filter(file => existsSync(file)).map(what => ({ kind: 'file', what }))
}
