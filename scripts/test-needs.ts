/**
 * What a run of chosen test files needs of the machine, for `scripts/test`: Debian packages, one a
 * line, and the line `executable` when one of them runs the built executable. Derived from the
 * files and what they import below test/: a program's name in quotes is a need for its package.
 *
 *   bun scripts/test-needs.ts [WORD...]    as `scripts/test`: files whose path holds a word
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Programs and paths as tests name them, and the package that brings each. */
const PACKAGE_OF: ReadonlyMap<string, string> = new Map(
  Object.entries({
    arping: 'iputils-arping',
    bgpd: 'openbgpd',
    bird: 'bird2',
    birdc: 'bird2',
    busybox: 'busybox-static',
    chromium: 'chromium',
    conmon: 'conmon',
    conntrack: 'conntrack',
    containerd: 'containerd',
    ctr: 'containerd',
    dbus: 'dbus',
    exabgp: 'exabgp',
    firewalld: 'firewalld',
    frr: 'frr',
    gobgp: 'gobgpd',
    gobgpd: 'gobgpd',
    ip: 'iproute2',
    'iptables-legacy': 'iptables',
    'iptables-nft': 'iptables',
    nft: 'nftables',
    openssl: 'openssl',
    ping: 'iputils-ping',
    podman: 'podman',
    'qemu-aarch64-static': 'qemu-user-static',
    promtool: 'prometheus',
    runc: 'runc',
    strace: 'strace',
    systemctl: 'systemd',
    systemd: 'systemd',
    tcpdump: 'tcpdump',
    ufw: 'ufw',
    vtysh: 'frr',
    zebra: 'frr',
  }),
)

/** Of this one the tests use programs by their path. */
const CNI_FOLDER = '/usr/lib/cni'
const CNI_PACKAGE = 'containernetworking-plugins'

/** All that some test needs; a run of everything installs them together. */
const ALL = [...new Set([...PACKAGE_OF.values(), CNI_PACKAGE])].sort()

/** A test file and what it imports of test/, and of it. */
function closure(file: string, seen: Set<string>): Set<string> {
  if (seen.has(file) || !existsSync(file)) return seen
  seen.add(file)
  for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(/from\s+'(\.[^']+)'/g)) {
    const path = normalize(join(dirname(file), target))
    if (path.startsWith('test/')) closure(path, seen)
  }
  return seen
}

function needsOf(text: string): string[] {
  const quoted = [...text.matchAll(/['"`]([\w-]+)['"`]/g)].map(([, word = '']) => PACKAGE_OF.get(word))
  return [...quoted, text.includes(CNI_FOLDER) ? CNI_PACKAGE : undefined].filter(name => name !== undefined)
}

const words = process.argv.slice(2)
const chosen = [...new Bun.Glob('test/**/*.test.ts').scanSync('.')].filter(
  file => words.length === 0 || words.some(word => file.includes(word)),
)
const texts = [...chosen.reduce((seen, file) => closure(file, seen), new Set<string>())].map(file =>
  readFileSync(file, 'utf8'),
)
const packages = words.length === 0 ? ALL : [...new Set(texts.flatMap(needsOf))].sort()
if (texts.some(text => /dist\/terway-edge|\bEXECUTABLE\b|'dist'/.test(text))) packages.push('executable')
process.stdout.write(packages.map(name => `${name}\n`).join(''))
