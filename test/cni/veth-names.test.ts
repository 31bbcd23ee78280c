/**
 * Names, hardware addresses and aliases of a pod's links: the same every time, distinct, and what
 * the kernel takes.
 */
import { expect, test } from 'bun:test'
import { isOurAlias, parseVethAlias, vethAlias, vethNames } from '../../src/cni/veth-names.ts'

const attachment = { containerId: '4f2ab0cc', interfaceName: 'eth0' }

test('names fit the kernel, are the same every time, and differ between interfaces', () => {
  const names = vethNames(attachment)
  expect(names.hostInterface).toMatch(/^te[0-9a-f]{11}$/)
  expect(vethNames({ ...attachment })).toEqual(names)
  const others = [
    vethNames({ ...attachment, interfaceName: 'net1' }),
    vethNames({ containerId: '4f2ab0cceth', interfaceName: '0' }),
  ]
  const all = [names, ...others].flatMap(({ hostInterface, hostMac, podMac }) => [hostInterface, hostMac, podMac])
  expect(new Set(all).size).toBe(9)
})

test('hardware addresses are unicast and of local administration', () => {
  for (let index = 0; index < 500; index++) {
    const { hostMac, podMac } = vethNames({ containerId: `c${index}`, interfaceName: 'eth0' })
    for (const mac of [hostMac, podMac]) {
      expect(mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/)
      expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2)
    }
  }
})

test('an alias tells whose link it is', () => {
  const alias = vethAlias('pods', attachment)
  expect(alias).toBe('terway-edge pods 4f2ab0cc eth0')
  expect(parseVethAlias(alias)).toEqual({ network: 'pods', ...attachment })
  expect([isOurAlias(alias), isOurAlias('uplink to the switch'), isOurAlias(undefined)]).toEqual([true, false, false])
  for (const foreign of [undefined, '', 'terway-edge', 'terway-edge pods 4f2ab0cc', 'something else entirely here']) {
    expect(parseVethAlias(foreign)).toBeUndefined()
  }
  const long = vethAlias('pods', { ...attachment, containerId: 'c'.repeat(300) })
  expect(long).toHaveLength(255)
  expect([isOurAlias(long), parseVethAlias(long)]).toEqual([true, undefined])
})
