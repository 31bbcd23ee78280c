/**
 * The operator's commands as an operator runs them: the program from source against a real server
 * on loopback.
 */
import { afterAll, afterEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { remediesOf, sessionProblems } from '../../src/model/problems.ts'
import type { Departure, Snapshot } from '../../src/model/snapshot.ts'
import { type StatusServer, startStatusServer } from '../../src/status/server.ts'
import { controllerSnapshot, nodeSnapshot, SampleSource, SESSION } from './sample.ts'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-commands-'))
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

function serve(snapshot: Snapshot, token?: string): StatusServer {
  const server = startStatusServer({
    ...new SampleSource(snapshot),
    listen: '127.0.0.1:0',
    log: silentLog,
    token: token === undefined ? undefined : new Secret(token),
  })
  open.push(server)
  return server
}

async function terwayEdge(args: readonly string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, 'src/main.ts', ...args], {
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, ...env },
    timeout: 15_000,
  })
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { stdout, stderr, status }
}

/** What `args` print about `snapshot`; `status` ends with 1 where there are problems. */
async function shown(snapshot: Snapshot, ...args: string[]): Promise<string> {
  const result = await terwayEdge([...args, '--address', `127.0.0.1:${serve(snapshot).port}`])
  const status = args[0] === 'status' && snapshot.problems.length > 0 ? 1 : 0
  expect([result.status, result.stderr]).toEqual([status, ''])
  return result.stdout
}

test('peers prints a line per session, wide adds columns', async () => {
  expect(await shown(controllerSnapshot(), 'peers')).toBe(`\
BGPPEER   NODE     PEERIP       PEERASNUMBER   STATE         SINCE   ADVERTISED   RECEIVED   FLAPS   LASTERROR
lan-a     edge-1   172.16.0.1          65001   Established     60m            2          1       3   -
lan-b     edge-3   172.16.1.1          65002   Active         100s            0          0       0   connection refused
`)
  const wide = await shown(controllerSnapshot(), 'peers', '-o', 'wide')
  expect(wide).toContain('LOCALADDRESS   LOCALASNUMBER   HOLDTIME   CAPABILITIES')
  expect(wide).toContain('172.16.0.11            65010        90s   4-octet-as,graceful-restart')
})

test('peers NAME says all that is known of a session, as a router does', async () => {
  const neighbor = {
    routerId: '172.16.0.11',
    peerRouterId: '172.16.0.1',
    peerPort: 179,
    connection: { openedBy: 'us', localPort: 40_000, remotePort: 179 },
    passive: false,
    password: true,
    ttl: 255,
    minimumTtl: 255,
    configured: { holdTimeSeconds: 90, connectRetrySeconds: 30 },
    negotiated: { holdTimeSeconds: 30, keepaliveSeconds: 10 },
    lastRead: '2026-03-01T11:59:57Z',
    sent: { open: 1, update: 3, notification: 0, keepalive: 9, routeRefresh: 0 },
    received: { open: 1, update: 1, notification: 0, keepalive: 8, routeRefresh: 2 },
    established: 4,
    dropped: 3,
    lastReset: { time: '2026-03-01T10:59:00Z', reason: 'hold timer expired' },
    localCapabilities: ['route-refresh'],
    peerCapabilities: ['route-refresh', 'unknown 73'],
    families: [{ family: 'ipv4', negotiated: true, endOfRibSent: true, endOfRibReceived: false }],
    gracefulRestart: { localSeconds: 600, peerSeconds: 120, notification: true },
    waitingPrefixes: 0,
    congested: false,
  } as const
  const snapshot = nodeSnapshot({ sessions: [{ ...SESSION, neighbor }] })
  expect(await shown(snapshot, 'peers', 'lan-a')).toBe(`\
BGPPeer lan-a: edge-1 AS 65010 with 172.16.0.1 AS 65001 (eBGP)
  State               Established for 60m
  Local address       172.16.0.11
  Prefixes            2 advertised, 1 received
  Router IDs          172.16.0.11 here, 172.16.0.1 there, BGP version 4
  Connection          opened by this node, port 40000 here, 179 there, TTL 255, at least 255 taken (GTSM), TCP MD5 on
  Timers              hold time 90 s and connect retry 30 s configured, hold time 30 s and keepalive 10 s negotiated
  Last read           3s ago
  Last write          never
  Messages sent       1 OPEN, 3 UPDATE, 0 NOTIFICATION, 9 KEEPALIVE, 0 ROUTE-REFRESH
  Messages received   1 OPEN, 1 UPDATE, 0 NOTIFICATION, 8 KEEPALIVE, 2 ROUTE-REFRESH
  Waiting             0 prefixes
  Came up             4 times, went down 3 times
  Last reset          61m ago: hold timer expired
  Capabilities here   route-refresh
  Capabilities there  route-refresh, unknown 73
  ipv4 unicast        negotiated, End-of-RIB sent, not received
  Graceful restart    the peer keeps our routes for 600 s and asks for 120 s itself, also over a NOTIFICATION
`)
  expect(JSON.parse(await shown(snapshot, 'peers', 'lan-a', '-o', 'json'))).toEqual([{ ...SESSION, neighbor }])
  const result = await terwayEdge(['peers', 'lan-x', '--address', `127.0.0.1:${serve(snapshot).port}`])
  expect(result).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringContaining('"lan-x" here; there are: lan-a'),
  })
})

