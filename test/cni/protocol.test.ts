/**
 * The CNI specification's words: environment and JSON in, results and errors out, in every version.
 * No kernel: plugin-*.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import { decodeRequest, type Environment } from '../../src/cni/decode.ts'
import { encodeFailure, encodeResult, encodeVersions } from '../../src/cni/encode.ts'
import { CNI_ERROR, CNI_VERSIONS, failure, type Result } from '../../src/cni/protocol.ts'

const CONFIG = { cniVersion: '1.1.0', name: 'pods', type: 'terway-edge', podCIDRs: ['10.0.1.0/25', 'fd00:1::/64'] }
const ADD: Environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: '4f2a-b.c_d',
  CNI_NETNS: '/run/netns/x',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=4f2a',
  CNI_PATH: '/opt/cni/bin',
}

function decode(environment: Environment, config: object = {}) {
  return decodeRequest(environment, JSON.stringify({ ...CONFIG, ...config })).request
}

/** The failure of a request, as code and text in one. */
function failed(environment: Environment, config: object = {}): string {
  const request = decode(environment, config)
  if (!('kind' in request)) throw new Error('it was accepted')
  return `${request.code} ${request.msg}`
}

describe('requests', () => {
  test('ADD', () => {
    expect(decode(ADD, { mtu: 1400, stateDir: '/var/lib/other', dns: { nameservers: ['10.1.0.1'] } })).toEqual({
      command: 'ADD',
      config: {
        cniVersion: '1.1.0',
        name: 'pods',
        type: 'terway-edge',
        addressSource: 'podCIDRs',
        podCIDRs: ['10.0.1.0/25', 'fd00:1::/64'],
        mtu: 1400,
        stateDir: '/var/lib/other',
        dns: { nameservers: ['10.1.0.1'] },
        requestedAddresses: [],
      },
      attachment: { containerId: '4f2a-b.c_d', interfaceName: 'eth0' },
      namespacePath: '/run/netns/x',
      ownNamespaceAllowed: false,
      pod: { namespace: 'default', name: 'web-0' },
    })
  })

  test('the state folder has a default', () => {
    expect(decode(ADD)).toMatchObject({ config: { stateDir: '/var/lib/terway-edge' } })
  })

  test('DEL needs no namespace, and a broken configuration does not stop it', () => {
    const environment = { ...ADD, CNI_COMMAND: 'DEL', CNI_NETNS: '' }
    const request = decode(environment, { podCIDRs: 'nonsense', mtu: -1, prevResult: 7 })
    expect(request).toMatchObject({ command: 'DEL', attachment: { containerId: '4f2a-b.c_d', interfaceName: 'eth0' } })
    expect(request).not.toHaveProperty('namespacePath')
  })

  test('GC takes the list of valid attachments, under both of its names', () => {
    const valid = [{ containerID: 'a', ifname: 'eth0' }]
    const request = { command: 'GC', valid: [{ containerId: 'a', interfaceName: 'eth0' }] }
    expect(decode({ CNI_COMMAND: 'GC' }, { 'cni.dev/valid-attachments': valid })).toMatchObject(request)
    expect(decode({ CNI_COMMAND: 'GC' }, { 'cni.dev/attachments': valid })).toMatchObject(request)
  })

  test('GC without a list, or with an entry that cannot be read, collects nothing', () => {
    expect(failed({ CNI_COMMAND: 'GC' })).toStartWith('7 invalid network configuration: cni.dev/valid-attachments')
    expect(failed({ CNI_COMMAND: 'GC' }, { 'cni.dev/valid-attachments': [{ containerID: 'a' }] })).toContain(
      'cni.dev/valid-attachments[0]',
    )
  })

  test('VERSION answers with and without a configuration', () => {
    expect(decodeRequest({ CNI_COMMAND: 'VERSION' }, '').request).toEqual({ command: 'VERSION', cniVersion: '1.1.0' })
    expect(decodeRequest({ CNI_COMMAND: 'VERSION' }, '{"cniVersion":"0.9.9"}').request).toEqual({
      command: 'VERSION',
      cniVersion: '0.9.9',
    })
  })

  test('CNI_NETNS_OVERRIDE', () => {
    expect(decode({ ...ADD, CNI_NETNS_OVERRIDE: 'TRUE' })).toMatchObject({ ownNamespaceAllowed: true })
    expect(decode({ ...ADD, CNI_NETNS_OVERRIDE: '1' })).toMatchObject({ ownNamespaceAllowed: true })
    expect(decode({ ...ADD, CNI_NETNS_OVERRIDE: '0' })).toMatchObject({ ownNamespaceAllowed: false })
  })

  test('addresses asked for in any of the three ways, with or without length, once each', () => {
    expect(
      decode(
        { ...ADD, CNI_ARGS: 'IP=10.0.1.7,fd00:1::7' },
        {
          runtimeConfig: { ips: ['10.0.1.7/24', 'FD00:1:0::7/64'], mac: 'C2:11:22:33:44:55' },
          args: { cni: { ips: ['10.0.1.8'] } },
        },
      ),
    ).toMatchObject({
      config: { requestedAddresses: ['10.0.1.7', 'fd00:1::7', '10.0.1.8'], requestedMac: 'c2:11:22:33:44:55' },
    })
  })
})

