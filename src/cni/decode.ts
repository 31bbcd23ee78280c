/**
 * The door of the CNI plugin: environment variables and the JSON on stdin, both untrusted, into a
 * typed request (CNI 1.1.0 section 2). What is wrong is answered with the specification's error,
 * all of it at once, with the name of the variable or the path of the key.
 *
 * Unknown keys of the configuration are accepted, as the specification wants for keys that other
 * plugins of a chain and newer runtimes use. DEL and GC ask for less than ADD, so that a broken
 * configuration never keeps a pod from being taken down. Pure.
 */
import { errorText, type Problem } from '../lib/errors.ts'
import { canonicalAddress, parsePrefix } from '../lib/ip.ts'
import { isObject, type JsonObject, stringList } from '../lib/json.ts'
import { decodeResult } from './decode-result.ts'
import {
  type Attachment,
  CNI_ERROR,
  CNI_VERSIONS,
  type CniVersion,
  COMMANDS,
  type Command,
  type Failure,
  failure,
  NEWEST_VERSION,
  type NetworkConfig,
  type PodName,
  type Request,
} from './protocol.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The request, or why there is none; the answer is spelled in `version`. */
export interface Decoded {
  readonly version: CniVersion
  readonly request: Request | Failure
}

const DEFAULT_STATE_DIR = '/var/lib/terway-edge'

/**
 * The smallest MTU that IPv4 (RFC 791: 68) or IPv6 (RFC 8200 section 5: 1280) allows, and the
 * largest of a veth.
 */
const MTU_RANGE = { ipv4: 68, ipv6: 1280, maximum: 65535 } as const

/** Section 2, "Parameters", and each operation's list of required ones. */
const REQUIRED: Readonly<Record<Command, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  GC: [],
  STATUS: [],
  VERSION: [],
}

/** The version that brought an operation, where that is not the oldest we speak. */
const SINCE: Partial<Record<Command, CniVersion>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }

export function decodeRequest(environment: Environment, stdin: string): Decoded {
  const command = COMMANDS.find(known => known === environment.CNI_COMMAND)
  if (command === undefined) return { version: NEWEST_VERSION, request: unknownCommand(environment.CNI_COMMAND) }
  if (command === 'VERSION') return decodeVersionRequest(stdin)
  const json = parseJson(stdin)
  if ('kind' in json) return { version: NEWEST_VERSION, request: json.failure }
  const version = decodeVersion(json.object)
  if (typeof version !== 'string') return { version: NEWEST_VERSION, request: version }
  return {
    version,
    request: checkEnvironment(command, environment) ?? decodeFor(command, { environment, version, json: json.object }),
  }
}

interface Input {
  readonly environment: Environment
  readonly version: CniVersion
  readonly json: JsonObject
}

function decodeFor(command: Exclude<Command, 'VERSION'>, input: Input): Request | Failure {
  const { environment, version } = input
  const since = SINCE[command]
  if (since !== undefined && CNI_VERSIONS.indexOf(version) < CNI_VERSIONS.indexOf(since)) {
    return failure(
      CNI_ERROR.incompatibleVersion,
      `${command} needs cniVersion ${since} or newer, the configuration says ${version}`,
      `set "cniVersion": "${NEWEST_VERSION}" in the network configuration`,
    )
  }
  const args = decodeArgs(environment.CNI_ARGS ?? '')
  if (!(args instanceof Map)) return args
  const { config, problems, minor } = decodeConfig(input, args)
  const forgiving = command === 'DEL' || command === 'GC'
  const wrong = forgiving ? problems : [...problems, ...minor]
  if (wrong.length > 0) return invalidConfig(wrong)
  const attachment = { containerId: environment.CNI_CONTAINERID ?? '', interfaceName: environment.CNI_IFNAME ?? '' }
  switch (command) {
    case 'ADD':
    case 'CHECK': {
      if (command === 'CHECK' && config.prevResult === undefined) {
        return invalidConfig([{ path: 'prevResult', message: 'CHECK needs the result of the ADD' }])
      }
      const pod = podName(args)
      const override = environment.CNI_NETNS_OVERRIDE?.toLowerCase()
      return {
        command,
        config,
        attachment,
        namespacePath: environment.CNI_NETNS ?? '',
        ownNamespaceAllowed: override === 'true' || override === '1',
        ...(pod !== undefined && { pod }),
      }
    }
    case 'DEL': {
      const namespacePath = environment.CNI_NETNS ?? ''
      return { command, config, attachment, ...(namespacePath !== '' && { namespacePath }) }
    }
    case 'GC':
      return decodeCollect(input.json, config)
    case 'STATUS':
      return { command, config }
  }
}

