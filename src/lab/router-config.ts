/**
 * Configurations of the lab's routers: what the operator of a real switch would write (the
 * documented step "Configure external network devices"). Both speakers of the LAN are neighbours,
 * pod CIDRs are accepted from them and nothing is sent to them; graceful restart is honoured for as
 * long as the speaker asks (600 s). Between the routers BGP carries pod CIDRs alone: the ways to
 * LANs and VPC are static (topology.ts), so that nodes reach the API server also while a switch's
 * BGP is down. IPv6 goes over the same sessions (RFC 4760). Pure.
 */
import type { LabPlan, LanPlan, LinkEnd } from './plan.ts'
import { POD_POOL, POD_POOL6 } from './plan.ts'

interface Neighbour {
  readonly name: string
  readonly local: LinkEnd
  readonly address: string
  readonly asNumber: number
  readonly password?: string
  readonly role: 'speaker' | 'router'
}

/**
 * Everybody that a LAN's switch speaks to: the other switch, the border router, the LAN's speakers.
 */
function neighboursOf(plan: LabPlan, lan: LanPlan): readonly Neighbour[] {
  const { switch: device } = lan
  const [other, link] =
    lan.id === 'a' ? [plan.lans[1].switch, plan.border.links[0]] : [plan.lans[0].switch, plan.border.links[1]]
  return [
    { name: 'core', local: device.core, address: other.core.address, asNumber: other.asNumber, role: 'router' },
    { name: 'border', local: device.border, address: link.address, asNumber: plan.border.asNumber, role: 'router' },
    ...lan.speakers.map(
      (node, index): Neighbour => ({
        name: `speaker_${index + 1}`,
        local: device,
        address: node.address,
        asNumber: lan.localAsNumber,
        ...(lan.password === undefined ? {} : { password: lan.password }),
        role: 'speaker',
      }),
    ),
  ]
}

function birdNeighbour({ name, local, address, asNumber, password, role }: Neighbour, ownAsNumber: number): string {
  const filters = (pool: string) => {
    const pods = `where net ~ [ ${pool}+ ]`
    return `import ${pods}; export ${role === 'router' ? pods : 'none'};`
  }
  const ipv6 = local.address6 === undefined ? '' : `\n  ipv6 { ${filters(POD_POOL6)} };`
  return `protocol bgp ${name} {
  local ${local.address} as ${ownAsNumber};
  neighbor ${address} as ${asNumber};
  ${password === undefined ? '' : `password "${password}";`}
  graceful restart aware;
  connect delay time 1;
  connect retry time 5;
  error wait time 2, 10;
  ipv4 { ${filters(POD_POOL)} };${ipv6}
}
`
}

function birdConfig({ address, address6 }: LinkEnd, asNumber: number, neighbours: readonly Neighbour[]): string {
  const families = address6 === undefined ? ['ipv4'] : ['ipv4', 'ipv6']
  const kernels = families.map(family => `protocol kernel { ${family} { import none; export all; }; }\n`)
  const sessions = neighbours.map(neighbour => birdNeighbour(neighbour, asNumber))
  return `log stderr all;\nrouter id ${address};\nprotocol device { }\n${kernels.join('')}${sessions.join('')}`
}

/** bird.conf of a LAN's switch. */
export function birdSwitchConfig(plan: LabPlan, lan: LanPlan): string {
  return birdConfig(lan.switch, lan.switch.asNumber, neighboursOf(plan, lan))
}

/** bird.conf of the border router. */
export function birdBorderConfig(plan: LabPlan): string {
  const { border } = plan
  const neighbours = plan.lans.map(
    (lan, index): Neighbour => ({
      name: `switch_${lan.id}`,
      local: border.links[index === 0 ? 0 : 1],
      address: lan.switch.border.address,
      asNumber: lan.switch.asNumber,
      role: 'router',
    }),
  )
  return birdConfig(border.vpc, border.asNumber, neighbours)
}

/** The configuration of bgpd in a LAN's switch; zebra needs none. */
export function frrSwitchConfig(plan: LabPlan, lan: LanPlan): string {
  const { switch: device } = lan
  const neighbours = neighboursOf(plan, lan)
  const sessions = neighbours.flatMap(({ address, asNumber, password }) => [
    ` neighbor ${address} remote-as ${asNumber}`,
    ` neighbor ${address} timers connect 5`,
    ...(password === undefined ? [] : [` neighbor ${address} password ${password}`]),
  ])
  return `frr defaults traditional
hostname ${device.name}
log stdout informational
router bgp ${device.asNumber}
 bgp router-id ${device.address}
 no bgp default ipv4-unicast
${sessions.join('\n')}
${frrFamily('ipv4', neighbours)}${lan.cidr6 === undefined ? '' : frrFamily('ipv6', neighbours)}exit
ip prefix-list pods seq 5 permit ${POD_POOL} le 32
ip prefix-list nothing seq 5 deny any
ipv6 prefix-list pods seq 5 permit ${POD_POOL6} le 128
ipv6 prefix-list nothing seq 5 deny any
`
}

function frrFamily(family: 'ipv4' | 'ipv6', neighbours: readonly Neighbour[]): string {
  const lines = neighbours.flatMap(({ address, role }) => [
    `  neighbor ${address} activate`,
    `  neighbor ${address} prefix-list pods in`,
    `  neighbor ${address} prefix-list ${role === 'router' ? 'pods' : 'nothing'} out`,
  ])
  return ` address-family ${family} unicast\n${lines.join('\n')}\n exit-address-family\n`
}