test('peers NAME advertised says what the switch was told', async () => {
  const routes = [
    { prefix: '10.0.0.0/25', nextHop: '172.16.0.11', origin: 'IGP', asPath: [65010], communities: ['65010:7'] },
    { prefix: '10.0.0.128/25', nextHop: '172.16.0.12', origin: 'IGP', asPath: [65010], med: 5 },
  ]
  const server = startStatusServer({
    ...new SampleSource(nodeSnapshot()),
    listen: '127.0.0.1:0',
    log: silentLog,
    advertised: name => (name === 'lan-a' ? routes : undefined),
  })
  open.push(server)
  const address = ['--address', `127.0.0.1:${server.port}`]
  expect(await terwayEdge(['peers', 'lan-a', 'advertised', ...address])).toEqual({
    status: 0,
    stderr: '',
    stdout: `\
PREFIX          NEXTHOP       ASPATH   ORIGIN   MED   LOCALPREF   COMMUNITIES
10.0.0.0/25     172.16.0.11   65010    IGP        -           -   65010:7
10.0.0.128/25   172.16.0.12   65010    IGP        5           -   -
`,
  })
  expect(await terwayEdge(['peers', 'lan-a', 'surplus', ...address])).toMatchObject({ status: 2, stdout: '' })
})

test('peers says of a session that is up what it does not announce', async () => {
  const snapshot = nodeSnapshot()
  const [session] = controllerSnapshot().sessions
  if (session === undefined) throw new Error('no session')
  const lastError = 'not announced: 2 IPv4 prefixes: enable it'
  const sessions = [{ ...session, lastError, notAnnouncedPrefixes: 2 }]
  const advice = sessionProblems(sessions)
  const problems = advice.map(({ problem }) => problem)
  const lacking = { ...snapshot, sessions, problems, remedies: remediesOf(advice) }
  const text = await shown(lacking, 'peers')
  expect(await shown(lacking, 'status')).toContain(
    `is Established: ${lastError}\n    to do: terway-edge peers ${session.bgpPeer} on ${session.node}`,
  )
  expect(text).toMatch(/ Established .* not announced: 2 IPv4 prefixes: enable it$/m)
})

