/**
 * All paths at once and now, for `terway-edge check`: asks every neighbour directly and by way of
 * the switch, and two nodes of each other LAN, with every pair of ports, small and full-sized. The
 * node's own process answers for it meanwhile and goes on measuring; what the packets prove is
 * decided by the same functions.
 */
import { type Clock, sleep } from '../lib/clock.ts'
import { UserError } from '../lib/errors.ts'
import { DEAD_AFTER, type Evidence, PORT_PAIRS, stateOf, withOutcome } from './evidence.ts'
import { HEADER_LENGTH, QUESTION_LENGTH } from './packet.ts'
import { ProbeSockets } from './sockets.ts'
import type { Stand } from './stand.ts'
import { farLists, type PathChoice, type PathTarget } from './targets.ts'
import { type PathVerdict, pathVerdict } from './verdict.ts'

export interface CheckOptions {
  readonly clock: Clock
  /** From where it asks, and which paths there are. */
  readonly stand: Pick<Stand, 'own' | 'marks' | 'choice' | 'self' | 'inVpc'>
  /** UDP port at which nodes answer. */
  readonly port: number
  /** The MTU of pods; undefined: packets of full size are not tried. */
  readonly mtu: number | undefined
  /** Told after each answer or loss how many of how many are done. */
  readonly onProgress: (done: number, all: number) => void
}

export interface CheckResult {
  readonly verdict: PathVerdict
  readonly evidence: Evidence
}

/** Of each kind, so that a check of a large cluster ends soon and disturbs nobody. */
const MOST_TARGETS = 100
/** Two of each of some hundred LANs. */
const MOST_FAR_TARGETS = 400
const ANSWER_MILLISECONDS = 1000
/** Packets a second, at most: those that answer limit what they give to one asker. */
const PAUSE_MILLISECONDS = 20
const ROUNDS_APART_MILLISECONDS = 250

/** Throws a `UserError` when nothing can be checked from here. */
export async function checkPaths(options: CheckOptions): Promise<CheckResult> {
  const { clock, stand, port } = options
  const { own, marks, choice, self } = stand
  if (self === undefined)
    throw new UserError('this node has no pod CIDR yet, so nobody could answer it: see terway-edge status')
  const waiting = new Map<string, (answered: boolean) => void>()
  const sockets = new ProbeSockets({ port, mayAsk: () => false, onAnswer: token => waiting.get(token)?.(true) })
  const ask = async (target: PathTarget, ports: number): Promise<number | undefined> => {
    const address = own.find(mine => mine.includes(':') === (target.family === 'ipv6'))
    const mark = target.via === undefined ? 0 : marks.get(target.via)
    if (address === undefined || mark === undefined) return undefined
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')
    const length = target.size === 'full' ? (options.mtu ?? 0) - HEADER_LENGTH[target.family] : QUESTION_LENGTH
    const started = clock.monotonic()
    const answered = new Promise<boolean>(resolve => {
      waiting.set(token, resolve)
      clock.after(ANSWER_MILLISECONDS, () => resolve(false))
    })
    await sockets.ask({ address, mark, ports }, { token, address: target.address, length })
    const came = await answered
    waiting.delete(token)
    return came ? clock.monotonic() - started : undefined
  }
  try {
    return await askAll({ targets: targetsOf(choice, options.mtu), mine: self, ask, options })
  } finally {
    sockets.close()
  }
}

async function askAll(input: {
  readonly targets: readonly PathTarget[]
  readonly mine: PathTarget
  readonly ask: (target: PathTarget, ports: number) => Promise<number | undefined>
  readonly options: CheckOptions
}): Promise<CheckResult> {
  const { targets, mine, ask, options } = input
  const { clock } = options
  let evidence: Evidence = new Map()
  let selfEvidence: Evidence = new Map()
  const all = (targets.length + 1) * PORT_PAIRS
  let done = 0
  for (let ports = 0; ports < PORT_PAIRS; ports++) {
    const asked: Promise<void>[] = []
    for (const target of [mine, ...targets]) {
      const at = clock.monotonic()
      asked.push(
        ask(target, ports).then(roundTrip => {
          const outcome = { at, ports, roundTrip }
          if (target === mine) selfEvidence = withOutcome(selfEvidence, target, outcome)
          else evidence = withOutcome(evidence, target, outcome)
          options.onProgress(++done, all)
        }),
      )
      await sleep(clock, PAUSE_MILLISECONDS)
    }
    await Promise.all(asked)
    await sleep(clock, ROUNDS_APART_MILLISECONDS)
  }
  for (const { target, dead, alive } of partlyLost(evidence)) {
    for (let time = 1; time < DEAD_AFTER; time++)
      for (const ports of [alive, dead]) {
        const at = clock.monotonic()
        evidence = withOutcome(evidence, target, { at, ports, roundTrip: await ask(target, ports) })
      }
  }
  const when = { now: clock.monotonic(), staleMilliseconds: Number.POSITIVE_INFINITY, failingMilliseconds: 0 }
  const prober = stateOf([...selfEvidence.values()][0], when)
  const { inVpc, choice } = options.stand
  return {
    verdict: pathVerdict({ evidence: expectingAnswers(evidence), self: prober, alone: choice.alone, inVpc, ...when }),
    evidence,
  }
}

/** No more are asked again than a person waits for. */
const MOST_AGAIN = 5

/**
 * Targets of which one pair of ports was lost and another came back: chance, or a dead next hop.
 */
function partlyLost(evidence: Evidence): { target: PathTarget; dead: number; alive: number }[] {
  const partly = [...evidence.values()].flatMap(({ target, outcomes }) => {
    const dead = outcomes.find(({ roundTrip }) => roundTrip === undefined)?.ports
    const alive = outcomes.find(({ roundTrip }) => roundTrip !== undefined)?.ports
    return dead === undefined || alive === undefined ? [] : [{ target, dead, alive }]
  })
  return partly.slice(0, MOST_AGAIN)
}

/**
 * Who is asked by a person is expected to answer, whether or not it ever did. Not so by way of the
 * switch: there silence may mean that it sends nothing back to where it came from.
 */
function expectingAnswers(evidence: Evidence): Evidence {
  return new Map(
    [...evidence].map(([key, history]) => [
      key,
      history.target.kind === 'by-switch'
        ? history
        : { ...history, answeredAt: history.answeredAt ?? Number.NEGATIVE_INFINITY },
    ]),
  )
}

function targetsOf(choice: PathChoice, mtu: number | undefined): PathTarget[] {
  const small = [
    ...choice.direct.slice(0, MOST_TARGETS),
    ...choice.bySwitch.slice(0, MOST_TARGETS),
    ...farLists(choice).flatMap(vantagePoints).slice(0, MOST_FAR_TARGETS),
  ]
  return mtu === undefined ? small : small.flatMap((target): PathTarget[] => [target, { ...target, size: 'full' }])
}

/** The targets of two nodes of a LAN. */
function vantagePoints(lan: readonly PathTarget[]): PathTarget[] {
  const nodes = new Set([...new Set(lan.map(({ node }) => node))].slice(0, 2))
  return lan.filter(({ node }) => nodes.has(node))
}
