/**
 * An imitation of kube-proxy's nftables mode for tests on machines that have no kube-proxy of 1.29
 * or later: a table `ip kube-proxy` with base chains on the hooks, with the types and priorities,
 * that its documentation names, verdict maps for Services, a mark for what is masqueraded. It shows
 * how our rules go with rules of that shape; what a particular release really writes it cannot
 * show.
 */

export interface ProxiedService {
  readonly name: string
  readonly clusterIP: string
  readonly nodePort: number
  /** The one pod behind it. */
  readonly endpoint: string
}

const PORT = 80
const TARGET_PORT = 8080

export function proxyRuleset(input: {
  readonly nodeAddress: string
  readonly podCIDR: string
  readonly serviceCIDR: string
  readonly services: readonly ProxiedService[]
}): string {
  const { nodeAddress, podCIDR, serviceCIDR, services } = input
  const elements = (each: (service: ProxiedService) => string) => services.map(each).join(', ')
  return `table ip kube-proxy {
  set cluster-ips { type ipv4_addr; elements = { ${elements(({ clusterIP }) => clusterIP)} }; }
  set nodeport-ips { type ipv4_addr; elements = { ${nodeAddress} }; }
  map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict
    elements = { ${elements(one => `${one.clusterIP} . tcp . ${PORT} : goto ${chain('service', one)}`)} }; }
  map service-nodeports { type inet_proto . inet_service : verdict
    elements = { ${elements(one => `tcp . ${one.nodePort} : goto ${chain('external', one)}`)} }; }

  chain mark-for-masquerade { meta mark set meta mark | 0x4000; }
  chain masquerading {
    meta mark & 0x4000 == 0 return
    meta mark set meta mark ^ 0x4000
    masquerade fully-random
  }
  chain no-endpoints { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
  chain undefined-cluster-ips {
    ip daddr @cluster-ips reject
    ip daddr ${serviceCIDR} drop
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }
${services.map(service => serviceChains(service, podCIDR)).join('')}
  chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
  chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading; }
  chain filter-prerouting { type filter hook prerouting priority dstnat - 10; }
  chain filter-input { type filter hook input priority filter; ct state new jump no-endpoints; }
  chain filter-forward {
    type filter hook forward priority filter
    ct state new jump no-endpoints
    ct state new jump undefined-cluster-ips
  }
  chain filter-output {
    type filter hook output priority filter
    ct state new jump no-endpoints
    ct state new jump undefined-cluster-ips
  }
}
`
}

function serviceChains(service: ProxiedService, podCIDR: string): string {
  const { clusterIP, endpoint } = service
  return `
  chain ${chain('endpoint', service)} {
    ip saddr ${endpoint} jump mark-for-masquerade
    meta l4proto tcp dnat to ${endpoint}:${TARGET_PORT}
  }
  chain ${chain('service', service)} {
    ip daddr ${clusterIP} ip saddr != ${podCIDR} jump mark-for-masquerade
    numgen random mod 1 vmap { 0 : goto ${chain('endpoint', service)} }
  }
  chain ${chain('external', service)} {
    jump mark-for-masquerade
    goto ${chain('service', service)}
  }
`
}

/** With slashes, as theirs have. */
function chain(kind: 'service' | 'external' | 'endpoint', { name }: ProxiedService): string {
  return `${kind}-default/${name}/tcp/http`
}
