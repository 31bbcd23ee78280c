/**
 * The simulated cloud's things: interfaces with their states, vSwitches with their addresses,
 * instances. Time passes when somebody looks: a state that is due is taken then. Knows no calls and
 * no HTTP; what an action may do is said in `ecs.ts` and `ens.ts`.
 */
import { addressNumber, formatAddress, parsePrefix } from '../lib/ip.ts'
import type { SimInstance, SimInterface, SimOptions, SimState, SimVSwitch } from './types.ts'

export class SimWorld {
  readonly interfaces = new Map<string, SimInterface>()
  readonly instances = new Map<string, SimInstance>()
  readonly vSwitches = new Map<string, SimVSwitch>()
  readonly options: SimOptions
  /** Attachings that came to nothing. */
  attachFailures = 0
  /** Called when an address has left an interface. */
  onUnassigned: (address: string, interfaceID: string) => void = () => {}
  readonly #owners = new Map<string, string>()
  readonly #cursors = new Map<string, number>()
  /** What there was, with the time: for listings that lag. */
  #history: { readonly at: number; readonly items: readonly SimInterface[] }[] = []
  #serial = 0

  constructor(options: SimOptions) {
    this.options = options
    for (const vSwitch of options.vSwitches) this.vSwitches.set(vSwitch.id, { ...vSwitch })
  }

  /** Adds an instance with its primary interface, which has the `chosen` addresses. */
  addInstance(
    instance: Omit<SimInstance, 'state'>,
    vSwitchID: string,
    chosen?: { readonly ipv4: string; readonly ipv6: string | undefined },
  ): SimInstance {
    const added: SimInstance = { ...instance, state: 'Running' }
    this.instances.set(instance.id, added)
    const { product } = instance
    const made = this.makeInterface({
      product,
      type: 'Primary',
      vSwitchID,
      ...(chosen === undefined ? {} : { chosen }),
    })
    Object.assign(made, { state: 'InUse', instanceID: instance.id })
    return added
  }

  /**
   * Takes an instance away: what is deleted on release goes with it, the rest becomes Available.
   */
  removeInstance(id: string): void {
    this.instances.delete(id)
    for (const item of [...this.interfaces.values()].filter(({ instanceID }) => instanceID === id)) {
      if (item.type === 'Primary' || item.deleteOnRelease) this.#forget(item)
      else Object.assign(item, { state: 'Available', instanceID: undefined, next: undefined })
    }
  }

  makeInterface(from: {
    product: 'ecs' | 'ens'
    type: 'Primary' | 'Secondary'
    vSwitchID: string
    secondary?: number
    ipv6?: number
    /** In place of free ones. */
    chosen?: { readonly ipv4: string; readonly ipv6: string | undefined }
  }): SimInterface {
    const vSwitch = this.vSwitches.get(from.vSwitchID)
    if (vSwitch === undefined) throw new Error(`no vSwitch ${from.vSwitchID}`)
    const serial = ++this.#serial
    const id = `eni-${from.product}${serial.toString().padStart(4, '0')}`
    const { chosen } = from
    const ipv4 =
      chosen === undefined ? this.take(vSwitch, 'ipv4', (from.secondary ?? 0) + 1, id) : this.#claim([chosen.ipv4], id)
    const ipv6 =
      chosen?.ipv6 === undefined ? this.take(vSwitch, 'ipv6', from.ipv6 ?? 0, id) : this.#claim([chosen.ipv6], id)
    const made: SimInterface = {
      id,
      product: from.product,
      mac: `00:16:3e:${[serial >> 16, serial >> 8, serial].map(part => (part & 255).toString(16).padStart(2, '0')).join(':')}`,
      vSwitchID: vSwitch.id,
      vpcID: vSwitch.vpcID,
      zoneID: vSwitch.zoneID,
      type: from.type,
      primaryAddress: ipv4[0] ?? '',
      ipv4,
      ipv6,
      tags: {},
      securityGroups: [],
      sourceDestCheck: true,
      deleteOnRelease: true,
      serviceManaged: false,
      state: 'Available',
      instanceID: undefined,
      next: undefined,
    }
    this.interfaces.set(id, made)
    return made
  }

