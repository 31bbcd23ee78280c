/**
 * Who sends the workload: our speaker, three daemons, and the replay of ready bytes. Each is a
 * process in the sender's namespace that has all its routes before the session comes up, as far as
 * it can be told to.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { eventually, type TestNetwork } from '../../../test/support/namespaces.ts'
import { mrtFile } from './mrt.ts'
import { announcementAt, HOLD_SECONDS, LINK_LENGTH, SENDER, SINK, type Workload } from './routes.ts'
import type { SpeakerTask } from './speaker-process.ts'
import { encodedUpdates } from './updates.ts'

export interface SenderSetting {
  readonly network: TestNetwork
  readonly namespace: string
  /** For its files. */
  readonly folder: string
  readonly workload: Workload
}

export interface Sender {
  readonly name: string
  /**
   * Writes what it needs, not counted. The result starts it and gives the process whose memory
   * counts.
   */
  prepare(setting: SenderSetting): () => Promise<{ readonly pid: number }>
}

export const OURS = 'terway-edge'
export const REPLAY = 'raw replay'

const bun = process.execPath

const ours: Sender = {
  name: OURS,
  prepare: ({ network, namespace, workload }) => {
    const task: SpeakerTask = { workload, peers: [{ address: SINK.address }] }
    return async () => network.spawn(namespace, [bun, `${import.meta.dir}/speaker-process.ts`, JSON.stringify(task)])
  },
}

const replay: Sender = {
  name: REPLAY,
  prepare: ({ network, namespace, folder, workload }) => {
    writeFileSync(`${folder}/updates.bin`, encodedUpdates(workload))
    return async () => network.spawn(namespace, [bun, `${import.meta.dir}/replay-process.ts`, `${folder}/updates.bin`])
  },
}

const bird: Sender = {
  name: 'BIRD',
  prepare: ({ network, namespace, folder, workload }) => {
    const routes = lines(workload, ({ prefix, nextHop }) => `  route ${prefix} via ${nextHop};`)
    writeFileSync(
      `${folder}/sender.conf`,
      [
        `router id ${SENDER.address};`,
        'protocol device {}',
        `protocol static {\n  ipv4;\n${routes}\n}`,
        'protocol bgp sink {',
        `  local ${SENDER.address} as ${SENDER.asNumber}; neighbor ${SINK.address} as ${SINK.asNumber};`,
        `  hold time ${HOLD_SECONDS}; connect delay time 1;`,
        '  ipv4 { import none; export all; };',
        '}\n',
      ].join('\n'),
    )
    return async () =>
      network.spawn(namespace, ['bird', '-f', '-c', `${folder}/sender.conf`, '-s', `${folder}/sender.ctl`])
  },
}

const gobgp: Sender = {
  name: 'GoBGP',
  prepare: ({ network, namespace, folder, workload }) => {
    writeFileSync(`${folder}/routes.mrt`, mrtFile(workload))
    writeFileSync(
      `${folder}/gobgpd.toml`,
      [
        `[global.config]\n  as = ${SENDER.asNumber}\n  router-id = "${SENDER.address}"\n  port = -1`,
        `[[neighbors]]\n  [neighbors.config]\n    neighbor-address = "${SINK.address}"\n    peer-as = ${SINK.asNumber}\n    admin-down = true`,
        `  [neighbors.timers.config]\n    hold-time = ${HOLD_SECONDS}\n    connect-retry = 1\n`,
      ].join('\n'),
    )
    const gobgp = (...words: string[]) =>
      network.exec(namespace, ['gobgp', ...words], { mayFail: true, timeoutMilliseconds: 300_000 })
    return async () => {
      const daemon = network.spawn(namespace, ['gobgpd', '-f', `${folder}/gobgpd.toml`, '-l', 'error'])
      await eventually('gobgpd answers', () => gobgp('global').status === 0)
      const injected = gobgp('mrt', 'inject', 'global', `${folder}/routes.mrt`)
      if (injected.status !== 0) throw new Error(`gobgp mrt inject: ${injected.stderr}${injected.stdout}`)
      await eventually(
        'gobgpd has the routes',
        () => gobgp('global', 'rib', 'summary').stdout.includes(`Destination: ${workload.prefixes},`),
        60,
      )
      gobgp('neighbor', SINK.address, 'enable')
      return daemon
    }
  },
}

const exabgp: Sender = {
  name: 'ExaBGP',
  prepare: ({ network, namespace, folder, workload }) => {
    const routes = lines(workload, ({ prefix, nextHop }) => `    route ${prefix} next-hop ${nextHop};`)
    mkdirSync(`${folder}/run`, { recursive: true })
    writeFileSync(
      `${folder}/exabgp.conf`,
      [
        `neighbor ${SINK.address} {`,
        `  router-id ${SENDER.address};\n  local-address ${SENDER.address};\n  local-as ${SENDER.asNumber};`,
        `  peer-as ${SINK.asNumber};\n  hold-time ${HOLD_SECONDS};\n  group-updates true;`,
        `  family { ipv4 unicast; }\n  static {\n${routes}\n  }\n}\n`,
      ].join('\n'),
    )
    const env = { 'exabgp.daemon.user': 'root', 'exabgp.log.all': 'false', 'exabgp.api.cli': 'false' }
    return async () => network.spawn(namespace, ['exabgp', `${folder}/exabgp.conf`], { env })
  },
}

/** The limit first: the others are told as multiples of it. */
export const SENDERS: readonly Sender[] = [replay, ours, bird, gobgp, exabgp]

function lines(workload: Workload, line: (announcement: ReturnType<typeof announcementAt>) => string): string {
  return Array.from({ length: workload.prefixes }, (_, index) => line(announcementAt(index, workload))).join('\n')
}

/** The address that the sender's end of the wire has. */
export const SENDER_INTERFACE_ADDRESS = `${SENDER.address}/${LINK_LENGTH}`
