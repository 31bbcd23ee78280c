/**
 * Which program of a machine looks after an interface, as far as it says so in its files:
 * systemd-networkd and NetworkManager in their state, DHCP clients by their leases, ifupdown by its
 * list of what it has brought up. Where networkd's file was written by netplan or cloud-init, that
 * is who to tell. Pure: files are read by who asks.
 */

/** Undefined: none says so. `read` gives a file's text, or undefined where there is none. */
export function managerOf(
  { index, name }: { readonly index: number; readonly name: string },
  read: (path: string) => string | undefined,
): string | undefined {
  const networkd = read(`/run/systemd/netif/links/${index}`) ?? ''
  const file = /^NETWORK_FILE=(.+)$/m.exec(networkd)?.[1]
  if (file !== undefined && !/^ADMIN_STATE=unmanaged$/m.test(networkd))
    return `systemd-networkd (${file}${authorOf(file)})`
  const manager = read(`/run/NetworkManager/devices/${index}`) ?? ''
  if (/^connection-uuid=/m.test(manager)) return 'NetworkManager'
  const client = LEASES.find(({ paths }) => paths.some(path => read(path.replace('NAME', name)) !== undefined))
  if (client !== undefined) return client.program
  const up = (read('/run/network/ifstate') ?? '').split('\n').map(line => line.split('=')[0])
  if (up.includes(name)) return `ifupdown${cloudInitNames(name, read)}`
  return undefined
}

/** What DHCP clients keep of an interface while they look after it. */
const LEASES: readonly { readonly program: string; readonly paths: readonly string[] }[] = [
  { program: 'dhclient', paths: ['/run/dhclient-NAME.pid', '/run/dhclient.NAME.pid', '/var/run/dhclient-NAME.pid'] },
  { program: 'dhcpcd', paths: ['/run/dhcpcd-NAME.pid', '/run/dhcpcd/NAME.pid'] },
  { program: 'udhcpc', paths: ['/run/udhcpc.NAME.pid'] },
]

function authorOf(file: string): string {
  if (/netplan/.test(file)) return ', of netplan'
  return /cloud-init/.test(file) ? ', of cloud-init' : ''
}

function cloudInitNames(name: string, read: (path: string) => string | undefined): string {
  const file = '/etc/network/interfaces.d/50-cloud-init'
  const lines = (read(file) ?? '').split('\n').map(line => line.trim().split(/\s+/))
  return lines.some(([word, ...names]) => /^(auto|allow-hotplug)$/.test(word ?? '') && names.includes(name))
    ? ` (${file}, of cloud-init)`
    : ''
}
