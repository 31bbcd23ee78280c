/**
 * What keeps the network programs of a machine off pods' interfaces: they would take addresses and
 * routes away that they know nothing of. Written by `install` where a program has its folder; it
 * counts from the program's next start or reload on. Pure.
 */
export interface KeepOffFile {
  /** There where the program is. */
  readonly folder: string
  readonly path: string
  readonly text: string
}

/** 13 characters, as pods' interfaces have; both programs know these wildcards. */
const NAMES = `te${'?'.repeat(11)}`
const HEAD = `# Written by terway-edge install: interfaces of pods are its own.\n`

export const KEEP_OFF_FILES: readonly KeepOffFile[] = [
  {
    folder: '/etc/systemd/network',
    path: '/etc/systemd/network/05-terway-edge.network',
    text: `${HEAD}[Match]\nName=${NAMES}\nDriver=veth\n\n[Link]\nUnmanaged=yes\n`,
  },
  {
    folder: '/etc/NetworkManager/conf.d',
    path: '/etc/NetworkManager/conf.d/terway-edge.conf',
    text: `${HEAD}[keyfile]\nunmanaged-devices+=interface-name:${NAMES}\n`,
  },
]

/** A file of a program that knows no folder of such files: its lines are added to it. */
export const DHCPCD_CONF = '/etc/dhcpcd.conf'
/** First in the file, for what follows `interface NAME` there is about that one alone. */
const DHCPCD_LINES = `${HEAD}denyinterfaces ${NAMES}\n`

/** The text of dhcpcd.conf with our lines. */
export function withKeepOff(text: string): string {
  return text.startsWith(DHCPCD_LINES) ? text : `${DHCPCD_LINES}${withoutKeepOff(text)}`
}

/** And without them, wherever somebody has moved them. */
export function withoutKeepOff(text: string): string {
  return text.replace(DHCPCD_LINES, '')
}
