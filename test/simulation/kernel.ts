/**
 * A simulated kernel of one machine, as far as routes between nodes need one: links, addresses, the
 * main table, neighbours. IPv4. What it refuses and what it takes along silently is what Linux does
 * (fib_semantics.c, fib_frontend.c); kernel-conformity.test.ts plays the same random scripts on a
 * real one. Values in, values out: bytes are kernel-wire.ts's.
 */
import { ERRNO } from '../../src/lib/errno.ts'
import { covers, hostPrefix, networkOf } from '../../src/lib/ip.ts'
import { IFA_F, NUD, RT_SCOPE, RT_TABLE, RTPROT } from '../../src/netlink/constants.ts'
import type { InterfaceAddress, Link, Neighbour, NextHop, Route, RouteType } from '../../src/netlink/types.ts'
import type { ChangeKind } from '../../src/netlink/watch.ts'

export interface RouteRequest {
  readonly destination: string
  readonly table: number
  readonly protocol: number
  readonly scope: number
  /** Undefined: any (deletions). */
  readonly type: RouteType | undefined
  readonly priority: number
  readonly nextHops: readonly NextHop[]
}

/** Who is on the wire: whether an address answers ARP on the network of a link now. */
export type Answers = (address: string, link: number) => boolean

export interface RouteChange {
  readonly route: Route
  readonly isGone: boolean
}

type Listener = (kind: ChangeKind, of?: RouteChange) => void

export class SimKernel {
  #links: Link[] = []
  #addresses: InterfaceAddress[] = []
  #routes: Route[] = []
  #neighbours: Neighbour[] = []
  /** Grows with every change: who keeps answers knows when they are old. */
  version = 0
  readonly #listeners = new Set<Listener>()
  /** Told of every change of a route: for invariants. */
  onRoute: (change: 'add' | 'replace' | 'delete', route: Route, byRequest: boolean) => void = () => {}
  answers: Answers = () => true

  get links(): readonly Link[] {
    return this.#links
  }
  get addresses(): readonly InterfaceAddress[] {
    return this.#addresses
  }
  get routes(): readonly Route[] {
    return this.#routes
  }
  get neighbours(): readonly Neighbour[] {
    return this.#neighbours
  }