  /** IPv4 addresses of a vSwitch that nobody has. */
  available(vSwitch: SimVSwitch): number {
    const length = parsePrefix(vSwitch.cidr)?.length ?? 32
    const used = [...this.interfaces.values()]
      .filter(({ vSwitchID }) => vSwitchID === vSwitch.id)
      .reduce((sum, { ipv4 }) => sum + ipv4.length, 0)
    // the first and the last three are the cloud's
    return Math.max(0, 2 ** (32 - length) - 4 - (vSwitch.taken ?? 0) - used)
  }

  /** Takes free addresses, the lowest that were not had for the longest time. */
  take(vSwitch: SimVSwitch, family: 'ipv4' | 'ipv6', count: number, owner: string): string[] {
    const prefix = parsePrefix((family === 'ipv4' ? vSwitch.cidr : vSwitch.ipv6Cidr) ?? '')
    if (prefix === undefined || count === 0) return []
    const base = addressNumber(prefix.bytes)
    const size = family === 'ipv4' ? 2 ** (32 - prefix.length) : 65_536
    const key = `${vSwitch.id}/${family}`
    const taken: string[] = []
    let cursor = this.#cursors.get(key) ?? 10
    for (let tries = 0; taken.length < count && tries < size; tries++, cursor++) {
      const offset = 1 + (cursor % (size - 4))
      const address = numberAddress(base + BigInt(offset), prefix.bytes.length)
      if (this.#owners.has(address)) continue
      this.#owners.set(address, owner)
      taken.push(address)
    }
    this.#cursors.set(key, cursor)
    return taken
  }

  #claim(addresses: string[], owner: string): string[] {
    for (const address of addresses) {
      if (this.#owners.has(address)) throw new Error(`${address} has an owner`)
      this.#owners.set(address, owner)
    }
    return addresses
  }

  /** Takes addresses off an interface. */
  drop(item: SimInterface, addresses: readonly string[]): void {
    item.ipv4 = item.ipv4.filter(address => !addresses.includes(address))
    item.ipv6 = item.ipv6.filter(address => !addresses.includes(address))
    for (const address of addresses) {
      this.#owners.delete(address)
      this.onUnassigned(address, item.id)
    }
  }

  /** Begins a change of state that takes a while. */
  begin(item: SimInterface, now: SimState, next: SimState | 'gone', kind: 'attach' | 'detach' | 'delete'): void {
    const delay = this.options.delays?.[kind] ?? { attach: 2_000, detach: 3_000, delete: 1_000 }[kind]
    item.state = now
    item.next = { state: next, at: this.options.clock.now() + delay }
    this.settle()
  }

  /** What listings show: what there is, or was so long ago as they lag. */
  listed(): readonly SimInterface[] {
    const { clock, questions } = this.options
    const lag = questions?.listingLagMilliseconds ?? 0
    if (lag === 0) return [...this.interfaces.values()]
    this.remember()
    const shown = this.#history.findLastIndex(({ at }) => at <= clock.now() - lag)
    this.#history = this.#history.slice(Math.max(0, shown))
    return this.#history[0]?.items ?? []
  }

  /** Notes what there is now, if a listing may have to show it later. */
  remember(): void {
    const { clock, questions } = this.options
    if ((questions?.listingLagMilliseconds ?? 0) === 0) return
    // what changes in place is replaced, never altered: addresses alone are appended to
    const items = [...this.interfaces.values()].map(item => ({ ...item, ipv4: [...item.ipv4], ipv6: [...item.ipv6] }))
    this.#history.push({ at: clock.now(), items })
  }

  /** Lets what is due happen. */
  settle(): void {
    if (this.#settle()) this.remember()
  }

  #settle(): boolean {
    let changed = false
    const now = this.options.clock.now()
    for (const item of [...this.interfaces.values()]) {
      if (item.next === undefined || item.next.at > now) continue
      changed = true
      const { state } = item.next
      item.next = undefined
      if (state === 'gone') this.#forget(item)
      else {
        item.state = state
        if (state === 'Available') item.instanceID = undefined
      }
    }
    return changed
  }

  #forget(item: SimInterface): void {
    this.interfaces.delete(item.id)
    this.drop(item, [...item.ipv4, ...item.ipv6])
  }
}

function numberAddress(value: bigint, length: number): string {
  const bytes = new Uint8Array(length)
  for (let index = length - 1, rest = value; index >= 0; index--, rest >>= 8n) bytes[index] = Number(rest & 255n)
  return formatAddress(bytes)
}