describe('bad requests', () => {
  test.each([
    [{}, '4 CNI_COMMAND is not set'],
    [{ CNI_COMMAND: 'PLAY' }, '4 CNI_COMMAND "PLAY" is unknown'],
    [{ CNI_COMMAND: 'ADD' }, '4 CNI_CONTAINERID is not set; CNI_NETNS is not set; CNI_IFNAME is not set'],
    [{ CNI_COMMAND: 'DEL' }, '4 CNI_CONTAINERID is not set; CNI_IFNAME is not set'],
    [{ ...ADD, CNI_CONTAINERID: '../x' }, '4 CNI_CONTAINERID "../x" is not letters'],
    [{ ...ADD, CNI_IFNAME: '..' }, '4 CNI_IFNAME ".." is not the name of an interface'],
    [{ ...ADD, CNI_IFNAME: 'sixteen-letters-' }, '4 CNI_IFNAME'],
    [{ ...ADD, CNI_IFNAME: 'a/b' }, '4 CNI_IFNAME'],
    [{ ...ADD, CNI_IFNAME: 'a b' }, '4 CNI_IFNAME'],
    [{ ...ADD, CNI_ARGS: 'IP' }, '4 CNI_ARGS has "IP" where KEY=VALUE is expected'],
  ])('environment %j: %s', (environment, expected) => {
    expect(failed(environment)).toStartWith(expected)
  })

  test.each([
    [{ cniVersion: '0.2.0' }, '1 cniVersion "0.2.0" is not supported'],
    [{ cniVersion: undefined }, '1 cniVersion is missing'],
    [{ name: '-x' }, '7 invalid network configuration: name: '],
    [{ type: undefined }, '7 invalid network configuration: type: '],
    [{ stateDir: 'relative' }, '7 invalid network configuration: stateDir: '],
    [{ podCIDRs: ['10.0.1.0/25', '10.0.1.5/25'] }, '7 invalid network configuration: podCIDRs[1]: "10.0.1.5/25"'],
    [{ podCIDRs: '10.0.1.0/25' }, '7 invalid network configuration: podCIDRs: must be a list'],
    [{ mtu: 70000 }, '7 invalid network configuration: mtu: '],
    [{ mtu: 1200 }, '7 invalid network configuration: mtu: must be a number of bytes from 1280'],
    [{ runtimeConfig: { ips: ['10.0.1'] } }, '7 invalid network configuration: runtimeConfig.ips: "10.0.1"'],
    [{ runtimeConfig: { ips: { toString: 1 } } }, '7 invalid network configuration: runtimeConfig.ips: {"toString":1}'],
    [{ args: { cni: { ips: [{ toString: 1 }] } } }, '7 invalid network configuration: args.cni.ips: {"toString":1}'],
    [{ runtimeConfig: { mac: '01:00:00:00:00:01' } }, '7 invalid network configuration: mac: '],
    [{ prevResult: { ips: [{ address: 'x' }] } }, '7 invalid network configuration: prevResult.ips[0]'],
    [{ dns: 5 }, '7 invalid network configuration: dns: '],
  ])('configuration %j: %s', (config, expected) => {
    expect(failed(ADD, config)).toStartWith(expected)
  })

  test('all that is wrong with a configuration is said at once', () => {
    const text = failed(ADD, { name: '', podCIDRs: ['x'], mtu: 1 })
    expect([text.includes('name:'), text.includes('podCIDRs[0]:'), text.includes('mtu:')]).toEqual([true, true, true])
  })

  test('what is not a JSON object', () => {
    for (const stdin of ['', '{', '[]', 'null', '7']) {
      expect(decodeRequest(ADD, stdin).request).toMatchObject({ kind: 'failure', code: CNI_ERROR.decodingFailure })
    }
  })

  test('no JSON whatsoever makes the decoder throw', () => {
    const odd: unknown[] = [null, true, -1, 1e99, '', 'x', [], [[]], {}, { a: {} }, [null], ['x', 1], [{ address: 1 }]]
    const keys = [
      'cniVersion',
      'name',
      'type',
      'podCIDRs',
      'mtu',
      'stateDir',
      'dns',
      'prevResult',
      'runtimeConfig',
      'args',
    ]
    const nested: [string, string][] = [
      ['runtimeConfig', 'ips'],
      ['runtimeConfig', 'mac'],
      ['args', 'cni'],
      ['prevResult', 'ips'],
      ['prevResult', 'interfaces'],
      ['prevResult', 'routes'],
      ['prevResult', 'dns'],
      ['dns', 'nameservers'],
    ]
    for (const value of odd) {
      const configs = [
        ...keys.map(key => ({ ...CONFIG, [key]: value })),
        ...nested.map(([outer, inner]) => ({ ...CONFIG, [outer]: { [inner]: value } })),
        { ...CONFIG, 'cni.dev/valid-attachments': value },
      ]
      for (const config of configs) {
        for (const CNI_COMMAND of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']) {
          const { request } = decodeRequest({ ...ADD, CNI_COMMAND }, JSON.stringify(config))
          expect('kind' in request || 'command' in request).toBe(true)
        }
      }
    }
  })

  test('operations are refused to versions that do not have them', () => {
    const check = { ...ADD, CNI_COMMAND: 'CHECK' }
    expect(failed(check, { cniVersion: '0.3.1' })).toStartWith('1 CHECK needs cniVersion 0.4.0')
    expect(failed({ CNI_COMMAND: 'GC' }, { cniVersion: '1.0.0' })).toStartWith('1 GC needs cniVersion 1.1.0')
    expect(failed({ CNI_COMMAND: 'STATUS' }, { cniVersion: '1.0.0' })).toStartWith('1 STATUS needs cniVersion 1.1.0')
  })

  test('CHECK needs the result of the ADD', () => {
    expect(failed({ ...ADD, CNI_COMMAND: 'CHECK' })).toContain('prevResult: CHECK needs the result of the ADD')
  })
})

