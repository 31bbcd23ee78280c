/**
 * From the routes that are wanted and those that are there to the changes: a pure function. The
 * kernel's side of it is in reconcile.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import type { DesiredRoute } from '../../src/agent/desired-routes.ts'
import { changeRequest, plan, planRemoval } from '../../src/agent/plan.ts'
import { familyOf } from '../../src/lib/ip.ts'
import type { NextHop, Route } from '../../src/netlink/types.ts'

const MARK = { protocol: 187, table: 254 }

function wanted(destination: string, ...nextHops: NextHop[]): DesiredRoute {
  return { destination, type: nextHops.length === 0 ? 'unreachable' : 'unicast', nextHops, to: { node: 'x' } }
}

function present(destination: string, nextHops: readonly NextHop[], over: Partial<Route> = {}): Route {
  const family = familyOf(destination)
  return {
    family,
    destination,
    table: 254,
    protocol: 187,
    scope: 0,
    type: nextHops.length === 0 ? 'unreachable' : 'unicast',
    priority: family === 'ipv4' ? 0 : 1024,
    nextHops,
    flags: 0,
    ...over,
  }
}

/** Changes as short texts: `add 10.0.1.0/25`. */
function changes(desired: DesiredRoute[], own: Route[], foreign: Route[] = []): string[] {
  return plan(desired, { own, foreign }, MARK).changes.map(change => `${change.do} ${change.route.destination}`)
}

const A = { gateway: '172.16.0.12', interface: 2 }
const B = { gateway: '172.16.0.13', interface: 2 }

describe('the plan', () => {
  test('is empty in the steady state', () => {
    const desired = [wanted('10.0.1.0/25'), wanted('10.0.2.0/25', A), wanted('10.0.3.0/24', A, B), wanted('fd01::/64')]
    const own = [
      present('10.0.3.0/24', [B, A]),
      present('10.0.1.0/25', []),
      present('10.0.2.0/25', [A], { flags: 16 }),
      present('fd01::/64', []),
    ]
    expect(changes(desired, own)).toEqual([])
  })

  test('adds and replaces before it deletes', () => {
    const desired = [wanted('10.0.1.0/25', A), wanted('10.0.2.0/25', A)]
    const own = [present('10.0.9.0/25', [A]), present('10.0.2.0/25', [B])]
    expect(changes(desired, own)).toEqual(['add 10.0.1.0/25', 'replace 10.0.2.0/25', 'delete 10.0.9.0/25'])
  })

  test.each([
    ['another gateway', present('10.0.2.0/25', [B])],
    ['another interface', present('10.0.2.0/25', [{ ...A, interface: 3 }])],
    ['more ways', present('10.0.2.0/25', [A, B])],
    ['another type', present('10.0.2.0/25', [])],
    ['another weight', present('10.0.2.0/25', [{ ...A, weight: 3 }])],
    ['a gateway taken as on-link', present('10.0.2.0/25', [{ ...A, onlink: true }])],
  ])('replaces a route with %s', (_name, route) => {
    expect(changes([wanted('10.0.2.0/25', A)], [route])).toEqual(['replace 10.0.2.0/25'])
  })

  test('an interface counts only where one is asked for', () => {
    expect(changes([wanted('10.0.2.0/25', { gateway: '172.16.0.12' })], [present('10.0.2.0/25', [A])])).toEqual([])
  })

  test('one of ours with another priority is replaced by adding and deleting', () => {
    const stray = present('10.0.2.0/25', [A], { priority: 50 })
    const todo = plan([wanted('10.0.2.0/25', A)], { own: [stray], foreign: [] }, MARK)
    expect(todo.changes.map(change => [change.do, change.route.priority])).toEqual([
      ['add', 0],
      ['delete', 50],
    ])
  })

  test('a foreign route with the same destination is reported, and neither overwritten nor deleted', () => {
    const foreign = present('10.0.2.0/25', [{ gateway: '192.0.2.1', interface: 4 }], { protocol: 4 })
    const todo = plan([wanted('10.0.2.0/25', A), wanted('10.0.3.0/25', A)], { own: [], foreign: [foreign] }, MARK)
    expect(todo.changes.map(({ route }) => route.destination)).toEqual(['10.0.3.0/25'])
    expect(todo.absent).toEqual(['10.0.2.0/25'])
    expect(todo.conflicts).toEqual([
      {
        destination: '10.0.2.0/25',
        problem: 'another program (rtnetlink protocol 4) has a route for it, via 192.0.2.1: remove one of the two',
      },
    ])
  })

  test('a foreign route beside ours: ours stays and is not lost in a replacement of the other', () => {
    const foreign = present('10.0.2.0/25', [B], { protocol: 4 })
    const todo = plan([wanted('10.0.2.0/25', A)], { own: [present('10.0.2.0/25', [B])], foreign: [foreign] }, MARK)
    expect(todo.changes).toEqual([])
    expect(todo.absent).toEqual([])
    expect(todo.conflicts).toHaveLength(1)
    const aside = { ...foreign, priority: 100 }
    expect(changes([wanted('10.0.2.0/25', A)], [present('10.0.2.0/25', [B])], [aside])).toEqual(['replace 10.0.2.0/25'])
  })

  test('other foreign routes are none of its business', () => {
    expect(changes([], [], [present('10.0.0.0/8', [A], { protocol: 4 })])).toEqual([])
  })

  test('what it writes bears the mark, and what it deletes says all that identifies it', () => {
    const todo = plan(
      [wanted('fd01::/64', { gateway: 'fe80::1', interface: 2 })],
      { own: [present('10.0.9.0/25', [A])], foreign: [] },
      { protocol: 99, table: 1000 },
    )
    expect(todo.changes[0]?.route).toMatchObject({ protocol: 99, table: 1000, priority: 1024 })
    expect(todo.changes[1]?.route).toEqual({
      destination: '10.0.9.0/25',
      protocol: 187,
      table: 254,
      type: 'unicast',
      priority: 0,
    })
  })
})

test('carried out, a plan leads to an empty plan', () => {
  const desired = [wanted('10.0.1.0/25'), wanted('10.0.2.0/25', A), wanted('10.0.3.0/24', A, B)]
  const own = [present('10.0.2.0/25', [B]), present('10.0.7.0/25', [A]), present('10.0.3.0/24', [A], { priority: 7 })]
  const todo = plan(desired, { own, foreign: [] }, MARK)
  const kernel = new Map(own.map(route => [`${route.destination} ${route.priority}`, route]))
  for (const { do: verb, route } of todo.changes) {
    const key = `${route.destination} ${route.priority}`
    if (verb === 'delete') kernel.delete(key)
    else kernel.set(key, present(route.destination, route.nextHops ?? [], { priority: route.priority ?? 0 }))
  }
  expect(plan(desired, { own: [...kernel.values()], foreign: [] }, MARK).changes).toEqual([])
})

test('removal is a deletion of each', () => {
  const requests = planRemoval([present('10.0.1.0/25', []), present('fd01::/64', [])]).map(changeRequest)
  expect(requests.map(({ text }) => text)).toEqual([
    'delete route unreachable 10.0.1.0/25',
    'delete route unreachable fd01::/64',
  ])
})
