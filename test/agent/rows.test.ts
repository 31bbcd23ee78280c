/** Wanted routes and plan as rows and problems, as status, page and doctor show them. */
import { expect, test } from 'bun:test'
import { routeProblems, routeRows } from '../../src/agent/rows.ts'

const routing = {
  routes: [
    { destination: '10.0.1.0/25', type: 'unreachable', nextHops: [], to: 'this node' },
    {
      destination: '10.0.2.0/25',
      type: 'unicast',
      nextHops: [{ gateway: '172.16.0.12', interface: 2 }],
      to: { node: 'a2' },
    },
    {
      destination: '10.0.3.0/25',
      type: 'unicast',
      nextHops: [{ gateway: '172.16.0.1', interface: 9 }],
      to: 'gateway',
    },
  ],
  problems: ['a', 'a'],
  podCIDRs: ['10.0.1.0/25'],
  addresses: ['172.16.0.11'],
} as const

test('a row says whether the route is there, and why not', () => {
  const plan = { changes: [], conflicts: [{ destination: '10.0.2.0/25', problem: 'taken' }], absent: ['10.0.2.0/25'] }
  const failures = new Map([['10.0.3.0/25', 'refused']])
  expect(routeRows(routing, { plan, failures }, new Map([[2, 'eth0']]))).toEqual([
    { destination: '10.0.1.0/25', via: [], reason: 'this node', state: 'present' },
    {
      destination: '10.0.2.0/25',
      via: ['172.16.0.12'],
      interface: 'eth0',
      reason: 'a2',
      state: 'missing',
      problem: 'taken',
    },
    {
      destination: '10.0.3.0/25',
      via: ['172.16.0.1'],
      interface: 'interface 9',
      reason: 'gateway',
      state: 'failed',
      problem: 'refused',
    },
  ])
  expect(routeProblems(routing, { plan, failures })).toEqual(['a', '10.0.2.0/25: taken', 'refused'])
})

test('many failures are not many problems', () => {
  const failures = new Map(Array.from({ length: 100 }, (_, index) => [`${index}`, `failure ${index}`]))
  const problems = routeProblems(
    { ...routing, problems: [] },
    { plan: { changes: [], conflicts: [], absent: [] }, failures },
  )
  expect(problems).toHaveLength(6)
  expect(problems.at(-1)).toBe('95 more routes failed')
})
