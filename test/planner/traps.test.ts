/**
 * Networks with traps, as people really draw them: ranges that touch in odd places, both families,
 * tiny and huge blocks, nothing that grows, thousands of LANs, nodes of the cloud and of Edge Node
 * Service. What must be found is found, and nothing else is called a problem.
 */
import { describe, expect, test } from 'bun:test'
import { planOf } from '../../src/planner/plan.ts'
import { planMarkdown, planText } from '../../src/planner/plan-text.ts'
import { DOCUMENT, type Draft, found, NOW, network } from './networks.ts'

function plan(change: (draft: Draft) => void) {
  return planOf(network(change), NOW)
}
/** Problems alone. */
function problems(change: (draft: Draft) => void): string[] {
  return found(change)
    .filter(text => text.startsWith('problem '))
    .map(text => text.slice('problem '.length))
}

test('the document itself has no problem, and neither has its page', () => {
  expect(problems(() => {})).toEqual([])
  expect(DOCUMENT).toContain('10.0.0.0/8')
})

describe('ranges in odd places', () => {
  test("a data center of 10.5.0.0/16 within the pods' 10.0.0.0/8 is said once, not for each of its parts", () => {
    const changed = (draft: Draft) => {
      const [dc] = draft.dataCenters
      dc.cidrs = ['10.5.0.0/16']
      dc.path[0].address = '10.5.255.254'
      dc.lans[0].hostCIDRs = ['10.5.7.0/24']
      dc.lans[0].switches[0].address = '10.5.7.1'
    }
    expect(problems(changed)).toEqual(['pods-overlap-data-center'])
    // the pool still has blocks beside it, all of them whole
    expect(plan(changed).capacity.families[0]?.nodes).toBe((2 ** 24 - 2 ** 16) / 128)
  })

  test('the last address of a Service range is a name server; the API server is in a pool', () => {
    expect(
      problems(draft => {
        draft.nameServers = ['172.21.15.255']
        draft.apiServer = '10.255.255.255'
      }),
    ).toEqual(['pods-overlap-address', 'pods-overlap-address'])
  })

  test('the link to the circuit has an address of the VPC', () => {
    expect(
      problems(draft => {
        draft.dataCenters[0].path[1].address = '192.168.255.2'
        draft.dataCenters[0].path[0].cloudAddress = '192.168.255.1'
      }),
    ).toEqual(['vpc-overlaps-address', 'vpc-overlaps-address'])
  })

  test('a branch behind a VPN has the range of a future pool', () => {
    expect(
      problems(draft => {
        draft.edge.podCIDRs = ['10.0.0.0/10', '10.64.0.0/10']
        draft.otherNetworks = [{ name: 'branch', cidrs: ['10.100.0.0/16'] }]
      }),
    ).toEqual(['other-network-overlaps-cluster'])
  })

  test('a pool that holds another, and one that is larger than the private range', () => {
    expect(problems(draft => draft.edge.podCIDRs.push('10.200.0.0/16'))).toContain('pools-overlap')
    expect(found(draft => draft.edge.podCIDRs.splice(0, 1, '8.0.0.0/6'))).toContain('warning public-range')
  })
})

describe('both families', () => {
  const dual = (draft: Draft) => {
    draft.edge.podCIDRs = ['10.0.0.0/8', 'fd00:10::/48']
    draft.serviceCIDRs = ['172.21.0.0/20', 'fd00:21::/112']
    draft.vpc.cidrs.push('fd00:192::/56')
    draft.dataCenters[0].cidrs.push('fd00:16::/48')
    draft.dataCenters[0].lans[0].hostCIDRs.push('fd00:16::/64')
  }

  test('an IPv6 pool in an IPv6 LAN, and a Service range in the pool', () => {
    expect(problems(dual)).toEqual([])
    expect(
      problems(draft => {
        dual(draft)
        draft.edge.podCIDRs[1] = 'fd00:16:0:8000::/49'
      }),
    ).toContain('pods-overlap-data-center')
    expect(
      problems(draft => {
        dual(draft)
        draft.serviceCIDRs[1] = 'fd00:10:0:ffff::/112'
      }),
    ).toEqual(['service-overlaps-pods'])
  })

  test('each family is counted by itself: the smaller one is full first', () => {
    const { families } = plan(draft => {
      dual(draft)
      draft.edge.podCIDRs[1] = 'fd00:10::/115' // 64 blocks of /121
    }).capacity
    expect(families.map(({ family, nodes, blockLength }) => [family, nodes, blockLength])).toEqual([
      ['ipv4', 131_072, 25],
      ['ipv6', 64, 121],
    ])
    expect(families[1]?.fullIn).toBe('2029-04')
  })

  test('an IPv6 pool of 2^64 blocks is a number, and not full in fifty years', () => {
    const [only] = plan(draft => {
      draft.edge.podCIDRs = ['fd00:10::/32']
    }).capacity.families
    expect(only?.fullIn).toBeUndefined()
    expect(Number.isFinite(only?.nodes)).toBe(true)
  })
})

