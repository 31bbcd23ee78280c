/**
 * The door: strict keys, every problem at once with its path; what `plan init` writes passes it.
 */
import { expect, test } from 'bun:test'
import { UserError } from '../../src/lib/errors.ts'
import { type Answers, answersOf, JOINS, networkTemplate, QUESTIONS } from '../../src/planner/init.ts'
import { decodeNetwork } from '../../src/planner/network.ts'
import { hasProblems, planOf } from '../../src/planner/plan.ts'
import { DOCUMENT, NOW, network } from './networks.ts'

function refusal(text: string): string {
  try {
    decodeNetwork(text, 'network.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(UserError)
    expect(error).toHaveProperty('exitStatus', 2)
    return error instanceof Error ? error.message : ''
  }
  throw new Error('it was accepted')
}

test("the document's example, with defaults", () => {
  expect(decodeNetwork(DOCUMENT, 'f')).toMatchObject({ edge: { podsPerNode: 128 }, otherNetworks: [], nameServers: [] })
})

test('all problems at once, each with its path', () => {
  const message = refusal(
    DOCUMENT.replace('172.21.0.0/20', '172.21.0.1/20')
      .replace('kind: ecr', 'kind: router')
      .replace('asNumber: 65001', 'asNumber: 65001, as: 1')
      .replace('nodes: 40', 'nodes: forty')
      .replace('growthPerYear: 10', 'growthPerYear: much')
      .replace('edge: {podCIDRs: [10.0.0.0/8]}', 'edge: {podCIDRs: []}'),
  )
  for (const line of [
    'serviceCIDRs[0]: "172.21.0.1/20" is not a CIDR block: host bits are set; did you mean 172.21.0.0/20?',
    'edge.podCIDRs: ',
    'dataCenters[0].path[2].kind: must be one of core-switch, gateway, vpn-gateway, vbr, ecr, cen, transit-router',
    'dataCenters[0].lans[0].switches[0].as: unknown key',
    'dataCenters[0].lans[0].nodes: must be a number, not "forty"',
    'dataCenters[0].lans[0].growthPerYear: a number of nodes, such as 20, or a share of those that are there, such as 15%',
  ])
    expect(message).toContain(line)
})

test('a key that stands twice is an error: the first would be lost', () => {
  expect(refusal(`${DOCUMENT}serviceCIDRs: [172.22.0.0/20]\n`)).toContain('duplicated mapping key')
})

test('an empty file says what is required', () => {
  const message = refusal('# nothing yet\n')
  for (const key of ['vpc', 'serviceCIDRs', 'edge', 'dataCenters']) expect(message).toContain(`  ${key}: is required`)
})

test('addresses are made canonical', () => {
  const decoded = network(draft => {
    draft.nameServers = ['FD00:0::1']
  })
  expect(decoded.nameServers).toEqual(['fd00::1'])
})

test.each(JOINS.map(join => [join] as const))('what plan init writes has no problems (%s)', join => {
  const texts: Partial<Record<keyof Answers, string>> = {}
  for (const { key, fallback, problem } of QUESTIONS) {
    texts[key] = key === 'join' ? join : fallback(texts)
    expect(problem(texts[key])).toBeUndefined()
  }
  const text = networkTemplate(answersOf(texts as Record<keyof Answers, string>))
  const plan = planOf(decodeNetwork(text, 'network.yaml'), NOW)
  expect(hasProblems(plan)).toBe(false)
  expect(plan.findings.filter(({ severity }) => severity === 'warning')).toEqual([])
  expect(text.split('\n').every(line => line.length <= 100)).toBe(true)
})