test('nodes and routes', async () => {
  expect(await shown(controllerSnapshot(), 'nodes')).toBe(`\
NAME     READY   ADDRESSES     PODCIDRS                     MODE   PODS   BGPPEERS   SPEAKEROF   PROBLEM
edge-1   True    172.16.0.11   10.0.0.0/25                  -      -      lan-a      lan-a       -
edge-2   False   172.16.0.12   10.0.0.128/25,fd00:10::/64   -      -      lan-a      -           -
edge-3   -       172.16.1.11   -                            -      -      lan-b      lan-b       no pod CIDR: the pool is full
`)
  expect(await shown(nodeSnapshot(), 'routes')).toBe(`\
DESTINATION     VIA            INTERFACE   STATE     REASON    PROBLEM
10.0.0.128/25   172.16.0.12    eth0        present   edge-2    -
10.0.1.0/25     172.16.0.254   eth0        failed    gateway   Nexthop has invalid gateway
`)
})

test('status of a node and of a controller', async () => {
  expect(await shown(nodeSnapshot(), 'status')).toBe(`\
terway-edge:  0.1.0, node edge-1
Ready:        no
Running for:  120m
API server:   https://10.96.0.1:443 not connected, never reached: connection timed out
View:         from the state folder: what the API server said last
Addresses:    172.16.0.11
Pod CIDRs:    10.0.0.0/25
Pods:         7
Nodes:        3 in 2 BGPPeers
Sessions:     1 of 1 Established
Routes:       1 of 2 present, 0 missing, 1 failed

Problems:
  the API server has not answered for 5 minutes; the last accepted state is in use
`)
  const controller = await shown(controllerSnapshot(), 'status', '-o', 'wide')
  expect(controller).toContain('Leader:            controller-1 (this one)\n')
  expect(controller).toContain(
    'Pool 10.0.0.0/16:  2 of 512 blocks (/25) used, full in 2031-05 at the pace of the last 90 days\n',
  )
  expect(controller).toContain(
    'Problems:\n  BGPPeer lan-b: the session of edge-3 with 172.16.1.1 is Active: connection refused\n',
  )
  const wellSnapshot = controllerSnapshot({ sessions: [SESSION] })
  expect(await shown(wellSnapshot, 'status')).toContain('\nNo problems.\n')
  expect(controller).toContain(
    '100s   Warning   FailedEstablish   BGPPeer/lan-b   edge-3: connection refused by 172.16.1.1\n',
  )
})