describe('small blocks', () => {
  test('a LAN of two hosts on a /31 (RFC 3021): both addresses can be used', () => {
    expect(
      problems(draft => {
        const [lan] = draft.dataCenters[0].lans
        lan.hostCIDRs = ['172.16.0.0/31']
        lan.switches[0].address = '172.16.0.0'
        lan.nodes = 1
        lan.growthPerYear = 0
        lan.speakers = ['node-1']
      }),
    ).toEqual([])
  })

  test('more nodes than a LAN has addresses', () => {
    const small = (nodes: number, cidr: string) =>
      problems(draft => {
        const [lan] = draft.dataCenters[0].lans
        lan.hostCIDRs = [cidr]
        lan.nodes = nodes
      })
    expect(small(40, '172.16.0.0/27')).toEqual(['lan-too-small'])
    expect(small(29, '172.16.0.0/27')).toEqual([]) // 32 less both ends and the switch
    expect(small(30, '172.16.0.0/27')).toEqual(['lan-too-small'])
  })

  test('a pool with exactly the blocks that are needed, and no growth: not full, ever', () => {
    const exact = (draft: Draft) => {
      draft.edge.podCIDRs = ['10.0.0.0/19'] // 64 blocks of /25
      draft.dataCenters[0].lans[0].nodes = 64
      draft.dataCenters[0].lans[0].growthPerYear = 0
    }
    expect(problems(exact)).toEqual([])
    expect(plan(exact).capacity.families[0]).toMatchObject({ nodes: 64 })
    expect(plan(exact).capacity.families[0]?.fullIn).toBeUndefined()
    const one = (draft: Draft) => {
      exact(draft)
      draft.dataCenters[0].lans[0].nodes = 65
    }
    expect(problems(one)).toEqual(['pools-too-small'])
  })

  test('a pool smaller than a block, beside one that is not', () => {
    expect(problems(draft => draft.edge.podCIDRs.push('172.30.0.0/26'))).toEqual(['pool-without-block'])
  })
})

test('one vSwitch in one zone, one speaker: warnings, no problem', () => {
  const single = found(draft => {
    draft.vpc.nodeVSwitches = draft.vpc.nodeVSwitches.slice(0, 1)
    draft.vpc.podVSwitches = draft.vpc.podVSwitches.slice(0, 1)
    draft.dataCenters[0].lans[0].speakers = ['node-1']
  })
  expect(single.filter(text => text.startsWith('problem'))).toEqual([])
  expect(single).toContain('warning few-zones')
})

describe('thousands of LANs', () => {
  const COUNT = 2000
  const many = (draft: Draft) => {
    const [dc] = draft.dataCenters
    dc.cidrs = ['172.16.0.0/12']
    draft.serviceCIDRs = ['192.169.0.0/20']
    dc.lans = Array.from({ length: COUNT }, (_, index) => {
      const base = `172.${16 + (index >> 8)}.${index & 255}`
      return {
        name: `lan-${index}`,
        hostCIDRs: [`${base}.0/24`],
        switches: [{ address: `${base}.1`, asNumber: 4_200_000_000 + index }],
        localAsNumber: 4_200_100_000 + index,
        speakers: [`n-${index}-1`, `n-${index}-2`, `n-${index}-3`],
        nodes: 10,
        growthPerYear: '10%',
      }
    })
    dc.path[0].cloudAddress = '192.170.0.1'
    dc.path[1].address = '192.170.0.2'
  }

  test('are planned, with each one that collides named', () => {
    const clean = plan(many)
    expect(clean.capacity.nodesExpected).toBe(20_000)
    expect(clean.findings.filter(({ rule }) => rule.includes('overlap'))).toEqual([])
    const collision = plan(draft => {
      many(draft)
      draft.dataCenters[0].lans[1999].hostCIDRs = ['172.16.5.0/25']
      draft.dataCenters[0].lans[1999].switches[0].address = '172.16.5.2'
    })
    expect(collision.findings.filter(({ rule }) => rule === 'lans-overlap').map(({ message }) => message)).toEqual([
      expect.stringContaining('hosts of LAN lan-5 172.16.5.0/24 overlaps hosts of LAN lan-1999 172.16.5.0/25'),
    ])
    expect(planText(clean).length).toBeGreaterThan(10_000)
  }, 300_000)
})

