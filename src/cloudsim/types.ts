/**
 * What the simulated cloud consists of, and what a test or the lab says about it beforehand. Where
 * no page says how the real cloud behaves, it is an option here, so that both answers can be tried.
 * Types only. Pure.
 */
import type { Clock } from '../lib/clock.ts'

export type SimProduct = 'ecs' | 'vpc' | 'ens'

export interface SimVSwitch {
  readonly id: string
  readonly vpcID: string
  readonly zoneID: string
  readonly cidr: string
  readonly ipv6Cidr?: string
  /** Addresses that others have taken, beside what the cloud keeps for itself. */
  taken?: number
}

export interface SimInstanceType {
  readonly name: string
  /** The primary interface counted. */
  readonly interfaces: number
  readonly ipv4PerInterface: number
  readonly ipv6PerInterface: number
  /** Interfaces are attached only while the instance is stopped. */
  readonly attachStopped?: boolean
}

export interface SimInstance {
  readonly id: string
  readonly product: 'ecs' | 'ens'
  readonly type: string
  readonly vpcID: string
  readonly zoneID: string
  state: 'Running' | 'Stopped'
}

export type SimState = 'Available' | 'Attaching' | 'InUse' | 'Detaching' | 'Deleting'

export interface SimInterface {
  readonly id: string
  readonly product: 'ecs' | 'ens'
  readonly mac: string
  readonly vSwitchID: string
  readonly vpcID: string
  readonly zoneID: string
  readonly type: 'Primary' | 'Secondary'
  readonly primaryAddress: string
  ipv4: string[]
  ipv6: string[]
  tags: Record<string, string>
  securityGroups: readonly string[]
  sourceDestCheck: boolean
  deleteOnRelease: boolean
  serviceManaged: boolean
  state: SimState
  instanceID: string | undefined
  /** What it becomes, and when (Clock.now() milliseconds). */
  next: { readonly state: SimState | 'gone'; readonly at: number } | undefined
}

/** A key that may call; `allowed` undefined: everything. */
export interface SimAccessKey {
  readonly id: string
  readonly secret: string
  readonly securityToken?: string
  readonly allowed?: ReadonlySet<string>
}

/** What is to happen to a call in place of, or on top of, what the cloud would do. */
export type Fault =
  | { readonly kind: 'refuse'; readonly code: string; readonly httpStatus: number; readonly retryAfter?: number }
  /** The connection breaks: after the effect, or without it. */
  | { readonly kind: 'no-answer'; readonly effect: boolean }
  /** A gateway answers with a page. */
  | { readonly kind: 'html'; readonly effect: boolean }

export interface SimCall {
  readonly number: number
  readonly at: number
  readonly product: SimProduct
  readonly action: string
  readonly parameters: Readonly<Record<string, string>>
  /** ClientToken. */
  readonly token: string
  /** `ok`, a code, or `no answer`. */
  outcome: string
  /** Whether something in the cloud was changed by it. */
  effect: boolean
}

/** The questions that no page answers; each default is one answer, tests take the others too. */
export interface OpenQuestions {
  /** How long a ClientToken is remembered. */
  readonly tokenSeconds: number
  /** Whether the limit of addresses of an ENS interface counts its primary one. */
  readonly ensPrimaryCounts: boolean
  /** The code of an ENS interface that is full. */
  readonly ensFullCode: string
  /** How ENS spells the state of an attached interface. */
  readonly ensInUse: string
  /** Calls of ENS a minute. */
  readonly ensPerMinute: number
  /**
   * What a subnet's gateway is: this many addresses before its end (the third from the end is 2
   * before the last).
   */
  readonly gatewayBeforeLast: number
  /** Whether ENS has a metadata service, and whether that says a gateway. */
  readonly ensMetadata: 'absent' | 'without-gateway' | 'with-gateway'
  /** Whether an unattached interface, and one that is being attached, takes assignments. */
  readonly assignWhileAttaching: boolean
  /** For how long a listing still shows what was before a change. */
  readonly listingLagMilliseconds: number
  /** Whether a listing names the instance of an interface that is being attached or detached. */
  readonly instanceWhileMoving: boolean
  /** So many attachings come to nothing before one does. */
  readonly attachFailures: number
  /** How ENS calls a private primary address. */
  readonly ensPrimaryType: string
}

export interface SimOptions {
  readonly clock: Clock
  readonly regionID: string
  readonly accessKeys: readonly SimAccessKey[]
  readonly vSwitches: readonly SimVSwitch[]
  readonly securityGroups: readonly string[]
  readonly instanceTypes: readonly SimInstanceType[]
  readonly delays?: Partial<Readonly<Record<'attach' | 'detach' | 'delete', number>>>
  /** Interfaces that the account may have. */
  readonly maximumInterfaces?: number
  /** Addresses that a security group takes. */
  readonly securityGroupAddresses?: number
  /** Addresses of an ENS interface. */
  readonly ensAddressesPerInterface?: number
  /** Calls of an action a minute; by name, or `default`. */
  readonly perMinute?: Readonly<Record<string, number>>
  readonly questions?: Partial<OpenQuestions>
  readonly fault?: (call: SimCall) => Fault | undefined
}
