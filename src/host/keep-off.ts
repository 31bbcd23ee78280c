/**
 * What keeps the network programs of a machine off what is not theirs: pods' interfaces, elastic
 * network interfaces that pods get, and rules and routes. They would take addresses and routes away
 * that they know nothing of, and give addresses of pods to the machine itself. Written by `install`
 * where a program has its folder; it counts from the program's next start or reload on. Pure.
 */
import type { Config } from '../config/schema.ts'
import type { SeenCloud } from './seen-machine.ts'

export interface KeepOffFile {
  /** There where the program is. */
  readonly folder: string
  readonly path: string
  readonly text: string
}

/** 13 characters, as pods' interfaces have; both programs know these wildcards. */
const NAMES = `te${'?'.repeat(11)}`
const NETWORKD_FOLDER = '/etc/systemd/network'
const HEAD = `# Written by terway-edge install: interfaces of pods are its own.\n`

export const KEEP_OFF_FILES: readonly KeepOffFile[] = [
  {
    folder: NETWORKD_FOLDER,
    path: `${NETWORKD_FOLDER}/05-terway-edge.network`,
    text: `${HEAD}[Match]\nName=${NAMES}\nDriver=veth\n\n[Link]\nUnmanaged=yes\n`,
  },
  {
    folder: '/etc/NetworkManager/conf.d',
    path: '/etc/NetworkManager/conf.d/terway-edge.conf',
    text: `${HEAD}[keyfile]\nunmanaged-devices+=interface-name:${NAMES}\n`,
  },
  {
    // without it a start of networkd deletes every rule and route that is in none of its files
    folder: NETWORKD_FOLDER,
    path: '/etc/systemd/networkd.conf.d/terway-edge.conf',
    text: `${HEAD}[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n`,
  },
]

const ENI_HEAD = '# Written by terway-edge install: elastic network interfaces of pods are its own.\n'
/** By which networkd's file knows what udev's rule has found. */
const PROPERTY = 'TERWAY_EDGE_ENI'
const UDEV_FOLDER = '/etc/udev/rules.d'
const UDEV_RULE = `${UDEV_FOLDER}/71-terway-edge.rules`
const ENI_NETWORK = `${NETWORKD_FOLDER}/05-terway-edge-eni.network`
const CLOUD_INIT_FOLDER = '/etc/cloud/cloud.cfg.d'
const CLOUD_INIT = `${CLOUD_INIT_FOLDER}/99-terway-edge.cfg`
/** Of systemd: before it, `Property=` is unknown, and the file would match every interface. */
const PROPERTY_SINCE = 243

/** Folders of the programs that would configure an elastic network interface. */
export const ENI_FOLDERS: readonly string[] = [UDEV_FOLDER, NETWORKD_FOLDER, CLOUD_INIT_FOLDER]
/** Where networkd is, if it is there at all. */
export const NETWORKD: readonly string[] = ['/usr/lib/systemd/systemd-networkd', '/lib/systemd/systemd-networkd']
export const ENI_FILES: readonly string[] = [UDEV_RULE, ENI_NETWORK, CLOUD_INIT]

/** Whether interfaces are plugged into this machine that pods get. */
export function getsInterfaces(mode: Config['mode'], cloud: SeenCloud | undefined): boolean {
  return mode === 'auto' ? /^Alibaba/i.test(cloud?.vendor ?? '') : mode !== 'route'
}

/**
 * For elastic network interfaces, which come and go while the machine runs and are named in any
 * order: udev's rule marks those of the cloud's kind whose MAC the machine did not have itself when
 * it was made a node; NetworkManager and newer versions of networkd obey the mark, others by a
 * file.
 */
export function eniKeepOffFiles({ own, systemd }: Pick<SeenCloud, 'own' | 'systemd'>): readonly KeepOffFile[] {
  if (own.length === 0) return []
  const kinds = [...new Set(own.map(mac => `${mac.slice(0, 8)}:*`))].sort()
  const marks = `ENV{NM_UNMANAGED}="1", ENV{ID_NET_MANAGED_BY}="terway-edge", ENV{${PROPERTY}}="1"`
  const others = own.map(mac => `ATTR{address}!="${mac}"`).join(', ')
  const rules = kinds.map(kind => `SUBSYSTEM=="net", ACTION!="remove", ATTR{address}=="${kind}", ${others}, ${marks}\n`)
  const file = {
    folder: NETWORKD_FOLDER,
    path: ENI_NETWORK,
    text: `${ENI_HEAD}[Match]\nProperty=${PROPERTY}=1\n\n[Link]\nUnmanaged=yes\n`,
  }
  return [
    { folder: UDEV_FOLDER, path: UDEV_RULE, text: `${ENI_HEAD}${rules.join('')}` },
    ...((systemd ?? 0) >= PROPERTY_SINCE ? [file] : []),
    {
      folder: CLOUD_INIT_FOLDER,
      path: CLOUD_INIT,
      text: `${ENI_HEAD}updates:\n  network:\n    when: [boot-new-instance]\n`,
    },
  ]
}

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
