/**
 * What decides how messages are read, besides their octets: the options of a caller, or what the
 * two OPENs of a captured connection say. Each holds for one direction: what a side may send
 * depends for some options on the other's word alone. Pure.
 */
import { Reader } from '../../lib/bytes.ts'
import { FAMILIES, type Family } from '../../lib/ip.ts'
import { findCapability } from '../codec/capabilities.ts'
import type { AddressFamily, Capability, CodecContext, Open } from '../codec/message-types.ts'
import { addressFamilyOf, familyOfAfi } from '../codec/nlri.ts'
import { Afi, nameOf, OtherCapabilityCode } from '../codec/registry.ts'

export interface ReportOptions {
  readonly as2: boolean
  readonly ibgp: boolean
  readonly families: readonly Family[]
  readonly extendedMessages: boolean
  /** Default: on. */
  readonly extendedNextHop?: boolean
  readonly addPath?: readonly Family[]
  readonly orf?: boolean
}

export interface ReportContext extends CodecContext {
  /** ROUTE-REFRESH may hold Outbound Route Filters (RFC 5291): they are shown and not judged. */
  readonly orf: boolean
}

export function reportContext(options: ReportOptions): ReportContext {
  const { as2, ibgp, families, extendedMessages, extendedNextHop = true, addPath = [], orf = false } = options
  const reading = { families, extendedMessages, extendedNextHop, addPath, orf }
  return { fourOctetAs: !as2, ibgp, ...reading, enhancedRouteRefresh: true, keepAs4: true }
}

/** How what `sender` sends is to be read by `receiver`. */
export function negotiatedContext(sender: Open, receiver: Open): ReportContext {
  const both = (kind: Capability['kind']) => offers(sender, kind) && offers(receiver, kind)
  return {
    fourOctetAs: both('four-octet-as'),
    // RFC 8654 section 4, RFC 8950 section 4: who receives has to have said that it can.
    extendedMessages: offers(receiver, 'extended-message'),
    extendedNextHop: takesIPv6NextHops(receiver),
    // RFC 7313 section 5: who sends has to have said that it knows subtypes.
    enhancedRouteRefresh: offers(sender, 'enhanced-route-refresh'),
    ibgp: sender.asNumber === receiver.asNumber,
    families: FAMILIES.filter(family => [sender, receiver].every(open => offersFamily(open, family))),
    addPath: FAMILIES.filter(family => {
      const [ours, theirs] = [addPathOf(sender, family), addPathOf(receiver, family)]
      return (ours & AddPath.send) !== 0 && (theirs & AddPath.receive) !== 0
    }),
    orf: [sender, receiver].every(({ capabilities }) => capabilities.some(isOrf)),
    keepAs4: true,
  }
}

function offers({ capabilities }: Open, kind: Capability['kind']): boolean {
  return findCapability(capabilities, kind) !== undefined
}

/**
 * A speaker without any multiprotocol capability speaks of IPv4 unicast (RFC 4271); one that has
 * some, of those alone.
 */
function offersFamily({ capabilities }: Open, family: Family): boolean {
  const offered = capabilities.filter(capability => capability.kind === 'multiprotocol')
  if (offered.length === 0) return family === 'ipv4'
  return offered.some(capability => familyOfAfi(capability) === family)
}

function takesIPv6NextHops({ capabilities }: Open): boolean {
  const { afi, safi } = addressFamilyOf('ipv4')
  return capabilities.some(
    capability =>
      capability.kind === 'extended-next-hop' &&
      capability.tuples.some(tuple => tuple.afi === afi && tuple.safi === safi && tuple.nextHopAfi === Afi.IPv6),
  )
}

/** RFC 7911 section 4: Send/Receive, a bit each. */
const AddPath = { receive: 1, send: 2 } as const
const SEND_RECEIVE = { receive: 1, send: 2, both: 3 } as const

/**
 * Later instances of the capability add to earlier ones; a value that is not registered is ignored
 * (RFC 7911 section 4).
 */
function addPathOf({ capabilities }: Open, family: Family): number {
  const tuples = capabilities.flatMap(capability => addPathTuples(capability) ?? [])
  const own = tuples.filter(tuple => familyOfAfi(tuple) === family)
  return own.findLast(({ value }) => nameOf(SEND_RECEIVE, value) !== undefined)?.value ?? 0
}

type AddPathTuple = AddressFamily & { readonly value: number; readonly sendReceive: string | null }

/** The tuples of an ADD-PATH capability; undefined when it is another, or malformed. */
export function addPathTuples(capability: Capability): AddPathTuple[] | undefined {
  if (capability.kind !== 'unknown' || capability.code !== OtherCapabilityCode['add-path']) return undefined
  if (capability.value.length % 4 !== 0) return undefined
  const reader = new Reader(capability.value)
  const tuples: AddPathTuple[] = []
  while (reader.left > 0) {
    const [afi, safi, value] = [reader.u16(), reader.u8(), reader.u8()]
    tuples.push({ afi, safi, value, sendReceive: nameOf(SEND_RECEIVE, value) ?? null })
  }
  return tuples
}

/** RFC 5291 section 4, and the number that was in use before it had one. */
function isOrf(capability: Capability): boolean {
  if (capability.kind !== 'unknown') return false
  const { 'outbound-route-filtering': code, 'outbound-route-filtering-prestandard': former } = OtherCapabilityCode
  return capability.code === code || capability.code === former
}
