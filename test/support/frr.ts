/**
 * FRR as a switch: its daemons in a namespace, on the very text that `switch-config` printed. They
 * run as a user of their own, so the folder must be one that others may write to.
 */
import { writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { eventually, run, type TestNetwork } from './namespaces.ts'
import { programPath } from './requires.ts'

export const FRR_NEEDS: readonly string[] = ['zebra', 'vtysh']

export interface FrrOptions {
  readonly network: TestNetwork
  readonly namespace: string
  readonly folder: string
  /** What runs beside zebra and bgpd. */
  readonly daemons?: readonly string[]
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
  const vtysh = (...words: string[]) =>
    run(['vtysh', '--vty_socket', folder, '--config_dir', folder, ...words], { mayFail: true })
  const ask: Vtysh = (...commands) => vtysh(...commands.flatMap(command => ['-c', command])).stdout
  writeFileSync(`${folder}/vtysh.conf`, '')
  for (const daemon of ['zebra', 'bgpd', ...daemons]) {
    writeFileSync(`${folder}/${daemon}.conf`, '')
    network.spawn(namespace, [
      `${dirname(programPath('zebra') ?? '/usr/lib/frr/zebra')}/${daemon}`,
      ...['-f', `${folder}/${daemon}.conf`, '-i', `${folder}/${daemon}.pid`, '-z', `${folder}/zserv.api`],
      ...(daemon === 'bfdd' ? ['--bfdctl', `${folder}/bfdd.sock`] : []),
      ...['--vty_socket', folder, '-A', '127.0.0.1', '-P', '0', '--log', `file:${folder}/${daemon}.log`],
    ])
    const socket = `${folder}/${daemon}.vty`
    await eventually(`${daemon} answers`, () => run(['test', '-S', socket], { mayFail: true }).status === 0)
  }
  writeFileSync(`${folder}/switch.conf`, text, { mode: 0o600 })
  const loaded = vtysh('-f', `${folder}/switch.conf`)
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
