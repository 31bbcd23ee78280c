/**
 * The nftables table by which answers leave as they came: connections that come in by the primary
 * interface are marked, and what pods answer on them bears the mark while it is routed. Without it
 * the answer of a pod to a NodePort or hostPort of its own node would leave by the pod's interface,
 * with the node's address as source, which the cloud drops. And nothing else from or to a pod
 * leaves by the primary interface, for the moment in which a rule is missing because somebody took
 * it. Pure.
 */

export const MARKS_TABLE = 'terway-edge-eni'
const FAMILY = 'inet'
/** Host ends of pods. */
const PODS = '"te*"'

/** Names of interfaces. */
export interface MarkedInterfaces {
  readonly primaries: readonly string[]
  /** For pods. */
  readonly interfaces: readonly string[]
}

/** The script that makes the table whole, in place of any former one. */
export function marksScript({ primaries, interfaces }: MarkedInterfaces, mark: number): string {
  const names = setOf(primaries)
  const bit = `0x${mark.toString(16)}`
  return `${removeMarksScript()}table ${FAMILY} ${MARKS_TABLE} {
  chain prerouting {
    type filter hook prerouting priority -150; policy accept;
    iifname ${names} ct state new ct mark set ct mark or ${bit}
    iifname ${PODS} iifname != ${names} ct mark and ${bit} == ${bit} meta mark set meta mark or ${bit}
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname ${PODS} iifname != ${names} oifname ${names} meta mark and ${bit} != ${bit} counter drop
${interfaces.length === 0 ? '' : `    iifname ${setOf(interfaces)} oifname ${names} counter drop\n`}  }
}
`
}

function setOf(names: readonly string[]): string {
  return `{ ${names.map(name => JSON.stringify(name)).join(', ')} }`
}

/** Removes the table, whether or not there is one. */
export function removeMarksScript(): string {
  return `add table ${FAMILY} ${MARKS_TABLE}\ndelete table ${FAMILY} ${MARKS_TABLE}\n`
}
