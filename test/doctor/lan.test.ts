/**
 * `doctor` on LANs where two machines have one address, in network namespaces with a bridge for the
 * switch.
 */
import { afterEach, expect } from 'bun:test'
import type { Check } from '../../src/doctor/verdicts.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const PEER = '172.16.0.254'
let network: TestNetwork
afterEach(() => network.close())

/** A LAN of machines by name, with their addresses. */
function lanOf(machines: Readonly<Record<string, readonly string[]>>): Map<string, string> {
  network = new TestNetwork()
  const bridge = network.namespace('switch')
  network.ip(bridge, 'link add lan type bridge')
  network.ip(bridge, 'link set lan up')
  return new Map(
    Object.entries(machines).map(([name, addresses]) => {
      const namespace = network.namespace(name)
      network.connect({ namespace, interface: 'eth0', addresses }, { namespace: bridge, interface: name })
      network.ip(bridge, `link set ${name} master lan`)
      return [name, namespace]
    }),
  )
}

function checks(namespace: string): Check[] {
  const child = [process.execPath, `${import.meta.dir}/lan-child.ts`, PEER]
  return JSON.parse(network.exec(namespace, child).stdout)
}

function mac(namespace: string): string {
  return JSON.parse(network.ip(namespace, '-j link show eth0'))[0].address
}

const testLan = testNeeding('root', 'ip')

testLan('a LAN where every machine has its own address', () => {
  const lan = lanOf({ node: ['172.16.0.11/24'], other: ['172.16.0.12/24'], router: [`${PEER}/24`] })
  expect(checks(lan.get('node') ?? '')).toMatchObject([
    { name: 'duplicate address', result: 'ok' },
    { name: 'peers and gateways', result: 'ok' },
  ])
})

testLan('a gateway that nobody is', () => {
  const lan = lanOf({ node: ['172.16.0.11/24'], other: ['172.16.0.12/24'] })
  const silent = checks(lan.get('node') ?? '').find(({ name }) => name === 'peers and gateways')
  expect(silent).toMatchObject({ result: 'problem', detail: `nobody on the LAN answers ARP for ${PEER}` })
})

testLan("another machine has this node's address, and two have the peer's", () => {
  const lan = lanOf({
    node: ['172.16.0.11/24'],
    twin: ['172.16.0.11/24'],
    router: [`${PEER}/24`],
    impostor: [`${PEER}/24`],
  })
  const [ofNode, ofPeer, ...more] = checks(lan.get('node') ?? '')
  expect(more).toMatchObject([{ name: 'peers and gateways', result: 'ok' }])
  expect(ofNode).toMatchObject({ result: 'problem' })
  expect(ofNode?.detail).toContain(`${mac(lan.get('twin') ?? '')} says that it has 172.16.0.11`)
  expect(ofPeer?.detail).toContain(mac(lan.get('router') ?? ''))
  expect(ofPeer?.detail).toContain(mac(lan.get('impostor') ?? ''))
})

testLan('an IPv6 address that the kernel refuses because another machine has it', async () => {
  const lan = lanOf({ node: ['172.16.0.11/24'], twin: ['fd16::11/64'] })
  const node = lan.get('node') ?? ''
  // a bridge forwards as soon as its ports are up; the kernel's own look comes within a second
  network.ip(node, 'addr add fd16::11/64 dev eth0')
  await eventually('DAD fails', () => network.ip(node, '-6 addr show dev eth0').includes('dadfailed'))
  expect(checks(node).map(({ detail }) => detail)).toEqual([
    'the kernel found fd16::11 of eth0 on another machine and does not use it',
    `nobody on the LAN answers ARP for ${PEER}`,
  ])
})