function unknownCommand(given: string | undefined): Failure {
  return failure(
    CNI_ERROR.invalidEnvironment,
    given === undefined || given === '' ? 'CNI_COMMAND is not set' : `CNI_COMMAND ${JSON.stringify(given)} is unknown`,
    `this is a CNI plugin, called by a container runtime with CNI_COMMAND one of ${COMMANDS.join(', ')}`,
  )
}

/** VERSION works without a configuration, too: older runtimes send none. */
function decodeVersionRequest(stdin: string): Decoded {
  if (stdin.trim() === '') {
    return { version: NEWEST_VERSION, request: { command: 'VERSION', cniVersion: NEWEST_VERSION } }
  }
  const json = parseJson(stdin)
  if ('kind' in json) return { version: NEWEST_VERSION, request: json.failure }
  const asked = json.object.cniVersion
  const cniVersion = typeof asked === 'string' && asked !== '' ? asked : NEWEST_VERSION
  return { version: NEWEST_VERSION, request: { command: 'VERSION', cniVersion } }
}

function parseJson(stdin: string): { object: JsonObject } | { kind: 'broken'; failure: Failure } {
  const broken = (msg: string): { kind: 'broken'; failure: Failure } => ({
    kind: 'broken',
    failure: failure(
      CNI_ERROR.decodingFailure,
      msg,
      'the runtime must send the network configuration as a JSON object',
    ),
  })
  try {
    const value: unknown = JSON.parse(stdin)
    return isObject(value) ? { object: value } : broken('the network configuration on stdin is not a JSON object')
  } catch (error) {
    return broken(`the network configuration on stdin is not JSON: ${errorText(error)}`)
  }
}

function decodeVersion(json: JsonObject): CniVersion | Failure {
  const given = json.cniVersion
  const known = CNI_VERSIONS.find(version => version === given)
  return (
    known ??
    failure(
      CNI_ERROR.incompatibleVersion,
      `cniVersion ${given === undefined ? 'is missing' : `${JSON.stringify(given)} is not supported`}`,
      `set "cniVersion" in the network configuration to one of ${CNI_VERSIONS.join(', ')}`,
    )
  )
}

/**
 * Section 2, "Parameters": the names of all variables that are missing or malformed, in one error.
 */
function checkEnvironment(command: Command, environment: Environment): Failure | undefined {
  const missing = REQUIRED[command].filter(name => (environment[name] ?? '') === '')
  const wrong = missing.map(name => `${name} is not set`)
  const containerId = environment.CNI_CONTAINERID ?? ''
  const interfaceName = environment.CNI_IFNAME ?? ''
  if (REQUIRED[command].includes('CNI_CONTAINERID') && containerId !== '' && !isContainerId(containerId)) {
    wrong.push(`CNI_CONTAINERID ${JSON.stringify(containerId)} is not letters, digits, "_", "." and "-"`)
  }
  if (REQUIRED[command].includes('CNI_IFNAME') && interfaceName !== '' && !isInterfaceName(interfaceName)) {
    wrong.push(`CNI_IFNAME ${JSON.stringify(interfaceName)} is not the name of an interface (1 to 15 characters)`)
  }
  if (wrong.length === 0) return undefined
  return failure(CNI_ERROR.invalidEnvironment, wrong.join('; '), `the container runtime must set them for ${command}`)
}

function isContainerId(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text)
}

/** What Linux accepts as the name of an interface (dev_valid_name). */
function isInterfaceName(text: string): boolean {
  return /^[^\s/:\0]+$/.test(text) && Buffer.byteLength(text) < 16 && text !== '.' && text !== '..'
}