  watch(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  addLink(link: Link): void {
    this.#links.push(link)
    this.#tell('link')
  }

  /** Carrier or administration: routes over a link that goes go with it, without a word on each. */
  setLink(index: number, change: { readonly up?: boolean; readonly carrier?: boolean; readonly mtu?: number }): void {
    const before = this.#links.find(link => link.index === index)
    if (before === undefined) return
    const after = { ...before, ...change, carrier: (change.carrier ?? before.carrier) && (change.up ?? before.up) }
    this.#links = this.#links.map(link => (link.index === index ? after : link))
    if (before.up && !after.up) {
      this.#dropRoutes(route => route.nextHops.some(hop => hop.interface === index), false)
      this.#neighbours = this.#neighbours.filter(one => one.interface !== index)
    }
    if (!before.up && after.up) {
      for (const address of this.#addresses) if (address.interface === index) this.#connect(address)
    }
    this.#tell('link')
  }

  addAddress(index: number, address: string, prefixLength: number): number {
    if (this.#addresses.some(one => one.interface === index && one.address === address)) return ERRNO.EEXIST
    const scope = address.startsWith('127.') ? RT_SCOPE.HOST : RT_SCOPE.UNIVERSE
    const added: InterfaceAddress = {
      family: 'ipv4',
      address,
      prefixLength,
      interface: index,
      scope,
      flags: IFA_F.PERMANENT,
    }
    this.#addresses.push(added)
    if (this.#links.find(link => link.index === index)?.up === true) this.#connect(added)
    this.#tell('address')
    return 0
  }

  /** With the last one of a link all routes over it go. */
  removeAddress(index: number, address: string): number {
    const gone = this.#addresses.find(one => one.interface === index && one.address === address)
    if (gone === undefined) return ERRNO.EADDRNOTAVAIL
    this.#addresses = this.#addresses.filter(one => one !== gone)
    const network = networkOf(`${gone.address}/${gone.prefixLength}`)
    const isConnected = (route: Route) =>
      route.protocol === RTPROT.KERNEL && route.destination === network && route.nextHops[0]?.interface === index
    const isLast = !this.#addresses.some(one => one.interface === index)
    this.#dropRoutes(
      route => isConnected(route) || (isLast && route.nextHops.some(hop => hop.interface === index)),
      true,
    )
    this.#tell('address')
    return 0
  }

  /** RTM_NEWROUTE with NLM_F_CREATE and EXCL, or REPLACE. The errno, 0 when it was done. */
  writeRoute(request: RouteRequest, mode: 'add' | 'replace'): number {
    const type = request.type ?? 'unicast'
    const hops = this.#resolve(type, request.nextHops)
    if (typeof hops === 'number') return hops
    const { destination, table, protocol, scope, priority } = request
    const route: Route = {
      family: 'ipv4',
      destination,
      table,
      protocol,
      scope,
      type,
      priority,
      nextHops: hops,
      flags: 0,
    }
    const at = this.#routes.findIndex(
      other => other.destination === destination && other.table === table && other.priority === priority,
    )
    if (at >= 0 && mode === 'add') return ERRNO.EEXIST
    if (at >= 0) this.#routes = this.#routes.map((other, index) => (index === at ? route : other))
    else this.#insert(route)
    this.onRoute(at >= 0 ? 'replace' : 'add', route, true)
    this.#tell('route', { route, isGone: false })
    return 0
  }

  deleteRoute(request: RouteRequest): number {
    // those of one destination stand in the order of their priority
    const inOrder = this.#routes.toSorted((a, b) => a.priority - b.priority)
    const gone = inOrder.find(
      route =>
        route.destination === request.destination &&
        route.table === request.table &&
        (request.protocol === 0 || route.protocol === request.protocol) &&
        (request.priority === 0 || route.priority === request.priority) &&
        (request.type === undefined || route.type === request.type) &&
        (request.scope === RT_SCOPE.NOWHERE || route.scope === request.scope) &&
        (request.nextHops.length === 0 || sameHops(route.nextHops, request.nextHops)),
    )
    if (gone === undefined) return ERRNO.ESRCH
    this.#routes = this.#routes.filter(route => route !== gone)
    this.onRoute('delete', gone, true)
    this.#tell('route', { route: gone, isGone: true })
    return 0
  }

  /** Somebody types `ip route del`. */
  removeByHand(route: Route): void {
    this.#routes = this.#routes.filter(other => other !== route)
    this.#tell('route', { route, isGone: true })
  }

  /** The route that a packet to `address` takes, or the errno that says why there is none. */
  lookup(address: string): Route | number {
    const own = this.#addresses.find(one => one.address === address)
    if (own !== undefined) return localRoute(own)
    const found = this.#routes
      .filter(route => route.table === RT_TABLE.MAIN && covers(route.destination, address))
      .filter(route => route.type !== 'unicast' || route.nextHops.some(hop => this.#isUp(hop.interface)))
      .toSorted((a, b) => lengthOf(b) - lengthOf(a) || a.priority - b.priority)[0]
    if (found === undefined) return ERRNO.ENETUNREACH
    if (found.type === 'unreachable') return ERRNO.EHOSTUNREACH
    return found
  }

  /** A packet for `address` asks who has it: what comes of that stands in the table then. */
  probe(address: string, index: number): void {
    const state = this.answers(address, index) ? NUD.REACHABLE : NUD.FAILED
    const hardwareAddress = state === NUD.REACHABLE ? '02:00:00:00:00:01' : ''
    this.#neighbours = [
      ...this.#neighbours.filter(one => one.address !== address || one.interface !== index),
      { family: 'ipv4', address, interface: index, hardwareAddress, state, flags: 0 },
    ]
    this.version++
  }

  #resolve(type: RouteType, hops: readonly NextHop[]): readonly NextHop[] | number {
    if (type !== 'unicast') return []
    if (hops.length === 0) return ERRNO.EINVAL
    const resolved: NextHop[] = []
    for (const hop of hops) {
      const link = hop.interface === undefined ? undefined : this.#links.find(one => one.index === hop.interface)
      if (hop.interface !== undefined && link === undefined) return ERRNO.ENODEV
      if (hop.gateway === undefined) {
        if (link !== undefined && !link.up) return ERRNO.ENETDOWN
        resolved.push(hop)
        continue
      }
      const way = this.lookup(hop.gateway)
      const onLink = typeof way !== 'number' && way.type === 'unicast' && way.nextHops[0]?.gateway === undefined
      const via = onLink ? way.nextHops[0]?.interface : undefined
      if (hop.onlink !== true && (via === undefined || (hop.interface !== undefined && via !== hop.interface)))
        return ERRNO.ENETUNREACH
      resolved.push({ ...hop, interface: hop.interface ?? via ?? 0 })
    }
    return resolved
  }

  #isUp(index: number | undefined): boolean {
    return this.#links.find(link => link.index === index)?.up === true
  }

  #connect({ address, prefixLength, interface: index }: InterfaceAddress): void {
    const destination = networkOf(`${address}/${prefixLength}`)
    if (destination === undefined || prefixLength === 32) return
    const route: Route = {
      family: 'ipv4',
      destination,
      table: RT_TABLE.MAIN,
      protocol: RTPROT.KERNEL,
      scope: RT_SCOPE.LINK,
      type: 'unicast',
      priority: 0,
      preferredSource: address,
      nextHops: [{ interface: index }],
      flags: 0,
    }
    this.#insert(route)
  }

  #insert(route: Route): void {
    this.#routes = [...this.#routes, route]
  }

  #dropRoutes(isGone: (route: Route) => boolean, isTold: boolean): void {
    const gone = this.#routes.filter(isGone)
    if (gone.length === 0) return
    this.#routes = this.#routes.filter(route => !isGone(route))
    this.version++
    for (const route of gone) {
      this.onRoute('delete', route, false)
      if (isTold) this.#tell('route', { route, isGone: true })
    }
  }

  #tell(kind: ChangeKind, of?: RouteChange): void {
    this.version++
    for (const listener of [...this.#listeners]) listener(kind, of)
  }
}

function localRoute({ address, interface: index }: InterfaceAddress): Route {
  return {
    family: 'ipv4',
    destination: hostPrefix(address),
    table: RT_TABLE.LOCAL,
    protocol: RTPROT.KERNEL,
    scope: RT_SCOPE.HOST,
    type: 'local',
    priority: 0,
    preferredSource: address,
    nextHops: [{ interface: index }],
    flags: 0,
  }
}

function lengthOf({ destination }: Route): number {
  return Number(destination.slice(destination.indexOf('/') + 1))
}

function sameHops(a: readonly NextHop[], b: readonly NextHop[]): boolean {
  return (
    a.length === b.length &&
    b.every(hop =>
      a.some(
        other => other.gateway === hop.gateway && (hop.interface === undefined || other.interface === hop.interface),
      ),
    )
  )
}
