/**
 * The documented flow with real parts: the user's own files through the real kubectl to a real
 * kube-apiserver, the real controller and two real nodes, a real BIRD as the switch. The tests are
 * one story and run in this order; each ends with sessions that work.
 */
import { afterAll, expect } from 'bun:test'
import { join } from 'node:path'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { BGPPEER_YAML, COLUMNS, PASSWORD, USER_DOCUMENT } from '../support/user-document.ts'
import { SpeakerLan, type SpeakerName } from './speaker-lan.ts'

const story = testNeeding('root', 'bird', 'birdc', 'etcd', 'openssl', 'KUBEBUILDER_ASSETS')
const MINUTES = 60_000
const asDocumented = { password: PASSWORD, localAs: 65001 }

let running: SpeakerLan | undefined

/** The LAN that the tests share, started by the first that needs it. */
async function lan(): Promise<SpeakerLan> {
  running ??= await SpeakerLan.start()
  return running
}

afterAll(async () => {
  await running?.close()
}, 10 * MINUTES)

story(
  'a BGPPeer whose Secret is missing opens no session and says so',
  async () => {
    const at = await lan()
    at.server.applyYaml(BGPPEER_YAML)
    await eventually('SecretNotFound', () => at.events('SecretNotFound').length > 0)
    expect(at.describe()).toContain('kube-system/bgp-secret')
    await eventually('Idle speakers', () => at.speakers()['node-1']?.state === 'Idle')
    at.server.kubectl(['delete', 'bgppeer', 'peer'])
  },
  10 * MINUTES,
)

story(
  "the user's document: kubectl apply, get and describe while the switch refuses, and after",
  async () => {
    const at = await lan()
    at.server.applyYaml(USER_DOCUMENT)

    const [heading, row] = at.server.kubectl(['get', 'bgppeer', 'peer']).stdout.trim().split('\n')
    expect(heading?.trim().split(/\s+/)).toEqual(COLUMNS)
    expect(row).toMatch(/^peer\s+\["node-1","node-2"\]\s+65010\s+172\.16\.0\.1\s+65001\s+\d+\w*\s*$/)

    await eventually('FailedEstablish', () => /FailedEstablish.*refused/.test(at.describe()))
    await eventually('the reason in status', () => /refused/.test(at.speakers()['node-1']?.lastError ?? ''))

    at.startSwitch(asDocumented)
    await at.established()
    await eventually('Established', () => /Normal\s+Established/.test(at.describe()))
    expect(at.switchRoutes()).toEqual(at.wantedRoutes())
    expect(at.speakers()['node-2']).toMatchObject({ advertisedPrefixes: 3, holdTimeSeconds: 90 })
    const wide = at.server.kubectl(['get', 'bgppeer', 'peer', '-o', 'wide']).stdout
    expect(wide).toMatch(/SESSIONS\s+PREFIXES\s+VERIFIED/)
    await eventually('SESSIONS', () =>
      / 2\/2\s/.test(at.server.kubectl(['get', 'bgppeer', 'peer', '-o', 'wide']).stdout),
    )
  },
  10 * MINUTES,
)

story(
  'a session that stays as it is causes no write',
  async () => {
    const at = await lan()
    const version = () =>
      at.server.kubectl(['get', 'bgppeer', 'peer', '-o', 'jsonpath={.metadata.resourceVersion}']).stdout
    let before = ''
    const settled = async () => {
      before = version()
      await Bun.sleep(3_000)
      return version() === before
    }
    await eventually('the status settles', settled)
    await Bun.sleep(12_000)
    expect(version()).toBe(before)
  },
  10 * MINUTES,
)

story(
  'a wrong password is suspected, and mended',
  async () => {
    const at = await lan()
    await at.stop('bird', 'SIGKILL') // no Cease: the nodes try again at once
    await eventually('the sessions are lost', () => at.events('SessionLost').length >= 2)
    at.startSwitch({ ...asDocumented, password: 'another' })
    await eventually('the suspicion', () => /FailedEstablish.*wrong password/.test(at.describe()), 90)
    await at.stop('bird')
    at.startSwitch(asDocumented)
    await at.established(90)
  },
  10 * MINUTES,
)

story(
  'a wrong AS number is named, and mended',
  async () => {
    const at = await lan()
    await at.stop('bird')
    at.startSwitch({ ...asDocumented, localAs: 65002 })
    await eventually('the wrong AS', () => /FailedEstablish.*65002/.test(at.describe()), 90)
    await at.stop('bird')
    at.startSwitch(asDocumented)
    await at.established(90)
  },
  10 * MINUTES,
)

