/**
 * FRR as a switch: its daemons in a namespace, on the very text that `switch-config` printed. They
 * run as a user of their own, so the folder must be one that others may write to.
 */
import { writeFileSync } from 'node:fs'
import { type FrrDaemon, FrrDaemons } from './frr-daemons.ts'
import { eventually, type TestNetwork } from './namespaces.ts'

export interface FrrOptions {
  readonly network: TestNetwork
  readonly namespace: string
  readonly folder: string
  /** What runs beside zebra and bgpd. */
  readonly daemons?: readonly FrrDaemon[]
  /** The configuration; vtysh must take every line. */
  readonly text: string
  /** Neighbours in it: this waits until it lets them in. */
  readonly speakers: readonly string[]
}

/** What vtysh answers to commands. */
export type Vtysh = (...commands: readonly string[]) => string

export async function startFrr({
  network,
  namespace,
  folder,
  daemons = [],
  text,
  speakers,
}: FrrOptions): Promise<Vtysh> {
  const frr = new FrrDaemons(network, namespace, folder)
  const ask: Vtysh = (...commands) => frr.vtysh(...commands).stdout
  for (const daemon of ['zebra', 'bgpd', ...daemons] as const) await frr.start(daemon)
  writeFileSync(`${folder}/switch.conf`, text, { mode: 0o600 })
  const loaded = frr.vtyshWords('-f', `${folder}/switch.conf`)
  const said = `${loaded.stdout}${loaded.stderr}`
  if (loaded.status !== 0 || /%|error|unknown/i.test(said)) throw new Error(`vtysh refuses the text: ${said}`)
  // until then it turns connections away, and the speaker rests before it dials again
  await eventually('FRR lets the speakers in', () =>
    speakers.every(address =>
      /BGP state = (Active|Connect|Open|Established)/.test(ask(`show bgp neighbors ${address}`)),
    ),
  )
  return ask
}
