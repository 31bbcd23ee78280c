/**
 * Configurations of the lab's routers: what the operator of a real switch would write (the documented step "Configure external network
 * devices"). Both speakers of the LAN are neighbours, only pod CIDRs are accepted from them and nothing is sent to them; graceful restart
 * is honoured for as long as the speaker asks (600 s). IPv6 goes over the same sessions (RFC 4760). Pure.
 */
import type { LabPlan, LanPlan, LinkEnd } from './plan.ts'
import { POD_POOL, POD_POOL6, VPC_CIDR, VPC_CIDR6 } from './plan.ts'

interface Neighbour {
  readonly name: string
  readonly local: LinkEnd
  readonly address: string
  readonly asNumber: number
  readonly password?: string
  readonly role: 'speaker' | 'router'
}

/** Everybody that a LAN's switch speaks to: the other switch, the border router, the LAN's speakers. */
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
  const filters = (pool: string) =>
    role === 'speaker'
      ? `import where net ~ [ ${pool}+ ]; export none;`
      : 'import all; export where source ~ [ RTS_BGP, RTS_DEVICE, RTS_STATIC ];'
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

function birdHead({ address, address6 }: LinkEnd): string {
  const kernel = (family: string) =>
    `protocol kernel { ${family} { import none; export where source ~ [ RTS_BGP, RTS_STATIC ]; }; }\n`
  const ipv6 = address6 === undefined ? '' : kernel('ipv6')
  return `log stderr all;\nrouter id ${address};\nprotocol device { }\n${kernel('ipv4')}${ipv6}`
}

/** bird.conf of a LAN's switch. */
export function birdSwitchConfig(plan: LabPlan, lan: LanPlan): string {
  const ipv6 = lan.cidr6 === undefined ? '' : ' ipv6;'
  const neighbours = neighboursOf(plan, lan).map(neighbour => birdNeighbour(neighbour, lan.switch.asNumber))
  return `${birdHead(lan.switch)}protocol direct { ipv4;${ipv6} interface "lan"; }\n${neighbours.join('')}`
}

/** bird.conf of the border router: announces the VPC, whatever is behind it. */
export function birdBorderConfig(plan: LabPlan): string {
  const { border } = plan
  const neighbours = plan.lans.map((lan, index) =>
    birdNeighbour(
      {
        name: `switch_${lan.id}`,
        local: border.links[index === 0 ? 0 : 1],
        address: lan.switch.border.address,
        asNumber: lan.switch.asNumber,
        role: 'router',
      },
      border.asNumber,
    ),
  )
  const vpc = (family: string, cidr: string) => `protocol static { ${family}; route ${cidr} unreachable; }\n`
  const vpc6 = border.vpc.address6 === undefined ? '' : vpc('ipv6', VPC_CIDR6)
  return `${birdHead(border.vpc)}${vpc('ipv4', VPC_CIDR)}${vpc6}${neighbours.join('')}`
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
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
${sessions.join('\n')}
${frrFamily('ipv4', lan.cidr, neighbours)}${lan.cidr6 === undefined ? '' : frrFamily('ipv6', lan.cidr6, neighbours)}exit
ip prefix-list pods seq 5 permit ${POD_POOL} le 32
ip prefix-list nothing seq 5 deny any
ipv6 prefix-list pods seq 5 permit ${POD_POOL6} le 128
ipv6 prefix-list nothing seq 5 deny any
`
}

function frrFamily(family: 'ipv4' | 'ipv6', cidr: string, neighbours: readonly Neighbour[]): string {
  const lines = neighbours.flatMap(({ address, role }) => [
    `  neighbor ${address} activate`,
    ...(role === 'router'
      ? []
      : [`  neighbor ${address} prefix-list pods in`, `  neighbor ${address} prefix-list nothing out`]),
  ])
  return ` address-family ${family} unicast\n  network ${cidr}\n${lines.join('\n')}\n exit-address-family\n`
}
