/**
 * The ranks of ARCHITECTURE.md: a file imports only lower ranks and its own room; rooms of one rank never import each other, not even
 * types. And each effect has one owner.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, normalize } from 'node:path'

const RANKS: Readonly<Record<string, number>> = {
  lib: 0,
  bfd: 1,
  bgp: 1,
  netlink: 1,
  kube: 1,
  'config.ts': 1,
  controller: 2,
  agent: 2,
  speaker: 2,
  cni: 2,
  planner: 2,
  status: 2,
  commands: 3,
  lab: 3,
  'main.ts': 4,
}

interface Import {
  readonly file: string
  readonly target: string
}

const files = [...new Bun.Glob('**/*.{ts,tsx}').scanSync('src')].sort()

function room(path: string): string {
  return path.split('/')[0] ?? ''
}

function importsOf(file: string): Import[] {
  const text = readFileSync(`src/${file}`, 'utf8')
  const pattern = /(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g
  return [...text.matchAll(pattern)].map(match => ({ file, target: match[1] ?? '' }))
}

const imports = files.flatMap(importsOf)

test('every room has a rank', () => {
  expect(files.map(room).filter(name => RANKS[name] === undefined)).toEqual([])
})

test('a file imports only lower ranks and its own room', () => {
  const wrong = imports.filter(({ file, target }) => {
    if (!target.startsWith('.')) return false
    const path = normalize(`${dirname(file)}/${target}`)
    if (path.startsWith('..')) return !/^\.\.\/(ui|config|package\.json)/.test(path) // what is embedded
    const from = room(file)
    const to = room(path)
    return from !== to && (RANKS[to] ?? 99) >= (RANKS[from] ?? -1)
  })
  expect(wrong).toEqual([])
})

test('only lib/libc.ts imports bun:ffi', () => {
  expect(imports.filter(({ file, target }) => target === 'bun:ffi' && file !== 'lib/libc.ts')).toEqual([])
})

test('only kube and the lab import the Kubernetes client', () => {
  const users = imports.filter(({ target }) => target === '@kubernetes/client-node').map(({ file }) => room(file))
  expect([...new Set(users)].filter(name => name !== 'kube' && name !== 'lab')).toEqual([])
})

/** Files that decide: functions of values. */
const DECIDING = [
  'agent/{desired-routes,plan,merge-prefixes,gateways,rows,firewall-forward,firewall-masquerade,nftables-listing,doctor-checks,doctor-duplicates,arp}.ts',
  'bgp/{fsm,collision,graceful-restart,negotiation,rib,route-set,told-routes,route-attributes,idle-hold,errors,communities,nlri,capabilities,registry}.ts',
  'bgp/{message,attributes}*.ts',
  'cni/{address-pool,decode,decode-result,encode,protocol}.ts',
  'controller/{pod-cidr,bgp-peers,slices}.ts',
  'kube/{decode-bgp-peer,node-selector,merge-cluster}.ts',
  'speaker/{desired-peers,session-status,events}.ts',
  'status/{metrics,listen,access}.ts',
  'commands/node-snapshot.ts',
]

const deciding = DECIDING.flatMap(pattern => [...new Bun.Glob(pattern).scanSync('src')]).sort()

test('a file that decides has no clock, socket, file, log, chance or await', () => {
  expect(deciding.length).toBeGreaterThan(30)
  const forbidden =
    /\b(systemClock|Date\.now|performance\.now|Math\.random|setTimeout|process\.|Bun\.(spawn|file|serve|sleep)|fetch\()|\bawait\b|\basync\b/
  const effects = /^node:(?!crypto$)|\/(log|libc|files)\.ts$/
  const wrong = deciding.filter(file => {
    const code = readFileSync(`src/${file}`, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    return (
      forbidden.test(code) || importsOf(file).some(({ target }) => effects.test(target) && !isTypeOnly(code, target))
    )
  })
  expect(wrong).toEqual([])
})

/** Whether `target` is imported for its types alone. */
function isTypeOnly(code: string, target: string): boolean {
  const line = code.split('\n').find(text => text.includes(`'${target}'`)) ?? ''
  return line.startsWith('import type ')
}

test('routes are written by the agent (between nodes) and by cni (to pods), nowhere else', () => {
  const writers = imports.filter(({ target }) => /netlink\/route\.ts$/.test(target)).map(({ file }) => room(file))
  expect([...new Set(writers)].sort()).toEqual(['agent', 'cni'])
})