test('status of a controller that was given a plan', async () => {
  const { controller } = controllerSnapshot()
  if (controller === undefined) throw new Error('no controller')
  const about = { lan: 'factory', bgpPeers: ['lan-a'], nodes: 2, plannedNodes: 8 }
  const withPlan = (departures: readonly Departure[], growthPerYear: string) => ({
    controller: {
      ...controller,
      pools: controller.pools.map(pool => ({ ...pool, plannedFullIn: '2040-01' })),
      plan: { lans: [{ ...about, growthPerYear, nodesInFiveYears: 18 }], departures },
    },
  })
  const planned = await shown(controllerSnapshot(withPlan([], '2')), 'status')
  expect(planned).toContain(', full in 2031-05 at the pace of the last 90 days, full in 2040-01 by the plan\n')
  expect(planned).toMatch(/^LAN factory: +2 of 8 planned nodes, 18 in five years \(2 a year\)$/m)
  expect(planned).toMatch(/^Plan: +the cluster is as planned$/m)
  const departures = [
    { where: 'BGPPeer lan-a: peerAsNumber', planned: '65009', is: '65001' },
    { where: 'LAN factory', planned: 'speaker edge-7', is: 'there is no such node' },
  ]
  const other = await shown(controllerSnapshot(withPlan(departures, '0')), 'status')
  expect(other).toMatch(/^LAN factory: +2 of 8 planned nodes$/m)
  expect(other).toMatch(
    /^Plan: +otherwise: BGPPeer lan-a: peerAsNumber: planned 65009, is 65001; and 1 more \(-o json/m,
  )
})

test('-o json is the data itself', async () => {
  const snapshot = controllerSnapshot()
  expect(JSON.parse(await shown(snapshot, 'status', '-o', 'json'))).toEqual(snapshot)
  expect(JSON.parse(await shown(snapshot, 'peers', '-o', 'json'))).toEqual(snapshot.sessions)
  expect(JSON.parse(await shown(snapshot, 'nodes', '-o', 'json'))).toEqual(snapshot.nodes)
  expect(JSON.parse(await shown(nodeSnapshot({ routes: [] }), 'routes', '-o', 'json'))).toEqual([])
})

test('nothing to show is said on stderr, and is no failure', async () => {
  const server = serve(controllerSnapshot())
  const result = await terwayEdge(['routes', '--address', server.url])
  expect(result).toEqual({ status: 0, stdout: '', stderr: 'No routes: this is the controller; ask on a node.\n' })
})

test('a name from elsewhere cannot steer the terminal', async () => {
  const nodes = [{ name: '\u001b[2Jevil', addresses: [], podCIDRs: [], peers: [], speakerOf: [] }]
  expect(await shown(controllerSnapshot({ nodes }), 'nodes')).toContain('\\x1b[2Jevil')
})

test('the proxy of the shell is not asked', async () => {
  const server = serve(controllerSnapshot())
  const proxy = 'http://127.0.0.1:1'
  const result = await terwayEdge(['nodes', '--address', server.url], { HTTP_PROXY: proxy, http_proxy: proxy })
  expect([result.status, result.stderr]).toEqual([0, ''])
})

test('where nothing answers, the message says what to do', async () => {
  const server = serve(controllerSnapshot())
  await server.close()
  for (const command of ['status', 'peers', 'routes', 'nodes']) {
    const result = await terwayEdge([command, '--address', `127.0.0.1:${server.port}`])
    expect(result).toEqual({
      status: 1,
      stdout: '',
      stderr: `terway-edge ${command}: no terway-edge answers at 127.0.0.1:${server.port}: is the service running? systemctl status terway-edge\n`,
    })
  }
})

test('a token is asked for, and taken from a file', async () => {
  const token = '0123456789abcdef'
  const server = serve(controllerSnapshot(), token)
  const without = await terwayEdge(['nodes', '--address', server.url])
  expect([without.status, without.stderr.includes('--token-file')]).toEqual([1, true])
  writeFileSync(`${folder}/token`, `${token}\n`)
  const withToken = await terwayEdge(['nodes', '--address', server.url, '--token-file', `${folder}/token`])
  expect([withToken.status, withToken.stderr]).toEqual([0, ''])
  const missing = await terwayEdge(['nodes', '--address', server.url, '--token-file', `${folder}/none`])
  expect([missing.status, missing.stderr.includes(`--token-file: cannot read ${folder}/none`)]).toEqual([2, true])
})

test('another server is not taken for ours', async () => {
  const other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => Response.json({ nodes: [] }) })
  open.push({ close: () => other.stop(true) })
  const result = await terwayEdge(['nodes', '--address', `127.0.0.1:${other.port}`])
  expect([result.status, result.stderr.includes('is not terway-edge')]).toEqual([1, true])
})

test('wrong usage is exit status 2', async () => {
  for (const args of [
    ['-o', 'xml'],
    ['--address', 'ftp://x'],
    ['--address', ' '],
    ['--nonsense'],
    ['lan-a', 'surplus'],
  ]) {
    const result = await terwayEdge(['peers', ...args])
    expect([args, result.status, result.stdout, result.stderr.includes('unexpected')]).toEqual([args, 2, '', false])
  }
})

test('--help shows examples', async () => {
  for (const command of ['status', 'peers', 'routes', 'nodes']) {
    const result = await terwayEdge([command, '--help'])
    expect([command, result.status, result.stdout.includes(`Examples:\n  terway-edge ${command}\n`)]).toEqual([
      command,
      0,
      true,
    ])
  }
})