/**
 * CNI_ARGS: `KEY=VALUE` pairs with semicolons between them. Keys that we do not know are for
 * others.
 */
function decodeArgs(text: string): Map<string, string> | Failure {
  const args = new Map<string, string>()
  for (const pair of text.split(';')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    if (equals <= 0) {
      return failure(CNI_ERROR.invalidEnvironment, `CNI_ARGS has ${JSON.stringify(pair)} where KEY=VALUE is expected`)
    }
    args.set(pair.slice(0, equals), pair.slice(equals + 1))
  }
  return args
}

function podName(args: ReadonlyMap<string, string>): PodName | undefined {
  const namespace = args.get('K8S_POD_NAMESPACE')
  const name = args.get('K8S_POD_NAME')
  return namespace === undefined || name === undefined ? undefined : { namespace, name }
}

interface DecodedConfig {
  readonly config: NetworkConfig
  /** Wrong for every operation. */
  readonly problems: readonly Problem[]
  /** Wrong only where an attachment is made or checked. */
  readonly minor: readonly Problem[]
}

function decodeConfig(input: Input, args: ReadonlyMap<string, string>): DecodedConfig {
  const { json, version } = input
  const problems: Problem[] = []
  const minor: Problem[] = []
  const name = typeof json.name === 'string' ? json.name : ''
  if (!isContainerId(name)) {
    problems.push({ path: 'name', message: 'the name of the network must start with a letter or digit' })
  }
  const type = typeof json.type === 'string' ? json.type : ''
  if (type === '') problems.push({ path: 'type', message: 'the name of the plugin is missing' })
  const stateDir = json.stateDir ?? DEFAULT_STATE_DIR
  if (typeof stateDir !== 'string' || !stateDir.startsWith('/')) {
    problems.push({ path: 'stateDir', message: 'must be the absolute path of a folder' })
  }
  const addressSource = json.addressSource ?? 'podCIDRs'
  if (addressSource !== 'podCIDRs' && addressSource !== 'interfaces') {
    minor.push({ path: 'addressSource', message: 'must be "podCIDRs" or "interfaces"' })
  }
  const podCIDRs = decodePodCIDRs(json.podCIDRs, minor)
  if (json.allowSourceAddresses !== undefined && typeof json.allowSourceAddresses !== 'boolean') {
    minor.push({ path: 'allowSourceAddresses', message: 'must be true or false' })
  }
  const mtu = decodeMtu(json.mtu, podCIDRs, minor)
  const dns = decodeResult({ dns: json.dns }, '', minor)?.dns
  const prevResult = json.prevResult === undefined ? undefined : decodeResult(json.prevResult, 'prevResult', minor)
  const requestedMac = decodeMac(json, args, minor)
  const config: NetworkConfig = {
    cniVersion: version,
    name,
    type,
    addressSource: addressSource === 'interfaces' ? addressSource : 'podCIDRs',
    podCIDRs,
    stateDir: typeof stateDir === 'string' ? stateDir : DEFAULT_STATE_DIR,
    requestedAddresses: decodeRequestedAddresses(json, args, minor),
    ...(mtu !== undefined && { mtu }),
    ...(typeof json.uplink === 'string' && isInterfaceName(json.uplink) && { uplink: json.uplink }),
    ...(json.allowSourceAddresses === true && { allowSourceAddresses: true }),
    ...(dns !== undefined && { dns }),
    ...(prevResult !== undefined && { prevResult }),
    ...(requestedMac !== undefined && { requestedMac }),
  }
  return { config, problems, minor }
}

function decodePodCIDRs(given: unknown, problems: Problem[]): string[] {
  if (given === undefined || given === null) return []
  const texts = stringList(given)
  if (texts === undefined) {
    problems.push({ path: 'podCIDRs', message: 'must be a list of prefixes such as "10.0.1.0/25"' })
    return []
  }
  return texts.flatMap((text, index) => {
    const prefix = parsePrefix(text)
    if (prefix !== undefined) return [text]
    problems.push({
      path: `podCIDRs[${index}]`,
      message: `${JSON.stringify(text)} is not a prefix without host bits, such as "10.0.1.0/25" or "fd00:1::/64"`,
    })
    return []
  })
}

