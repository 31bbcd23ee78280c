/**
 * What a process under a shipped unit can do: a unit with the same settings that tries a list of
 * things with ordinary programs, in place of the service. Only for machines of
 * `support/systemd-machine.ts`; what it tries changes nothing where it is let.
 */
import { writeFileSync } from 'node:fs'
import nodeUnit from '../../config/terway-edge.service' with { type: 'text' }
import cniUnit from '../../config/terway-edge-cni.service' with { type: 'text' }
import controllerUnit from '../../config/terway-edge-controller.service' with { type: 'text' }
import type { SystemdMachine } from '../support/systemd-machine.ts'

const UNITS = { node: nodeUnit, cni: cniUnit, controller: controllerUnit } as const
const NETNS = '/run/netns/probe'
const write = (file: string) => `value=$(cat ${file}) && echo "$value" >${file}`
/** Files that no service of ours needs. */
export const SECRETS = [
  '/etc/shadow',
  '/etc/kubernetes/admin.conf',
  '/etc/kubernetes/pki/ca.key',
  '/var/lib/kubelet/pki/kubelet.key',
  '/etc/ssh/probe_host_key',
  '/opt/another-program/secret', // hidden by no unit: another user's
  '/proc/1/environ',
] as const
const TRIES: Readonly<Record<string, string>> = {
  'write net.ipv4.ip_forward': write('/proc/sys/net/ipv4/ip_forward'),
  'write kernel.core_pattern': write('/proc/sys/kernel/core_pattern'),
  'start a unit': 'systemctl start basic.target',
  'ask D-Bus': 'dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames',
  'write /etc': 'touch /etc/hostname',
  mount: 'mount -t tmpfs probe /tmp',
  'make a user namespace': 'unshare --user true',
  'make a mount namespace': 'unshare --mount true',
  'enter a network namespace': `nsenter --net=${NETNS} true`,
  'open a socket of the network': 'exec 3<>/dev/udp/127.0.0.1/9',
  ...Object.fromEntries(SECRETS.map(file => [`read ${file}`, `cat ${file}`])),
}

export class Probe {
  readonly #machine: SystemdMachine

  constructor(machine: SystemdMachine) {
    this.#machine = machine
    const tries = Object.entries(TRIES).map(([name, command]) => `try '${name}' '${command}'`)
    const script = `try() { if bash -c "$2" >/dev/null 2>&1; then echo "$1=done"; else echo "$1=refused"; fi; }\n${tries.join('\n')}\n`
    writeFileSync(machine.path('/usr/local/bin/probe.sh'), script)
  }

  /** Each thing tried, `done` or `refused`. */
  run(unit: keyof typeof UNITS): Record<string, string> {
    const own = UNITS[unit]
      .replace(/^Type=.*$/m, 'Type=oneshot')
      .replace(/^ExecStart=.*$/m, 'ExecStart=/bin/bash /usr/local/bin/probe.sh')
      .replace(/^Restart=.*$/m, 'Restart=no')
    writeFileSync(this.#machine.path('/run/systemd/system/probe.service'), own)
    const before = this.#output().length
    this.#machine.exec(['sh', '-c', `[ -e ${NETNS} ] || ip netns add probe`])
    this.#machine.exec(['systemctl', 'daemon-reload'])
    this.#machine.exec(['systemctl', 'start', 'probe.service'])
    this.#machine.exec(['journalctl', '--sync'])
    return Object.fromEntries(this.#output().slice(before))
  }

  #output(): string[][] {
    const lines = this.#machine.journal('probe').split('\n')
    return lines.map(line => line.split('=')).filter(([name = '', result]) => name in TRIES && result !== undefined)
  }
}
