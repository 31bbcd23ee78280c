/**
 * A script out of a seed: which faults there are and how strong is drawn first (a site without cuts
 * but with crashes finds other things than one with everything at once), then the shape, then
 * events.
 */
import type { NetworkFaults } from './api-network.ts'
import { Random } from './random.ts'
import type { Event, Happening, Levels, Script, Shape } from './script.ts'
import { nodesOf } from './topology.ts'

const MINUTE = 60_000

export function generate(seed: number): Script {
  const shape = drawShape(new Random(seed, 'shape'))
  const levels = drawLevels(new Random(seed, 'levels'))
  const random = new Random(seed, 'events')
  const chaosMilliseconds = random.pick([5, 10, 20, 40]) * MINUTE
  const events = [...joins(shape, random, chaosMilliseconds), ...drawEvents(shape, random, chaosMilliseconds)]
  return {
    seed,
    shape,
    levels,
    events: events.toSorted((a, b) => a.at - b.at),
    quietAt: chaosMilliseconds,
    restMilliseconds: random.pick([10, 10, 10, 30]) * MINUTE,
  }
}

function drawShape(random: Random): Shape {
  const lans = Array.from({ length: random.between(1, 3) }, () => random.between(1, 5))
  return {
    lans,
    controllers: random.pick([1, 2, 2, 3]),
    pool: '10.0.0.0/20',
    podsPerNode: random.pick([16, 128]),
    rememberSeconds: random.pick([0, 20, 60]),
    removal: {
      share: random.pick([0.3, 0.5, 2]),
      number: random.pick([2, 3]),
      delayMilliseconds: random.pick([30_000, 120_000, 600_000]),
    },
    twoGateways: random.chance(0.1),
  }
}

function drawLevels(random: Random): Levels {
  const sometimes = (share: number, level: () => number) => (random.chance(share) ? level() : 0)
  const network: NetworkFaults = {
    leastMilliseconds: 1,
    mostMilliseconds: random.pick([2, 20, 300]),
    late: sometimes(0.3, () => 0.05),
    lateMilliseconds: random.pick([2_000, 12_000]),
    unanswered: sometimes(0.4, () => random.pick([0.02, 0.2])),
    lost: sometimes(0.3, () => random.pick([0.01, 0.1])),
    errors: sometimes(0.3, () => random.pick([0.02, 0.2])),
    split: sometimes(0.3, () => 0.3),
  }
  return {
    network,
    lateMilliseconds: random.pick([0, 0, 5, 200]),
    clockMilliseconds: sometimes(0.3, () => 3_600_000),
    pageSize: random.pick([500, 500, 2]),
    writeBytes: sometimes(0.3, () => random.pick([1, 100])),
  }
}

/** Most nodes are there from the beginning, some come later. */
function joins(shape: Shape, random: Random, until: number): Event[] {
  // the last one joins when all is calm again (world.ts)
  return nodesOf(shape)
    .slice(0, -1)
    .map(({ name }) => ({
      at: random.chance(0.8) ? random.between(0, 5_000) : random.between(0, until - 1),
      do: 'join',
      node: name,
    }))
}

type Draw = (random: Random, shape: Shape, node: string) => Happening

const short = (random: Random) => random.pick([1_000, 20_000, 100_000, 400_000])
const processOf = (random: Random, shape: Shape, node: string) =>
  random.chance(0.5) ? `c${random.between(0, shape.controllers - 1)}` : node

/** Each kind of event: a seed draws which there are. */
const KINDS: readonly Draw[] = [
  (random, shape, node) => ({
    do: 'crash',
    process: processOf(random, shape, node),
    effects: random.chance(0.5) ? random.between(0, 12) : random.between(0, 200),
    backMilliseconds: short(random),
  }),
  (random, _shape, node) => ({ do: 'power', node, backMilliseconds: short(random) }),
  (random, shape, node) => ({
    do: 'power',
    node,
    swap: random.pick(nodesOf(shape)).name,
    backMilliseconds: short(random),
  }),
  (random, shape, node) => ({
    do: 'cut',
    process: processOf(random, shape, node),
    way: random.pick(['both', 'requests', 'answers'] as const),
    refused: random.chance(0.5),
    forMilliseconds: short(random),
  }),
  random => ({ do: 'api-down', forMilliseconds: short(random) }),
  () => ({ do: 'cut-watches' }),
  (random, shape, node) => ({ do: 'cut-watches', process: processOf(random, shape, node) }),
  () => ({ do: 'compact' }),
  random => (random.chance(0.5) ? { do: 'backup' } : { do: 'restore', bump: random.chance(0.5) }),
  (random, _shape, node) => ({ do: 'delete-node', node, drained: random.chance(0.3) }),
  (_random, _shape, node) => ({ do: 'register', node }),
  (random, _shape, node) => ({ do: 'delete-route', node, nth: random.between(0, 50) }),
  (random, _shape, node) => ({ do: 'flap', node, forMilliseconds: short(random) }),
  (random, _shape, node) => ({ do: 'lose-watch', node, forMilliseconds: short(random) }),
  (random, shape) => ({
    do: 'gateway',
    lan: random.between(0, shape.lans.length - 1),
    which: random.between(0, shape.twoGateways ? 1 : 0),
    forMilliseconds: short(random),
  }),
  (random, _shape, node) => ({ do: 'disk-full', node, forMilliseconds: short(random) }),
  (random, _shape, node) => ({
    do: 'pods',
    node,
    verb: random.pick(['add', 'add', 'delete', 'collect'] as const),
    count: random.between(1, 8),
    effects: random.chance(0.7) ? 1000 : random.between(0, 20),
  }),
  (random, _shape, node) => ({ do: 'pods', node, verb: 'add', count: random.between(1, 40), effects: 1000 }),
  random => ({ do: 'delete-slice', nth: random.between(0, 5) }),
  (random, shape) => ({
    do: 'delete-peer',
    lan: random.between(0, shape.lans.length - 1),
    forMilliseconds: short(random),
  }),
  (random, shape, node) => ({ do: 'relabel', node, lan: random.between(0, shape.lans.length - 1) }),
]

function drawEvents(shape: Shape, random: Random, until: number): Event[] {
  const kinds = KINDS.filter(() => random.chance(0.4))
  if (kinds.length === 0) return []
  const nodes = nodesOf(shape)
  const count = random.between(0, 40)
  return Array.from({ length: count }, () => {
    const node = random.pick(nodes).name
    return { at: random.between(0, until - 1), ...random.pick(kinds)(random, shape, node) }
  })
}
