/** RouteSlices: the fewest writes for every change. */
import { expect, test } from 'bun:test'
import { planSlices, withoutPromises } from '../../src/controller/slices.ts'
import type { RouteEntry, RouteSlice } from '../../src/kube/route-slice.ts'

function entry(node: string, address = '172.16.0.11'): RouteEntry {
  return { node, addresses: [address], podCIDRs: ['10.0.1.0/25'], peers: [] }
}
function nodes(from: number, to: number): RouteEntry[] {
  return Array.from({ length: to - from }, (_, index) => entry(`n${String(from + index).padStart(4, '0')}`))
}
function slice(name: string, entries: readonly RouteEntry[]): RouteSlice {
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'RouteSlice',
    metadata: { name, resourceVersion: '1' },
    entries,
  }
}
function names(slices: readonly RouteSlice[]): [string, number][] {
  return slices.map(({ metadata, entries }) => [metadata.name, entries.length])
}

test('a new cluster is cut into slices of 100', () => {
  const changes = planSlices(nodes(0, 250), [])
  expect(names(changes.create)).toEqual([
    ['routes-1', 100],
    ['routes-2', 100],
    ['routes-3', 50],
  ])
  expect([changes.replace, changes.remove]).toEqual([[], []])
})

test('nothing changed: nothing is written', () => {
  const wanted = nodes(0, 250)
  const existing = [
    slice('routes-1', wanted.slice(0, 100)),
    slice('routes-2', wanted.slice(100, 200)),
    slice('routes-3', wanted.slice(200)),
  ]
  expect(planSlices([...wanted].reverse(), existing)).toEqual({ create: [], replace: [], remove: [] })
})

test('a node that changes rewrites its slice alone', () => {
  const existing = [slice('routes-1', nodes(0, 100)), slice('routes-2', nodes(100, 150))]
  const wanted = [...nodes(0, 149), entry('n0149', '172.16.0.99')]
  const changes = planSlices(wanted, existing)
  expect(names(changes.replace)).toEqual([['routes-2', 50]])
  expect(changes.replace[0]?.metadata.resourceVersion).toBe('1')
  expect([changes.create, changes.remove]).toEqual([[], []])
})

test('a new node goes where there is room, one slice is written', () => {
  const existing = [
    slice('routes-1', nodes(0, 100)),
    slice('routes-2', nodes(100, 150)),
    slice('routes-10', nodes(150, 200)),
  ]
  const changes = planSlices([...nodes(0, 200), entry('new')], existing)
  expect(names(changes.replace)).toEqual([['routes-2', 51]])
  expect(changes.replace[0]?.entries.at(-1)?.node).toBe('new')
})

test('a full set takes the lowest free name', () => {
  const existing = [slice('routes-1', nodes(0, 100)), slice('routes-3', nodes(100, 200))]
  expect(names(planSlices(nodes(0, 201), existing).create)).toEqual([['routes-2', 1]])
})

test('a node that leaves leaves a gap; the last one takes its slice along', () => {
  const existing = [slice('routes-1', nodes(0, 100)), slice('routes-2', nodes(100, 101))]
  const changes = planSlices(nodes(1, 100), existing)
  expect(names(changes.replace)).toEqual([['routes-1', 99]])
  expect(changes.remove.map(({ metadata }) => metadata.name)).toEqual(['routes-2'])
})

test('a slice whose nodes are all replaced is written, not deleted and made anew', () => {
  const changes = planSlices([entry('b')], [slice('routes-1', [entry('a')])])
  expect(names(changes.replace)).toEqual([['routes-1', 1]])
  expect([changes.create, changes.remove]).toEqual([[], []])
})

test('a node in two slices stays in the first', () => {
  const existing = [slice('routes-1', [entry('a'), entry('b')]), slice('routes-2', [entry('b'), entry('c')])]
  const changes = planSlices([entry('a'), entry('b'), entry('c')], existing)
  expect(changes.replace.map(({ metadata, entries }) => [metadata.name, entries.map(({ node }) => node)])).toEqual([
    ['routes-2', ['c']],
  ])
})

test('what others wrote into slices is put right: broken entries, foreign nodes, too many, foreign names', () => {
  const broken = {
    ...slice('routes-1', []),
    entries: [{ node: 'a', podCIDRs: ['nonsense'] }, 7, entry('stranger')],
  } as unknown as RouteSlice
  const changes = planSlices([entry('a'), entry('b')], [broken, slice('by-hand', [entry('b')])])
  expect(changes.replace.map(({ entries }) => entries)).toEqual([[entry('a')]])
  expect([changes.create, changes.remove]).toEqual([[], []])
  const large = planSlices(nodes(0, 150), [slice('routes-1', nodes(0, 150))])
  expect(names([...large.replace, ...large.create])).toEqual([
    ['routes-1', 100],
    ['routes-2', 50],
  ])
  const none = { ...slice('routes-1', []), entries: undefined } as unknown as RouteSlice
  expect(planSlices([], [none]).remove).toEqual([none])
})

test('where the controller answers probes stands on the first slice alone, and is written when it changes', () => {
  const words = { controllers: ['192.168.0.10', 'fd00::10'] }
  const [created] = planSlices(nodes(0, 1), [], words).create
  expect(created?.metadata.annotations).toEqual({ 'network.openyurt.io/controllers': '192.168.0.10,fd00::10' })
  const existing = [slice('routes-1', nodes(0, 100)), slice('routes-2', nodes(100, 101))]
  const { replace } = planSlices(nodes(0, 101), existing, words)
  expect(replace.map(({ metadata }) => metadata.name)).toEqual(['routes-1'])
  const told = [...replace, ...existing.slice(1)]
  expect(planSlices(nodes(0, 101), told, words)).toEqual({ create: [], replace: [], remove: [] })
  const other = planSlices(nodes(0, 101), told, { controllers: ['192.168.0.11'] }).replace
  expect(other.map(({ metadata }) => metadata.annotations)).toEqual([
    { 'network.openyurt.io/controllers': '192.168.0.11' },
  ])
  const none = planSlices(nodes(0, 101), told).replace
  expect(none.map(({ metadata }) => metadata.annotations)).toEqual([{}])
})

test('without what was promised and not kept: entries that stood stay, changes of other nodes are made', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(name => entry(name))
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('four entries')
  const moved = entry('b', '172.16.0.99')
  const existing = [slice('routes-1', [a, b]), slice('routes-2', [c])]
  const replace = [slice('routes-1', [a, moved, d]), slice('routes-2', [entry('c', '172.16.0.98')])]
  const changes = { create: [slice('routes-3', [entry('e')])], replace, remove: [] }
  expect(withoutPromises(changes, new Set(), existing)).toBe(changes)
  const entriesOf = (refused: string[]) => {
    const { create, replace: replaced } = withoutPromises(changes, new Set(refused), existing)
    return [...create, ...replaced].map(({ metadata, entries }) => [
      metadata.name,
      entries.map(({ node }) => node).join(),
    ])
  }
  expect(entriesOf(['d'])).toEqual([
    ['routes-3', 'e'],
    ['routes-1', 'a,b'],
    ['routes-2', 'c'],
  ])
  expect(entriesOf(['b', 'd'])).toEqual([
    ['routes-3', 'e'],
    ['routes-2', 'c'],
  ])
  expect(entriesOf(['e', 'c'])).toEqual([['routes-1', 'a,b,d']])
  const [first] = withoutPromises(changes, new Set(['b']), existing).replace
  expect(first?.entries).toEqual([a, b, d])
})
