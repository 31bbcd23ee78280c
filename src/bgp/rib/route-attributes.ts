/**
 * The path attributes of what we announce (RFC 4271 section 5.1): ORIGIN IGP; AS_PATH of our AS to
 * an eBGP peer and empty to an iBGP peer; the announcement's next hop as it is, the owning node
 * (third party, section 5.1.3); LOCAL_PREF to iBGP only; ONLY_TO_CUSTOMER where our role asks for
 * it (RFC 9234 section 5). Pure.
 */
import { fieldsOf, nothingLeft, present } from '../../lib/fields.ts'
import { addressBytes, type Family, familyOf } from '../../lib/ip.ts'
import type { AdvertisedRoute } from '../../model/session.ts'
import type { PathAttributes, RouteGroup } from '../codec/message-types.ts'
import type { Announcement } from '../speaker-types.ts'

/** Announcements with equal attributes share one of these, so that identity compares them. */
export interface AttributeSet {
  readonly key: string
  /** One of those that have these attributes; its prefix means nothing. */
  readonly announcement: Announcement
}

/** RFC 4271 section 5.1.5 leaves the value open; 100 is what every implementation uses. */
const LOCAL_PREF = 100

/**
 * The fields of an announcement that become path attributes: those in which two that share an
 * UPDATE are alike. A field that is not here does not compile.
 */
const ATTRIBUTE_FIELDS = fieldsOf<Omit<Announcement, 'prefix' | 'nextHop'>, true>({
  med: true,
  localPref: true,
  communities: true,
  largeCommunities: true,
})

/**
 * Equal for announcements that can share an UPDATE: the next hop and all attributes, and the family
 * of the prefix.
 */
export function attributeKey(announcement: Announcement): string {
  const texts = ATTRIBUTE_FIELDS.map(field => String(announcement[field] ?? ''))
  return [familyOf(announcement.prefix), announcement.nextHop, ...texts].join(' ')
}

/**
 * Whether two have the same attributes but for the next hop. No list and an empty one are the same.
 */
export function sameAttributes(a: Announcement, b: Announcement): boolean {
  for (const field of ATTRIBUTE_FIELDS) {
    const [one, other] = [a[field], b[field]]
    if (one !== other && !sameTexts(one, other)) return false
  }
  return true
}

type AttributeValue = Announcement[(typeof ATTRIBUTE_FIELDS)[number]]

function sameTexts(a: AttributeValue, b: AttributeValue): boolean {
  if (typeof a === 'number' || typeof b === 'number') return false
  return (a ?? []).length === (b ?? []).length && (a ?? []).every((text, index) => text === b?.[index])
}

/**
 * Whether a prefix can be announced with this next hop: its own family, or IPv4 over IPv6 if
 * negotiated (RFC 8950).
 */
export function usableNextHop(family: Family, nextHop: string, extendedNextHop: boolean): boolean {
  const of = familyOf(nextHop)
  return of === family || (family === 'ipv4' && of === 'ipv6' && extendedNextHop)
}

/** The next hop and attributes of a set, for `packUpdates`. */
export function routeAttributes(
  set: AttributeSet,
  to: { readonly localAs: number; readonly ibgp: boolean; readonly onlyToCustomer?: boolean },
): Pick<RouteGroup, 'nextHop' | 'attributes'> {
  const { prefix: _, nextHop, med, localPref, communities, largeCommunities, ...rest } = set.announcement
  nothingLeft(rest)
  const attributes: PathAttributes = {
    ORIGIN: 'IGP',
    AS_PATH: to.ibgp ? [] : [{ type: 'AS_SEQUENCE', asNumbers: [to.localAs] }],
    ...(med !== undefined && { MULTI_EXIT_DISC: med }),
    ...(to.ibgp && { LOCAL_PREF: localPref ?? LOCAL_PREF }),
    ...(communities !== undefined && communities.length > 0 && { COMMUNITIES: communities }),
    ...(largeCommunities !== undefined && largeCommunities.length > 0 && { LARGE_COMMUNITIES: largeCommunities }),
    ...(to.onlyToCustomer === true && { ONLY_TO_CUSTOMER: to.localAs }),
  }
  return { nextHop: addressBytes(nextHop), attributes }
}

/** A prefix with what was sent for it, for people. */
export function advertisedRoute(
  prefix: string,
  set: AttributeSet,
  to: Parameters<typeof routeAttributes>[1],
): AdvertisedRoute {
  const { attributes } = routeAttributes(set, to)
  const { ORIGIN, AS_PATH, MULTI_EXIT_DISC, LOCAL_PREF, COMMUNITIES, LARGE_COMMUNITIES, ONLY_TO_CUSTOMER } = attributes
  return present<AdvertisedRoute>({
    prefix,
    nextHop: set.announcement.nextHop,
    origin: ORIGIN ?? '',
    asPath: AS_PATH?.flatMap(({ asNumbers }) => asNumbers) ?? [],
    med: MULTI_EXIT_DISC,
    localPref: LOCAL_PREF,
    communities: COMMUNITIES,
    largeCommunities: LARGE_COMMUNITIES,
    onlyToCustomer: ONLY_TO_CUSTOMER,
  })
}
