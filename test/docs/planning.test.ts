/**
 * docs/planning.md: its example is the one that tests plan, its table is the program's, its
 * commands run.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { planOf } from '../../src/planner/plan.ts'
import { planMarkdown } from '../../src/planner/plan-text.ts'
import { DOCUMENT, NOW, network } from '../planner/networks.ts'
import { codeBlocks, commands, generatedPart, longLines, runDocumented } from './markdown.ts'

const FILE = 'docs/planning.md'
const markdown = readFileSync(FILE, 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'planning-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the example is the network that the tests plan', () => {
  expect(
    codeBlocks(markdown)
      .find(({ language }) => language === 'yaml')
      ?.text.trim(),
  ).toBe(DOCUMENT.trim())
})

test('the routes are those that the program prints', () => {
  const whole = planMarkdown(planOf(network(), NOW))
  const routes = whole.slice(whole.indexOf('### '), whole.indexOf('## What firewalls'))
  expect(generatedPart(FILE, 'routes', `\n${routes}`)).toBe(`\n${routes}`)
})

/** Those that need a cluster are run by test/commands/plan-cluster.test.ts. */
const NEEDS_CLUSTER = /--kubeconfig/
/** What is applied is applied in test/commands/manifests.test.ts. */
const APPLIED = / \| kubectl apply -f -$/

test('its commands run, in their order', () => {
  writeFileSync(join(folder, 'network.yaml'), DOCUMENT)
  const all = commands(markdown)
    .filter(line => !NEEDS_CLUSTER.test(line))
    .map(line => line.replace(APPLIED, ''))
  expect(all.length).toBeGreaterThan(6)
  for (const line of all) {
    expect(runDocumented(line, folder), line).toMatchObject({ status: 0, stderr: '' })
  }
  expect(readFileSync(join(folder, 'change-request.md'), 'utf8')).toContain('## Routes')
}, 300_000)

test('no line of prose is too long for a terminal', () => {
  expect(longLines(markdown)).toEqual([])
})
