/**
 * The prefixes that the rows of the matrix announce: two podCIDRs of two nodes, and one of IPv6.
 */
export const FIRST = { prefix: '10.0.1.0/25', nextHop: '10.9.0.11' }
export const SECOND = { prefix: '10.0.2.0/25', nextHop: '10.9.0.12' }
export const SIXTH = { prefix: 'fd01:1::/64', nextHop: 'fd00:9::11' }

export const IPV4 = [FIRST, SECOND]
export const IPV4_ROUTES = { '10.0.1.0/25': '10.9.0.11', '10.0.2.0/25': '10.9.0.12' }
export const IPV6 = [SIXTH]
export const IPV6_ROUTES = { 'fd01:1::/64': 'fd00:9::11' }
export const ALL = [...IPV4, ...IPV6]
export const ALL_ROUTES = { ...IPV4_ROUTES, ...IPV6_ROUTES }
