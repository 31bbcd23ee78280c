/**
 * What the cloud says there is: interfaces, vSwitches, limits of instance types. One listing of a
 * VPC serves all nodes that ask within a moment, and those that ask while it is under way wait for
 * the next: never are two of one VPC in memory. It is by VPC, as listing by a tag shows a thousand
 * at most, and is filtered here. Makes no changing call.
 */
import { type CloudAction, flatParameters, type ParametersOf } from '../cloud/actions.ts'
import {
  type CloudInterface,
  type InstanceType,
  type Page,
  readInstanceTypes,
  readInterfaces,
  readVSwitches,
  type VSwitch,
} from '../cloud/answers.ts'
import type { CloudApi } from '../cloud/cloud-api.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import { ExpiringMap } from '../lib/expiring-map.ts'
import { judge, type Verdict } from './cloud-errors.ts'
import type { TokenBuckets } from './token-buckets.ts'

/** Thrown when the cloud does not say; `verdict` tells why. */
export class CloudReadError extends Error {
  override readonly name = 'CloudReadError'
  readonly verdict: Verdict
  readonly action: string
  constructor(action: string, verdict: Verdict) {
    super(`${action}: ${verdict.code === '' ? verdict.message : `${verdict.code} ${verdict.message}`}`)
    this.verdict = verdict
    this.action = action
  }
}

/** Whose interfaces are asked for. */
export interface ReadTarget {
  readonly platform: 'ecs' | 'ens'
  readonly regionID: string
  readonly instanceID: string
  /** By which its VPC is found. */
  readonly vSwitchIDs: readonly string[]
  /** Interfaces that are said to be there. */
  readonly interfaceIDs: readonly string[]
  readonly urgent: boolean
  readonly name: string
  /** Whether an interface that is attached to no instance belongs to it. */
  readonly claims: (item: CloudInterface) => boolean
}

export interface CloudReaderOptions {
  readonly cloud: CloudApi
  readonly clock: Clock
  readonly buckets: TokenBuckets
  /** Called with every listing of a whole VPC. */
  readonly onListing: (items: readonly CloudInterface[], at: number) => void
  readonly onCall: (action: string) => void
}

const PAGE = 500
const ENS_PAGE = 100
const IDS_A_CALL = 100
/** Requests within this time are one listing. */
const GATHER_MILLISECONDS = 100
/** Pauses before a reading call is made again. */
const READ_AGAIN = [500, 1_000, 2_000]
const VSWITCH_FRESH_MILLISECONDS = 60_000
/** After a refusal it is asked again, unless there were too many calls: then when the code says. */
const REFUSED_MILLISECONDS = 10_000
/** The limits of a type do not change while it is sold. */
const TYPE_FRESH_MILLISECONDS = 24 * 60 * 60_000

/** Of a call what it is about. */
interface Asked {
  readonly regionID: string
  /** A node, a vSwitch, a type, or what one listing covers. */
  readonly name: string
}

interface Request {
  readonly target: ReadTarget
  readonly resolve: (items: readonly CloudInterface[]) => void
  readonly reject: (error: unknown) => void
}

export class CloudReader {
  readonly #options: CloudReaderOptions
  readonly #vSwitches = new Map<string, { readonly value: VSwitch | undefined; readonly at: number }>()
  readonly #types = new Map<string, { readonly value: InstanceType | undefined; readonly at: number }>()
  /** What was refused, for a while: many nodes ask for the same. */
  readonly #refused = new ExpiringMap<CloudReadError>()
  #requests: Request[] = []
  #gathering = false
  /** By what one listing covers: those who wait for the next one. */
  readonly #waiting = new Map<string, Request[]>()

  constructor(options: CloudReaderOptions) {
    this.#options = options
  }