story(
  'a new password re-opens the sessions and no route is lost on the way',
  async () => {
    const at = await lan()
    const watch = at.watchSwitchRoutes()
    const before = at.speakers()
    const secret = { data: { password: Buffer.from('rotated').toString('base64') } }
    at.server.kubectl(['patch', 'secret', 'bgp-secret', '-n', 'kube-system', '-p', JSON.stringify(secret)])
    const again = (name: SpeakerName) => {
      const { state, since } = at.speakers()[name] ?? {}
      return state === 'Established' && since !== before[name]?.since
    }
    // BIRD forgets a peer's routes when that peer's password is changed, so an operator changes one
    // after the other
    at.configureSwitch({ ...asDocumented, password: { 'node-1': 'rotated', 'node-2': PASSWORD } })
    await eventually('the session of node-1 is new', () => again('node-1'), 90)
    at.configureSwitch({ ...asDocumented, password: 'rotated' })
    await eventually('the session of node-2 is new', () => again('node-2'), 90)
    await at.established()
    expect(watch.deletions()).toEqual([])
    await watch.stop()
    expect(at.server.kubectl(['get', 'events,bgppeers', '-A', '-o', 'yaml']).stdout).not.toContain('rotated')
  },
  10 * MINUTES,
)

story(
  'without the API server sessions stay, a process that starts anew speaks from its state, and no route is lost',
  async () => {
    const at = await lan()
    const watch = at.watchSwitchRoutes()
    const routes = at.switchRoutes()
    const notifications = () => at.switchLog().match(/Received: /g)?.length
    const notified = notifications()
    await at.server.stopApiServer()
    await Bun.sleep(5_000)
    const established = () => at.birdc('show protocols').match(/BGP.*Established/g)?.length
    expect(established()).toBe(2)

    await at.stop('node-1', 'SIGTERM')
    at.startNode('node-1')
    await at.stop('node-2', 'SIGKILL')
    at.startNode('node-2')
    await eventually('both sessions are up again', () => established() === 2, 90)
    expect(at.switchRoutes()).toEqual(routes)
    expect(watch.deletions()).toEqual([])
    expect(notifications()).toBe(notified)
    for (const session of ['node_1', 'node_2']) {
      expect(at.birdc(`show protocols all ${session}`)).toMatch(/Restart recovery[\s\S]*AF preserved: ipv4/)
    }
    await watch.stop()

    await at.server.startApiServer()
    await at.established(120)
  },
  10 * MINUTES,
)

story(
  'a node that is no longer a speaker ceases and takes its status entry away',
  async () => {
    const at = await lan()
    const speakers = (names: string[]) => JSON.stringify({ spec: { localSpeakers: names } })
    at.server.kubectl(['patch', 'bgppeer', 'peer', '--type', 'merge', '-p', speakers(['node-1'])])
    await eventually('one entry', () => Object.keys(at.speakers()).join() === 'node-1')
    await eventually('one session', () => !/node_2 .*Established/.test(at.birdc('show protocols')))
    expect(at.switchRoutes()).toEqual(at.wantedRoutes())
    at.server.kubectl(['patch', 'bgppeer', 'peer', '--type', 'merge', '-p', speakers(['node-1', 'node-2'])])
    await at.established(90)
  },
  10 * MINUTES,
)

story(
  'terway-edge drain: GRACEFUL_SHUTDOWN, withdrawal, Cease, and the status entry goes; the other speaker keeps the routes up',
  async () => {
    const at = await lan()
    const watch = at.watchSwitchRoutes()
    const command = [process.execPath, 'src/main.ts', 'drain', '--state', join(at.folder, 'node-1', 'state')]
    const drain = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' })
    await eventually('the community of RFC 8326', () => at.birdc('show route all').includes('(65535,0)'))
    expect(await drain.exited).toBe(0)
    await eventually('the Cease', () => /node_1: Received: Administrative shutdown/.test(at.switchLog()))
    await eventually('one entry', () => Object.keys(at.speakers()).join() === 'node-2')
    await eventually('the Event', () => at.events('Drained').some(({ message }) => message.startsWith('node-1 ')))
    expect(at.switchRoutes()).toEqual(at.wantedRoutes())
    expect(watch.deletions()).toEqual([])
    await watch.stop()
    await at.stop('node-1')
    at.startNode('node-1')
    await at.established(90)
  },
  10 * MINUTES,
)

story(
  'a BGPPeer that is deleted is withdrawn and its sessions cease',
  async () => {
    const at = await lan()
    at.server.kubectl(['delete', 'bgppeer', 'peer'])
    await eventually('no route is left', () => Object.keys(at.switchRoutes()).length === 0)
    await eventually('the Cease', () => /node_1: Received: Peer de-configured/.test(at.switchLog()))
    for (const name of ['node-1', 'node-2', 'controller']) expect(at.log(name)).not.toContain(PASSWORD)
  },
  10 * MINUTES,
)
