/**
 * Looks for duplicate addresses in the network namespace that it runs in: the peer's address as its
 * argument, the checks on stdout.
 */
import { duplicateChecks } from '../../src/doctor/duplicates.ts'
import { observeDuplicates } from '../../src/doctor/lan.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import { bgpPeer } from '../support/cluster.ts'

const [peerIP = ''] = process.argv.slice(2)
const netlink = Rtnetlink.open()
const links = netlink.dumpLinks()
const uplink = links.find(({ name }) => name === 'eth0')
const facts = await observeDuplicates({
  clock: systemClock,
  observed: { links, addresses: netlink.dumpAddresses(), defaultGateways: { ipv4: [], ipv6: [] } },
  uplink,
  peers: [bgpPeer('lan', { peerIP })],
  onLink: new Map([[peerIP, uplink?.index ?? 0]]),
})
console.log(JSON.stringify(duplicateChecks(facts)))
