/**
 * How the host's ends of pods' interfaces are told from other links: by those who make and keep
 * them (cni/), who look past them (agent/) and who write rules about them (firewall/). Pure.
 */

/** Their names: `te` and 11 hexadecimal digits. Others' names may begin so too (`team0`). */
export const POD_INTERFACE_PATTERN = /^te[0-9a-f]{11}$/
/** For rules of iptables' kind, which know no groups. */
export const POD_INTERFACE_PREFIX = 'te'
/**
 * The group of links (`ip link show group …`) of pods that may send from their own addresses alone;
 * those that may send from any have the next number.
 */
export const POD_GROUP = 29797
export const ANY_SOURCE_GROUP = POD_GROUP + 1
