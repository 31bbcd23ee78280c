/**
 * The versions of the routers on PATH, as they say themselves: words and abilities differ.
 */
import { type CommandResult, run } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import type { RouterKind } from './routers.ts'

/** The program, and the words that have it say its version, one or the other. */
const ASKED: Readonly<Record<RouterKind, readonly [program: string, ...words: string[]]>> = {
  bird: ['bird', '--version'],
  frr: ['zebra', '--version'],
  gobgp: ['gobgpd', '--version'],
  openbgpd: ['bgpctl', '-V'],
  exabgp: ['exabgp', '--version', 'version'],
}

const known = new Map<RouterKind, number>()

/**
 * The major version of the router of this kind on PATH, with the minor one as hundredths: 9.03 is
 * OpenBGPD 9.3, 2.17 is BIRD 2.17. 0 when there is none.
 */
export function routerVersion(kind: RouterKind): number {
  const before = known.get(kind)
  if (before !== undefined) return before
  const [name, ...words] = ASKED[kind]
  const path = programPath(name)
  const version =
    path === undefined ? 0 : Math.max(...words.map(word => versionIn(run([path, word], { mayFail: true }))))
  known.set(kind, version)
  return version
}

function versionIn({ stdout, stderr }: CommandResult): number {
  const [, major = 0, minor = 0] = /\b(\d+)\.(\d+)/.exec(`${stdout}${stderr}`) ?? []
  return Number(major) + Number(minor) / 100
}
