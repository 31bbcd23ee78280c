/**
 * The real firewalld beside the installed service, on a machine with a systemd of its own: it
 * blocks what it forwards, pods pass all the same.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { forwardAdvice } from '../../src/firewall/reconcile.ts'
import { BY_EVENT_SECONDS, eventually } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { SYSTEMD_NEEDS } from '../support/systemd-machine.ts'
import { addPod, CONFLIST, doctor } from './systemd-calls.ts'
import { BROUGHT, OTHER_POD_CIDR, SWITCH_ADDRESS, SystemdLan } from './systemd-lan.ts'

const NEEDS = [...SYSTEMD_NEEDS, 'bird', 'birdc', 'nft', 'ping', 'firewalld', 'firewall-cmd']
const testFirewalld = testNeeding(...NEEDS)
const MINUTES = 60_000

let lan: SystemdLan
let pod = ''

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    lan = await SystemdLan.start()
    lan.on(BROUGHT, 'install', '--kubeconfig', '/root/node.kubeconfig')
    await lan.established()
    pod = addPod(lan.machine, 'pod')
  }, 10 * MINUTES)
  afterAll(async () => {
    await lan?.close()
  }, 10 * MINUTES)
}

/** Whether new flows get through, from the LAN to the pod and from the pod to the LAN. */
function passes(): { in: boolean; out: boolean } {
  const ping = ['ip', 'netns', 'exec', 'pod', 'ping', '-c1', '-W1', SWITCH_ADDRESS]
  return { in: lan.pingsFromSwitch(pod), out: lan.machine.exec(ping, { mayFail: true }).status === 0 }
}

function acceptPodTraffic(accept: boolean): void {
  const config = {
    kubeconfig: '/etc/terway-edge/kubeconfig',
    bgp: { drainSeconds: 0 },
    firewall: { acceptPodTraffic: accept },
  }
  writeFileSync(lan.machine.path('/etc/terway-edge/config.yaml'), JSON.stringify(config))
  lan.on('systemctl', 'restart', 'terway-edge')
}

const pass = () => passes().in && passes().out
const cutOff = () => !passes().in && !passes().out
const forwardCheck = () => doctor(lan.machine).checks.find(({ name }) => name === 'FORWARD')
const rules = () => lan.on('nft', 'list', 'ruleset')

testFirewalld(
  'it cuts pods off, then they are let through, also after its reloads and restarts, until the service is uninstalled',
  async () => {
    expect(passes()).toEqual({ in: true, out: true })
    acceptPodTraffic(false)
    lan.on('systemctl', 'start', 'firewalld')
    await eventually('pods are cut off', cutOff)
    expect(forwardCheck()).toMatchObject({ result: 'warning', detail: expect.stringContaining('inet firewalld drops') })

    acceptPodTraffic(true)
    await eventually('pods pass', pass)
    expect(forwardCheck()).toMatchObject({ result: 'ok', detail: 'inet firewalld drops, and pods are let through' })
    for (const words of [
      ['firewall-cmd', '--reload'],
      ['firewall-cmd', '--complete-reload'],
      ['systemctl', 'restart', 'firewalld'],
    ]) {
      lan.on(...words)
      await eventually(
        `our rules are back after ${words.join(' ')}`,
        () => rules().includes('jump TERWAY-EDGE'),
        BY_EVENT_SECONDS,
      )
      expect(passes()).toEqual({ in: true, out: true })
    }
    expect(lan.on('firewall-cmd', '--state')).toBe('running\n')
    expect(lan.isEstablished()).toBe(true)
    expect(doctor(lan.machine).bad).toEqual([])
  },
  10 * MINUTES,
)

testFirewalld(
  'the commands that status and doctor name for a table that it guards: both ways are open by them alone',
  async () => {
    acceptPodTraffic(false)
    await eventually('pods are cut off', () => !rules().includes('TERWAY') && cutOff())
    const podCIDRs: string[] = JSON.parse(lan.on('cat', CONFLIST)).plugins[0].podCIDRs
    const table = { family: 'inet', table: 'firewalld', bases: [], rules: new Map() } as const
    const commands = /run (.*)\)$/.exec(forwardAdvice(table, [...podCIDRs, OTHER_POD_CIDR]))?.[1] ?? ''
    expect(lan.on('sh', '-ec', commands)).toBe('success\n'.repeat(5))
    expect(passes()).toEqual({ in: true, out: true })
    // the agent sees that there is nothing left to do, and so does the doctor
    acceptPodTraffic(true)
    await eventually(
      'the doctor is content',
      () => forwardCheck()?.detail === 'inet firewalld drops, and pods are let through',
    )
    await Bun.sleep(1000) // in which it would write its rules
    expect(rules()).not.toContain('TERWAY')
    expect(passes()).toEqual({ in: true, out: true })
    lan.on('firewall-cmd', '--permanent', '--delete-policy=terway-edge')
    lan.on('firewall-cmd', '--reload')
    await eventually('our rules take over', () => rules().includes('jump TERWAY-EDGE') && pass())

    lan.on('terway-edge', 'uninstall', '--purge')
    expect(rules()).not.toContain('TERWAY')
    expect(rules()).toContain('table inet firewalld')
    expect(lan.on('firewall-cmd', '--state')).toBe('running\n')
  },
  10 * MINUTES,
)
