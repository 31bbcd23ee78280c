/**
 * The metadata service of an instance (100.100.100.200), ECS's with tokens, ENS's other paths
 * without: what a node asks about its interfaces, and the credentials of the instance's RAM role.
 * Serve it in the namespace that owns the address.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { addressNumber, formatAddress, parsePrefix } from '../lib/ip.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { SimWorld } from './state.ts'
import type { SimAccessKey, SimInterface } from './types.ts'

export interface MetadataOptions {
  readonly world: SimWorld
  readonly instanceID: string
  readonly clock: Clock
  /** The role of the instance and the key that it gives. */
  readonly role?: { readonly name: string; readonly key: SimAccessKey; readonly lifetimeSeconds: number }
}

export class MetadataService {
  readonly #options: MetadataOptions
  readonly #tokens = new Map<string, number>()

  constructor(options: MetadataOptions) {
    this.#options = options
  }

  fetch(request: Request): Response {
    const { pathname } = new URL(request.url)
    const { world, instanceID, clock } = this.#options
    world.settle()
    const instance = world.instances.get(instanceID)
    const silent = instance?.product === 'ens' && world.options.questions?.ensMetadata === 'absent'
    if (instance === undefined || silent) return new Response('', { status: 404 })
    if (instance.product === 'ecs') {
      if (request.method === 'PUT' && pathname === '/latest/api/token') return this.#token(request)
      const until = this.#tokens.get(request.headers.get('x-aliyun-ecs-metadata-token') ?? '') ?? 0
      if (until < clock.monotonic()) return new Response('', { status: 401 })
    }
    const path = pathname.replace(/^\/latest\/meta-data\//, '')
    const answer = instance.product === 'ecs' ? this.#ecs(path) : this.#ens(path)
    return answer === undefined ? new Response('', { status: 404 }) : new Response(answer)
  }

  #token(request: Request): Response {
    const seconds = Number(request.headers.get('x-aliyun-ecs-metadata-token-ttl-seconds'))
    if (!(seconds >= 1 && seconds <= 21_600)) return new Response('', { status: 400 })
    const token = randomBytes(24).toString('base64')
    this.#tokens.set(token, this.#options.clock.monotonic() + seconds * 1000)
    return new Response(token)
  }

  #attached(): readonly SimInterface[] {
    const { world, instanceID } = this.#options
    return [...world.interfaces.values()].filter(item => item.instanceID === instanceID && item.state === 'InUse')
  }

  #ecs(path: string): string | undefined {
    const { world, instanceID, role } = this.#options
    const instance = world.instances.get(instanceID)
    const simple: Readonly<Record<string, string | undefined>> = {
      'instance-id': instanceID,
      'instance/instance-type': instance?.type,
      'region-id': world.options.regionID,
      'zone-id': instance?.zoneID,
      'vpc-id': instance?.vpcID,
      'network/interfaces/macs/': this.#attached()
        .map(({ mac }) => `${mac}/`)
        .join('\n'),
    }
    if (Object.hasOwn(simple, path)) return simple[path]
    if (path.startsWith('ram/security-credentials/'))
      return this.#role(path.slice('ram/security-credentials/'.length), role)
    const item = this.#interface(path)
    if (item === undefined) return undefined
    const vSwitch = world.vSwitches.get(item.vSwitchID)
    return {
      'network-interface-id': item.id,
      'primary-ip-address': item.primaryAddress,
      'private-ipv4s': JSON.stringify(item.ipv4),
      ipv6s: item.ipv6.length === 0 ? undefined : `[${item.ipv6.join(',')}]`,
      'vswitch-id': item.vSwitchID,
      'vswitch-cidr-block': vSwitch?.cidr,
      'vswitch-ipv6-cidr-block': vSwitch?.ipv6Cidr,
      gateway: this.#gateway(vSwitch?.cidr),
      'ipv6-gateway': this.#gateway(vSwitch?.ipv6Cidr),
    }[field(path)]
  }

  #ens(path: string): string | undefined {
    const { instanceID, world } = this.#options
    const instance = world.instances.get(instanceID)
    const simple: Readonly<Record<string, string | undefined>> = {
      'instance/instance-id': instanceID,
      'instance/instance-type': instance?.type,
      'region-id': instance?.zoneID,
      'network/interfaces/macs/': this.#attached()
        .map(({ mac }) => `${mac}/`)
        .join('\n'),
    }
    if (Object.hasOwn(simple, path)) return simple[path]
    const item = this.#interface(path)
    if (item === undefined) return undefined
    const cidr = world.vSwitches.get(item.vSwitchID)?.cidr
    return {
      'eni-id': item.id,
      'primary-ip-address': item.primaryAddress,
      netmask: netmask(cidr),
      gateway: world.options.questions?.ensMetadata === 'with-gateway' ? this.#gateway(cidr) : undefined,
    }[field(path)]
  }

  #interface(path: string): SimInterface | undefined {
    const mac = /^network\/interfaces\/macs\/([^/]+)\/[^/]+$/.exec(path)?.[1]
    return this.#attached().find(item => item.mac === mac)
  }

  #role(path: string, role: MetadataOptions['role']): string | undefined {
    if (role === undefined) return undefined
    if (path === '') return role.name
    if (path !== role.name) return undefined
    return JSON.stringify({
      Code: 'Success',
      AccessKeyId: role.key.id,
      AccessKeySecret: role.key.secret,
      SecurityToken: role.key.securityToken ?? '',
      Expiration: timestamp(this.#options.clock.now() + role.lifetimeSeconds * 1000),
    })
  }

  #gateway(cidr: string | undefined): string | undefined {
    const prefix = parsePrefix(cidr ?? '')
    if (prefix === undefined) return undefined
    const before = BigInt(this.#options.world.options.questions?.gatewayBeforeLast ?? 2)
    const bits = BigInt(prefix.bytes.length * 8 - prefix.length)
    let value = addressNumber(prefix.bytes) + 2n ** bits - 1n - before
    const bytes = new Uint8Array(prefix.bytes.length)
    for (let index = bytes.length - 1; index >= 0; index--, value >>= 8n) bytes[index] = Number(value & 255n)
    return formatAddress(bytes)
  }
}

function netmask(cidr: string | undefined): string | undefined {
  const length = parsePrefix(cidr ?? '')?.length
  if (length === undefined) return undefined
  return [0, 8, 16, 24].map(from => 256 - 2 ** (8 - Math.max(0, Math.min(8, length - from)))).join('.')
}

function field(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