describe('answers in the version of the caller', () => {
  const result: Result = {
    interfaces: [
      { name: 'te0', mac: '00:11:22:33:44:55', mtu: 1400 },
      { name: 'eth0', mac: '99:88:77:66:55:44', mtu: 1400, sandbox: '/var/run/netns/blue', pciID: '8086:9a01' },
    ],
    ips: [
      { address: '10.1.0.5/32', gateway: '169.254.1.1', interface: 1 },
      { address: 'fd00:1::5/128', gateway: 'fe80::1', interface: 1 },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1', mtu: 1400, priority: 3, table: 5, scope: 253, advmss: 1360 }],
    dns: { nameservers: ['10.1.0.1'], domain: 'example.org', search: ['a', 'b'], options: ['ndots:5'] },
  }
  const basicInterfaces = [
    { name: 'te0', mac: '00:11:22:33:44:55' },
    { name: 'eth0', mac: '99:88:77:66:55:44', sandbox: '/var/run/netns/blue' },
  ]

  test.each(['0.3.1', '0.4.0'] as const)('%s: each address says its version', version => {
    expect(encodeResult(result, version)).toEqual({
      cniVersion: version,
      interfaces: basicInterfaces,
      ips: [
        { version: '4', address: '10.1.0.5/32', gateway: '169.254.1.1', interface: 1 },
        { version: '6', address: 'fd00:1::5/128', gateway: 'fe80::1', interface: 1 },
      ],
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }],
      dns: result.dns,
    })
  })

  test('1.0.0: no versions of addresses, no MTU', () => {
    expect(encodeResult(result, '1.0.0')).toEqual({
      cniVersion: '1.0.0',
      interfaces: basicInterfaces,
      ips: result.ips,
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }],
      dns: result.dns,
    })
  })

  test('1.1.0: all of it', () => {
    expect(encodeResult(result, '1.1.0')).toEqual({ cniVersion: '1.1.0', ...result })
  })

  test.each(CNI_VERSIONS)('%s: the result survives as the prevResult of the next plugin', version => {
    const prevResult = JSON.parse(JSON.stringify(encodeResult(result, version)))
    const request = decode(ADD, { cniVersion: version, prevResult })
    if (!('config' in request) || request.config.prevResult === undefined) throw new Error('no prevResult')
    expect(encodeResult(request.config.prevResult, version)).toEqual(prevResult)
  })

  test('the prevResult of the specification is understood', () => {
    const prevResult = {
      ips: [{ version: '4', address: '10.0.0.5/32', interface: 2 }],
      interfaces: [
        { name: 'cni0', mac: '00:11:22:33:44:55' },
        { name: 'veth3243', mac: '55:44:33:22:11:11' },
        { name: 'eth0', mac: '99:88:77:66:55:44', sandbox: '/var/run/netns/blue' },
      ],
      dns: { nameservers: ['10.1.0.1'] },
    }
    expect(decode({ ...ADD, CNI_COMMAND: 'CHECK' }, { cniVersion: '0.4.0', prevResult })).toMatchObject({
      command: 'CHECK',
      config: {
        prevResult: {
          interfaces: prevResult.interfaces,
          ips: [{ address: '10.0.0.5/32', interface: 2 }],
          routes: [],
          dns: prevResult.dns,
        },
      },
    })
  })

  test('errors', () => {
    expect(encodeFailure(failure(CNI_ERROR.invalidConfig, 'what', 'what to do'), '0.4.0')).toEqual({
      cniVersion: '0.4.0',
      code: 7,
      msg: 'what',
      details: 'what to do',
    })
    expect(encodeFailure(failure(CNI_ERROR.notAvailable, 'what'), '1.1.0')).toEqual({
      cniVersion: '1.1.0',
      code: 50,
      msg: 'what',
    })
  })

  test('VERSION', () => {
    expect(encodeVersions('1.0.0')).toEqual({
      cniVersion: '1.0.0',
      supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    })
  })
})