describe('nodes of the cloud', () => {
  /** Of ecs.g7.2xlarge: 4 interfaces, 15 addresses each. */
  const POOL = { name: 'general', zone: 'a', nodes: 100, interfaces: 4, addressesPerInterface: 15, growthPerYear: 20 }

  test('pods by interfaces and by the vSwitches of the zone; when they are used up', () => {
    const { cloud } = plan(draft => {
      draft.vpc.nodePools = [POOL]
    }).capacity
    expect(cloud).toEqual([{ where: 'zone a', nodes: 100, pods: 4500, addresses: 8188, fullIn: '2031-01' }])
  })

  test('a zone whose vSwitch is too small, a zone without one, an instance type that is too small', () => {
    const of = (change: object) =>
      problems(draft => {
        draft.vpc.nodePools = [{ ...POOL, ...change }]
      })
    expect(of({ nodes: 200 })).toEqual(['pod-vswitch-full'])
    expect(of({ nodes: 200, podsPerNode: 30 })).toEqual([])
    expect(of({ zone: 'd' })).toEqual(['zone-without-pod-vswitch'])
    expect(of({ podsPerNode: 46 })).toEqual(['instance-too-small'])
  })

  test('two pools of one zone share its addresses', () => {
    const both = (draft: Draft) => {
      draft.vpc.nodePools = [POOL, { ...POOL, name: 'more' }]
    }
    expect(problems(both)).toEqual(['pod-vswitch-full'])
    expect(planMarkdown(plan(both))).toContain('| zone a | 200 | 9000 | 8188 |')
  })
})

describe('Edge Node Service', () => {
  const SITE = { name: 'shop', cidr: '10.128.0.0/20', nodes: 20, interfaces: 4 }
  const of = (change: object, more: (draft: Draft) => void = () => {}) =>
    problems(draft => {
      draft.edge.podCIDRs = ['10.0.0.0/9']
      draft.ens = [{ ...SITE, ...change }]
      more(draft)
    })

  test('25 pods an interface, the primary one not', () => {
    expect(of({})).toEqual([])
    expect(
      plan(draft => {
        draft.edge.podCIDRs = ['10.0.0.0/9']
        draft.ens = [SITE]
      }).capacity.cloud,
    ).toEqual([{ where: 'ENS shop', nodes: 20, pods: 1500, addresses: 4072 }])
  })

  test('too many interfaces, none for pods, a vSwitch that is too small, ranges that touch', () => {
    expect(of({ interfaces: 11, nodes: 10 })).toEqual(['ens-interfaces'])
    expect(of({ interfaces: 1 })).toEqual(['ens-interfaces'])
    expect(of({ cidr: '10.128.0.0/22' })).toEqual(['pod-vswitch-full'])
    expect(of({ cidr: '10.127.0.0/20' })).toEqual(['pods-overlap-ens'])
    expect(of({ cidr: '172.16.64.0/20' })).toEqual(['ens-overlaps'])
    expect(of({ cidr: '172.21.0.0/20' })).toEqual(['service-overlaps-nodes'])
  })
})

describe('written otherwise, or twice', () => {
  test('another spelling of a block is the same block, and printed in one way', () => {
    const { findings, routes } = plan(draft => {
      draft.edge.podCIDRs = ['fd00:10::/64', 'FD00:0010:0:0::/64']
      draft.dataCenters[0].cidrs = ['FD00:16::/48']
      draft.dataCenters[0].lans[0].hostCIDRs = ['fd00:0016::/64']
      draft.dataCenters[0].lans[0].switches[0].address = 'FD00:16::0001'
    })
    const overlap = findings.find(({ rule }) => rule === 'pools-overlap')
    expect(overlap?.places.map(({ value }) => value)).toEqual(['fd00:10::/64', 'fd00:10::/64'])
    expect(JSON.stringify(routes)).not.toMatch(/FD00|fd00:0/)
  })

  test('a block twice in one list', () => {
    const twice = (change: (draft: Draft) => void) =>
      plan(change)
        .findings.filter(({ rule }) => rule === 'name-twice')
        .map(({ places }) => places.map(one => one.path))
    expect(twice(draft => draft.dataCenters[0].lans[0].hostCIDRs.push('172.16.0.0/24'))).toEqual([
      ['dataCenters[0].lans[0].hostCIDRs[0]', 'dataCenters[0].lans[0].hostCIDRs[1]'],
    ])
    expect(twice(draft => draft.vpc.cidrs.push('192.168.0.0/16'))).toEqual([['vpc.cidrs[0]', 'vpc.cidrs[1]']])
    expect(twice(() => {})).toEqual([])
  })
})

