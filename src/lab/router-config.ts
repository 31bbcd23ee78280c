/**
 * Configurations of the lab's routers: what the operator of a real switch would write (the documented step "Configure external network
 * devices"). Both speakers of the LAN are neighbours, only pod CIDRs are accepted from them and nothing is sent to them; graceful restart
 * is honoured for as long as the speaker asks (600 s). Pure.
 */
import type { LabPlan, LanPlan } from './plan.ts'
import { POD_POOL, VPC_CIDR } from './plan.ts'

interface BirdPeer {
  readonly name: string
  readonly localAddress: string
  readonly address: string
  readonly asNumber: number
  readonly password?: string
  readonly role: 'speaker' | 'router'
}

function birdPeer(peer: BirdPeer, asNumber: number): string {
  const filters =
    peer.role === 'speaker'
      ? `import where net ~ [ ${POD_POOL}+ ]; export none;`
      : 'import all; export where source ~ [ RTS_BGP, RTS_DEVICE, RTS_STATIC ];'
  return `protocol bgp ${peer.name} {
  local ${peer.localAddress} as ${asNumber};
  neighbor ${peer.address} as ${peer.asNumber};
  ${peer.password === undefined ? '' : `password "${peer.password}";`}
  graceful restart aware;
  connect delay time 1;
  connect retry time 5;
  error wait time 2, 10;
  ipv4 { ${filters} };
}
`
}

function birdHead(routerId: string): string {
  return `log stderr all;
router id ${routerId};
protocol device { }
protocol kernel { ipv4 { import none; export where source ~ [ RTS_BGP, RTS_STATIC ]; }; }
`
}

/** The name of a speaker's protocol or description: the router's words allow no more. */
function speakerName(index: number): string {
  return `speaker_${index + 1}`
}

/** bird.conf of a LAN's switch. */
export function birdSwitchConfig(plan: LabPlan, lan: LanPlan): string {
  const { switch: device } = lan
  const other = plan.lans[lan.id === 'a' ? 1 : 0]
  const border = plan.border.addresses[lan.id === 'a' ? 0 : 1]
  const routers: BirdPeer[] = [
    {
      name: 'core',
      localAddress: device.coreAddress,
      address: other.switch.coreAddress,
      asNumber: other.switch.asNumber,
      role: 'router',
    },
    {
      name: 'border',
      localAddress: device.borderAddress,
      address: border,
      asNumber: plan.border.asNumber,
      role: 'router',
    },
  ]
  const speakers = lan.speakers.map(
    (node, index): BirdPeer => ({
      name: speakerName(index),
      localAddress: device.address,
      address: node.address,
      asNumber: lan.localAsNumber,
      ...(lan.password === undefined ? {} : { password: lan.password }),
      role: 'speaker',
    }),
  )
  const peers = [...routers, ...speakers].map(peer => birdPeer(peer, device.asNumber))
  return `${birdHead(device.address)}protocol direct { ipv4; interface "lan"; }\n${peers.join('')}`
}

/** bird.conf of the border router: announces the VPC, whatever is behind it. */
export function birdBorderConfig(plan: LabPlan): string {
  const peers = plan.lans.map((lan, index) =>
    birdPeer(
      {
        name: `switch_${lan.id}`,
        localAddress: plan.border.addresses[index] ?? '',
        address: lan.switch.borderAddress,
        asNumber: lan.switch.asNumber,
        role: 'router',
      },
      plan.border.asNumber,
    ),
  )
  const vpc = `protocol static { ipv4; route ${VPC_CIDR} unreachable; }\n`
  return `${birdHead(plan.border.vpcAddress)}${vpc}${peers.join('')}`
}

/** The configuration of bgpd in a LAN's switch; zebra needs none. */
export function frrSwitchConfig(plan: LabPlan, lan: LanPlan): string {
  const { switch: device } = lan
  const other = plan.lans[lan.id === 'a' ? 1 : 0]
  const border = plan.border.addresses[lan.id === 'a' ? 0 : 1]
  const routers = [
    [other.switch.coreAddress, other.switch.asNumber],
    [border, plan.border.asNumber],
  ] as const
  const speakers = lan.speakers.map(({ address }) => address)
  const neighbors = [
    ...routers.map(([address, asNumber]) => ` neighbor ${address} remote-as ${asNumber}`),
    ...speakers.map(address => ` neighbor ${address} remote-as ${lan.localAsNumber}`),
    ...(lan.password === undefined ? [] : speakers.map(address => ` neighbor ${address} password ${lan.password}`)),
    ...[...routers.map(([address]) => address), ...speakers].map(address => ` neighbor ${address} timers connect 5`),
  ]
  const activate = (address: string) => `  neighbor ${address} activate`
  return `frr defaults traditional
hostname ${device.name}
log stdout informational
router bgp ${device.asNumber}
 bgp router-id ${device.address}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
${neighbors.join('\n')}
 address-family ipv4 unicast
  network ${lan.cidr}
${routers.map(([address]) => activate(address)).join('\n')}
${speakers.map(address => `${activate(address)}\n  neighbor ${address} prefix-list pods in\n  neighbor ${address} prefix-list nothing out`).join('\n')}
 exit-address-family
exit
ip prefix-list pods seq 5 permit ${POD_POOL} le 32
ip prefix-list nothing seq 5 deny any
`
}