  /**
   * The interfaces of an instance and those that it claims, asked after this call. Throws
   * `CloudReadError`.
   */
  interfaces(target: ReadTarget): Promise<readonly CloudInterface[]> {
    return new Promise((resolve, reject) => {
      this.#requests.push({ target, resolve, reject })
      if (this.#gathering) return
      this.#gathering = true
      this.#options.clock.after(GATHER_MILLISECONDS, () => {
        this.#gathering = false
        void this.#serve(this.#requests.splice(0))
      })
    })
  }

  /**
   * What is known of vSwitches, asked anew when it is older than a minute. Those that are not there
   * are missing.
   */
  async vSwitches(regionID: string, ids: readonly string[]): Promise<ReadonlyMap<string, VSwitch>> {
    const now = this.#options.clock.monotonic()
    const found = new Map<string, VSwitch>()
    for (const id of ids) {
      const known = this.#vSwitches.get(id)
      if (known === undefined || now - known.at > VSWITCH_FRESH_MILLISECONDS) {
        const parameters = { RegionId: regionID, VSwitchId: id, PageSize: 50 }
        const page = await this.#call(
          'vpc:DescribeVSwitches',
          { regionID, parameters, name: id, urgent: true },
          readVSwitches,
        )
        this.#vSwitches.set(id, { value: page.items.find(item => item.id === id), at: now })
      }
      const value = this.#vSwitches.get(id)?.value
      if (value !== undefined) found.set(id, value)
    }
    return found
  }

  /** vSwitches that were asked for before, also long ago. */
  knownVSwitches(): ReadonlyMap<string, VSwitch> {
    return new Map(
      [...this.#vSwitches].flatMap(([id, { value }]) => (value === undefined ? [] : [[id, value] as const])),
    )
  }

  /** Addresses of it are other than we knew. */
  forgetVSwitch(id: string): void {
    this.#vSwitches.delete(id)
  }

  /** The limits of a type; undefined: the cloud knows none of that name. */
  async instanceType(regionID: string, name: string): Promise<InstanceType | undefined> {
    const now = this.#options.clock.monotonic()
    const known = this.#types.get(name)
    if (
      known !== undefined &&
      now - known.at < (known.value === undefined ? VSWITCH_FRESH_MILLISECONDS : TYPE_FRESH_MILLISECONDS)
    )
      return known.value
    const parameters = { InstanceTypes: [name], MaxResults: 100 }
    const wish = { regionID, parameters, name, urgent: true }
    const page = await this.#call('ecs:DescribeInstanceTypes', wish, readInstanceTypes)
    const value = page.items.find(item => item.name === name)
    this.#types.set(name, { value, at: now })
    return value
  }

  async #serve(requests: readonly Request[]): Promise<void> {
    const ens = requests.filter(({ target }) => target.platform === 'ens')
    const groups = new Map<string, Request[]>()
    for (const request of requests.filter(({ target }) => target.platform === 'ecs')) {
      const key = await this.#scopeOf(request.target).catch((error: unknown) => {
        request.reject(error)
        return undefined
      })
      if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), request])
    }
    await Promise.all([
      ...[...groups].map(([key, members]) => this.#listInTurn(key, members)),
      ...ens.map(request => this.#answer([request], () => this.#listEns(request.target))),
    ])
  }

  /** One listing at a time of what `key` covers, each begun after those it answers have asked. */
  async #listInTurn(key: string, members: readonly Request[]): Promise<void> {
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      waiting.push(...members)
      return
    }
    const next = [...members]
    this.#waiting.set(key, next)
    while (next.length > 0) {
      const asked = next.splice(0)
      await this.#answer(asked, () => this.#listEcs(key, asked))
    }
    this.#waiting.delete(key)
  }

  /** Region and VPC, or the instance where the VPC is not known: what one listing covers. */
  async #scopeOf({ regionID, vSwitchIDs, instanceID }: ReadTarget): Promise<string> {
    const known = await this.vSwitches(regionID, vSwitchIDs)
    const vpcID = [...known.values()].find(item => item.vpcID !== '')?.vpcID
    return JSON.stringify(vpcID === undefined ? { regionID, instanceID } : { regionID, vpcID })
  }

  async #answer(members: readonly Request[], list: () => Promise<readonly CloudInterface[]>): Promise<void> {
    try {
      const items = await list()
      for (const { target, resolve } of members) {
        const ids = new Set(target.interfaceIDs)
        const mine = (item: CloudInterface) =>
          item.instanceID === target.instanceID ||
          ids.has(item.id) ||
          (item.instanceID === undefined && target.claims(item))
        resolve(items.filter(mine))
      }
    } catch (error) {
      for (const { reject } of members) reject(error)
    }
  }

  async #listEcs(key: string, members: readonly Request[]): Promise<readonly CloudInterface[]> {
    const { regionID, vpcID, instanceID } = JSON.parse(key) as { regionID: string; vpcID?: string; instanceID?: string }
    const by = vpcID === undefined ? { InstanceId: instanceID ?? '' } : { VpcId: vpcID }
    const urgent = members.some(({ target }) => target.urgent)
    const at = this.#options.clock.monotonic()
    const items: CloudInterface[] = []
    for (let nextToken: string | undefined; ; ) {
      const parameters = {
        RegionId: regionID,
        ...by,
        MaxResults: PAGE,
        ...(nextToken === undefined ? {} : { NextToken: nextToken }),
      }
      const page = await this.#call(
        'ecs:DescribeNetworkInterfaces',
        { regionID, parameters, name: key, urgent },
        readInterfaces,
      )
      items.push(...page.items)
      nextToken = page.nextToken
      if (nextToken === undefined) break
    }
    if (vpcID !== undefined) this.#options.onListing(items, at)
    // pages may miss what changes between them, and what is of another VPC: asked for by name
    const seen = new Set(items.map(({ id }) => id))
    const missing = [...new Set(members.flatMap(({ target }) => target.interfaceIDs))].filter(id => !seen.has(id))
    for (let start = 0; start < missing.length; start += IDS_A_CALL) {
      const parameters = {
        RegionId: regionID,
        NetworkInterfaceId: missing.slice(start, start + IDS_A_CALL),
        MaxResults: PAGE,
      }
      const page = await this.#call(
        'ecs:DescribeNetworkInterfaces',
        { regionID, parameters, name: key, urgent },
        readInterfaces,
      )
      items.push(...page.items)
    }
    return items
  }

  async #listEns({ regionID, instanceID, urgent, name }: ReadTarget): Promise<readonly CloudInterface[]> {
    const items: CloudInterface[] = []
    for (let number = 1; ; number++) {
      const parameters = { InstanceId: instanceID, PageNumber: number, PageSize: ENS_PAGE }
      const page = await this.#call(
        'ens:DescribeNetworkInterfaces',
        { regionID, parameters, name, urgent },
        readInterfaces,
      )
      items.push(...page.items)
      const isLast = page.total === undefined ? page.items.length < ENS_PAGE : items.length >= page.total
      if (page.items.length === 0 || isLast) return items
    }
  }

  /**
   * One reading call; waits for its turn, and is made again a few times when there is no clear
   * answer.
   */
  async #call<A extends CloudAction, T>(
    action: A,
    wish: { regionID: string; parameters: ParametersOf[A]; name: string; urgent: boolean },
    read: (body: unknown) => Page<T> | undefined,
  ): Promise<Page<T>> {
    const { clock } = this.#options
    this.#throwRefused(action, wish)
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#callOnce(action, wish)
      const page = answer.kind === 'ok' ? read(answer.body) : undefined
      if (page !== undefined) return page
      const none = { kind: 'unknown', reason: 'the answer is not the list that was asked for' } as const
      const verdict = judge(answer.kind === 'ok' ? none : answer, clock.now())
      if (verdict.kind !== 'effect-unknown' || attempt === READ_AGAIN.length)
        throw this.#noteRefused(action, wish, verdict)
      await sleep(clock, READ_AGAIN[attempt] ?? 0)
    }
  }

  #throwRefused(action: CloudAction, { regionID, name }: Asked): void {
    const now = this.#options.clock.monotonic()
    for (const key of [`${action}/${regionID}`, `${action}/${regionID}/${name}`]) {
      const refused = this.#refused.get(key, now)
      if (refused !== undefined) throw refused
    }
  }

  /** What is refused for its action is so for everybody. */
  #noteRefused(action: CloudAction, { regionID, name }: Asked, verdict: Verdict): CloudReadError {
    const error = new CloudReadError(action.slice(action.indexOf(':') + 1), verdict)
    const wait = verdict.waitSeconds * 1000
    const pause = verdict.kind === 'throttled' ? wait : Math.min(wait, REFUSED_MILLISECONDS)
    const key = `${action}/${regionID}${verdict.scope === 'action' ? '' : `/${name}`}`
    const now = this.#options.clock.monotonic()
    this.#refused.set(key, error, { now, until: now + pause })
    return error
  }

  async #callOnce<A extends CloudAction>(
    action: A,
    wish: { regionID: string; parameters: ParametersOf[A]; name: string; urgent: boolean },
  ) {
    const { cloud, clock, buckets, onCall } = this.#options
    for (;;) {
      const taken = buckets.take(action.slice(action.indexOf(':') + 1), wish, clock.monotonic())
      if (taken === 'taken') break
      await sleep(clock, taken)
    }
    onCall(action)
    const parameters = flatParameters(action, wish.parameters)
    return await cloud.call({ action, regionID: wish.regionID, parameters, token: '' })
  }
}
