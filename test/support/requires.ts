/**
 * Tests that need more than Bun: root, a program, a folder. What is missing is said loudly and the
 * test is skipped; under CI=true a missing need is a failure, so nothing is left out unseen.
 */
import { test } from 'bun:test'
import { existsSync } from 'node:fs'
import { isRoot } from '../../src/lib/libc.ts'

/**
 * `root`, `mounts` (overlay and cgroup2 can be mounted), `KUBEBUILDER_ASSETS` (a folder with
 * kube-apiserver, etcd, kubectl), or the name of a program on PATH.
 */
export type Need = 'root' | 'mounts' | 'KUBEBUILDER_ASSETS' | (string & {})

/** Where Debian keeps programs that are not on every user's PATH. */
const PROGRAM_FOLDERS = `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/lib/frr`

/** The path of a program, or undefined. */
export function programPath(name: string): string | undefined {
  return Bun.which(name, { PATH: PROGRAM_FOLDERS }) ?? undefined
}

/** Mounts an overlay over this file system and cgroup2, in a mount namespace that ends with it. */
const MOUNTS = `cd /tmp && mount -t tmpfs tmpfs . && cd /tmp && mkdir upper work root cgroup &&
mount -t overlay -o lowerdir=/,upperdir=/tmp/upper,workdir=/tmp/work overlay root && mount -t cgroup2 cgroup2 cgroup`

function canMount(): boolean {
  const command = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', MOUNTS]
  return isRoot() && Bun.spawnSync(command, { stdout: 'ignore', stderr: 'ignore' }).exitCode === 0
}

/** What of `needs` is missing here, in words that say how to get it. */
export function missing(needs: readonly Need[]): string[] {
  return needs.flatMap(need => {
    if (need === 'root') return isRoot() ? [] : ['root (run it with sudo)']
    if (need === 'mounts')
      return canMount() ? [] : ['overlay and cgroup2 mounts (root of a machine, or a privileged container)']
    if (need === 'KUBEBUILDER_ASSETS') {
      const folder = process.env.KUBEBUILDER_ASSETS
      return folder !== undefined && existsSync(`${folder}/kube-apiserver`)
        ? []
        : ['KUBEBUILDER_ASSETS (a folder that holds kube-apiserver, etcd and kubectl)']
    }
    return programPath(need) === undefined ? [`the program ${need}`] : []
  })
}

/**
 * `test`, or a test that is skipped with a loud line (under CI: fails) because something in `needs`
 * is missing.
 */
export function testNeeding(
  ...needs: Need[]
): (name: string, body: () => Promise<void> | void, timeout?: number) => void {
  const absent = missing(needs)
  if (absent.length === 0) return (name, body, timeout) => test(name, body, timeout)
  return name => {
    if (process.env.CI === 'true') {
      test(name, () => {
        throw new Error(`this test needs ${absent.join(' and ')}, and under CI a skip is a failure`)
      })
    } else {
      console.error(`SKIPPED: ${name}: it needs ${absent.join(' and ')}`)
      test.skip(name, () => {})
    }
  }
}