function decodeMtu(given: unknown, podCIDRs: readonly string[], problems: Problem[]): number | undefined {
  // 0 is how the standard plugins say "not set"
  if (given === undefined || given === 0) return undefined
  const minimum = podCIDRs.some(text => text.includes(':')) ? MTU_RANGE.ipv6 : MTU_RANGE.ipv4
  if (typeof given === 'number' && Number.isInteger(given) && given >= minimum && given <= MTU_RANGE.maximum)
    return given
  problems.push({ path: 'mtu', message: `must be a number of bytes from ${minimum} to ${MTU_RANGE.maximum}` })
  return undefined
}

/** The three conventional ways to ask for an address, with or without a prefix length behind it. */
function decodeRequestedAddresses(json: JsonObject, args: ReadonlyMap<string, string>, problems: Problem[]): string[] {
  const lists: [path: string, value: unknown][] = [
    ['runtimeConfig.ips', isObject(json.runtimeConfig) ? json.runtimeConfig.ips : undefined],
    ['args.cni.ips', cniArgs(json)?.ips],
    ['CNI_ARGS IP', args.get('IP')?.split(',')],
  ]
  const addresses = lists.flatMap(([path, value]) => {
    if (value === undefined || value === null) return []
    const given: readonly unknown[] = Array.isArray(value) ? value : [value]
    return given.flatMap(one => {
      const address = typeof one === 'string' ? canonicalAddress(one.split('/')[0] ?? '') : undefined
      if (address === undefined) problems.push({ path, message: `${JSON.stringify(one)} is not an IP address` })
      return address === undefined ? [] : [address]
    })
  })
  return [...new Set(addresses)]
}

function decodeMac(json: JsonObject, args: ReadonlyMap<string, string>, problems: Problem[]): string | undefined {
  const asked =
    (isObject(json.runtimeConfig) ? json.runtimeConfig.mac : undefined) ?? cniArgs(json)?.mac ?? args.get('MAC')
  if (asked === undefined || asked === '') return undefined
  if (typeof asked === 'string' && isUnicastMac(asked)) return asked.toLowerCase()
  problems.push({ path: 'mac', message: `${JSON.stringify(asked)} is not a unicast hardware address` })
  return undefined
}

function isUnicastMac(text: string): boolean {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return false
  return (Number.parseInt(text.slice(0, 2), 16) & 1) === 0 && !/^[0:]+$/.test(text)
}

/** The `args.cni` convention: arguments of the runtime inside the configuration. */
function cniArgs(json: JsonObject): JsonObject | undefined {
  return isObject(json.args) && isObject(json.args.cni) ? json.args.cni : undefined
}

/**
 * Without the list of what is valid nothing may be collected; one entry that cannot be read could
 * be a living pod.
 */
function decodeCollect(json: JsonObject, config: NetworkConfig): Request | Failure {
  const key = 'cni.dev/valid-attachments'
  // the second is what the first text of the specification said
  const given = json[key] ?? json['cni.dev/attachments']
  if (!Array.isArray(given)) return invalidConfig([{ path: key, message: 'GC needs the list of valid attachments' }])
  const valid: Attachment[] = []
  for (const [index, entry] of given.entries()) {
    if (!isObject(entry) || typeof entry.containerID !== 'string' || typeof entry.ifname !== 'string') {
      return invalidConfig([{ path: `${key}[${index}]`, message: 'must have the strings containerID and ifname' }])
    }
    valid.push({ containerId: entry.containerID, interfaceName: entry.ifname })
  }
  return { command: 'GC', config, valid }
}

function invalidConfig(problems: readonly Problem[]): Failure {
  const lines = problems.map(({ path, message }) => `${path}: ${message}`)
  return failure(
    CNI_ERROR.invalidConfig,
    `invalid network configuration: ${lines.join('; ')}`,
    'the node agent writes this file into the CNI configuration folder; remove it and the agent writes it anew, or mend the entry',
  )
}