test('ranges for documents, masks that the cloud or kube-apiserver refuses', () => {
  expect(
    found(draft => {
      draft.edge.podCIDRs.push('2001:db8::/32')
      draft.vpc.podVSwitches[0].cidr = '192.168.128.0/30'
      draft.serviceCIDRs = ['172.21.0.0/30']
    }).filter(text => /documentation-range|size/.test(text)),
  ).toEqual(['problem vswitch-size', 'problem service-size', 'warning documentation-range'])
  expect(problems(draft => (draft.serviceCIDRs = ['172.21.0.0/29']))).toEqual([])
})

test('a cluster without nodes in the cloud is none that lacks zones', () => {
  const bare = (draft: Draft) => Object.assign(draft.vpc, { nodeVSwitches: [], podVSwitches: [] })
  expect(found(bare)).toEqual([])
  expect(plan(bare).findings.map(({ rule }) => rule)).toContain('no-vswitches')
})

describe('next hops of the other family', () => {
  const hops = (change: (draft: Draft) => void, family: ':' | '.') =>
    plan(change)
      .routes.filter(({ destination, how }) => destination.includes(family) && how !== 'terway-edge')
      .map(({ device, nextHop }) => `${device}: ${nextHop}`)

  test('what a site of IPv6 alone has no use for is left out: IPv4 of the VPC', () => {
    const alone = (draft: Draft) => {
      draft.vpc.cidrs.push('fd00:192::/56')
      draft.edge.podCIDRs = ['fd00:10::/64']
      draft.dataCenters[0].cidrs = ['fd00:16::/48']
      draft.dataCenters[0].lans[0].hostCIDRs = ['fd00:16::/64']
      draft.dataCenters[0].lans[0].switches[0].address = 'fd00:16::1'
    }
    expect(plan(alone).routes.filter(({ destination }) => /\d\.\d/.test(destination))).toEqual([])
    expect(plan(alone).security.filter(({ peer }) => peer.includes('.'))).toEqual([])
    expect(plan(alone).security.map(({ protocol }) => protocol)).toContain('ICMPv6')
  })

  test('a device of which the plan knows an IPv4 address is no IPv6 next hop by that', () => {
    const dual = (draft: Draft) => {
      draft.vpc.cidrs.push('fd00:192::/56')
      draft.edge.podCIDRs.push('fd00:10::/64')
      draft.dataCenters[0].cidrs.push('fd00:16::/48')
      draft.dataCenters[0].lans[0].hostCIDRs.push('fd00:16::/64')
    }
    const six = hops(dual, ':')
    expect(six.filter(text => /\d+\.\d+\.\d+/.test(text))).toEqual([])
    expect(six).toContain("nodes of lan: the hosts' IPv6 gateway")
    expect(six).toContain('switch lan: gateway gw, its IPv6 address')
    expect(six).toContain('gateway gw: switch lan, its IPv6 address')
    expect(hops(dual, '.')).toContain('switch lan: gateway gw 172.16.255.254')
  })

  test('of two switches each is the next hop of its family', () => {
    const both = (draft: Draft) => {
      draft.edge.podCIDRs.push('fd00:10::/64')
      draft.dataCenters[0].cidrs.push('fd00:16::/48')
      draft.dataCenters[0].lans[0].hostCIDRs.push('fd00:16::/64')
      draft.dataCenters[0].lans[0].switches.push({ address: 'fd00:16::1', asNumber: 65001 })
    }
    expect(hops(both, ':')).toContain('gateway gw: switch lan fd00:16::1')
    expect(hops(both, '.')).toContain('gateway gw: switch lan 172.16.0.1')
  })
})

test('numbers of blocks that nobody reads are powers of two', () => {
  const text = planText(plan(draft => (draft.edge.podCIDRs = ['fd00:10::/32'])))
  expect(text).toContain(' 2^89 ')
  expect(text).not.toMatch(/\d{10}|e\+\d/)
})

test('a VBR that has no address to send back to says so', () => {
  const notes = (change: (draft: Draft) => void) =>
    plan(change)
      .findings.filter(({ rule }) => rule === 'address-unknown')
      .map(({ places: [place] }) => place?.path)
  expect(notes(() => {})).toEqual([])
  expect(notes(draft => delete draft.dataCenters[0].path[0].cloudAddress)).toEqual([
    'dataCenters[0].path[0].cloudAddress',
  ])
})
