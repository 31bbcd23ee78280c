/**
 * What a container runtime and an operator call on a node of `systemd-lan.ts`: the CNI plugin, as
 * the configuration there says, and the doctor.
 */
import { expect } from 'bun:test'
import type { Check } from '../../src/doctor/verdicts.ts'
import type { SystemdMachine } from '../support/systemd-machine.ts'

export const CONFLIST = '/etc/cni/net.d/10-terway-edge.conflist'

/** Calls the plugin for a pod whose namespace has its name. */
export function plugin(
  machine: SystemdMachine,
  command: 'ADD' | 'DEL',
  pod: string,
): { status: number; stdout: string } {
  const conflist = JSON.parse(machine.exec(['cat', CONFLIST]).stdout)
  const [own] = conflist.plugins
  return machine.exec(
    [
      ...['env', `CNI_COMMAND=${command}`, `CNI_CONTAINERID=${pod}`, `CNI_NETNS=/run/netns/${pod}`],
      ...['CNI_IFNAME=eth0', 'CNI_PATH=/opt/cni/bin', `/opt/cni/bin/${own.type}`],
    ],
    { mayFail: true, stdin: JSON.stringify({ ...own, name: conflist.name, cniVersion: conflist.cniVersion }) },
  )
}

/**
 * Makes a pod's namespace, after the service was started as runtimes do, and has it wired. Returns
 * the pod's address.
 */
export function addPod(machine: SystemdMachine, pod: string): string {
  machine.exec(['ip', 'netns', 'add', pod])
  const added = plugin(machine, 'ADD', pod)
  expect(added).toMatchObject({ status: 0 })
  const address: string = JSON.parse(added.stdout).ips[0].address
  return address.replace(/\/.*/, '')
}

/** What the doctor says, and which problems it has found. */
export function doctor(machine: SystemdMachine): { status: number; checks: readonly Check[]; bad: readonly string[] } {
  const { status, stdout } = machine.exec(['terway-edge', 'doctor', '-o', 'json'], { mayFail: true })
  const { checks }: { checks: readonly Check[] } = JSON.parse(stdout)
  const bad = checks.filter(({ result }) => result === 'problem').map(({ name, detail }) => `${name}: ${detail}`)
  return { status, checks, bad }
}
