/**
 * `terway-edge plan` as an operator calls it: exit statuses, formats, a first file by flags and by
 * answers, free ranges.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DOCUMENT } from '../planner/networks.ts'
import { run } from '../support/namespaces.ts'

const folder = mkdtempSync(join(tmpdir(), 'plan-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function plan(args: readonly string[], stdin?: string) {
  return run([process.execPath, 'src/main.ts', 'plan', ...args], {
    mayFail: true,
    ...(stdin !== undefined && { stdin }),
  })
}

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

test("the document's example: exit status 0, in three formats", () => {
  const path = file('network.yaml', DOCUMENT)
  const table = plan([path])
  expect(table).toMatchObject({ status: 0, stderr: '' })
  expect(table.stdout).toStartWith('The network can work as planned: no problems.\n')
  const json = JSON.parse(plan(['check', path, '-o', 'json']).stdout)
  expect(json).toMatchObject({ ok: true, capacity: { podsPerNode: 128 } })
  expect(json.routes.length).toBeGreaterThan(10)
  expect(plan([path, '-o', 'markdown']).stdout).toStartWith('# Network plan\n')
})

test('problems: exit status 3, with both ranges and a way out', () => {
  const { status, stdout } = plan([file('bad.yaml', DOCUMENT.replace('172.21.0.0/20', '10.96.0.0/12'))])
  expect(status).toBe(3)
  expect(stdout).toStartWith('The network cannot work as planned: 1 problem.\n')
  expect(stdout).toContain(
    'PROBLEM: Service CIDR 10.96.0.0/12 overlaps edge pod CIDR 10.0.0.0/8: a pod with such an address cannot be told from a Service\n' +
      '  serviceCIDRs[0]: 10.96.0.0/12\n  edge.podCIDRs[0]: 10.0.0.0/8\n  Way out: ',
  )
})

test('a file that cannot be read or has unknown keys, a wrong format: exit status 2', () => {
  expect(plan([join(folder, 'none.yaml')])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('plan init --out'),
  })
  expect(plan([file('keys.yaml', `${DOCUMENT}netwrok: {}\n`)])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('netwrok: unknown key'),
  })
  expect(plan(['-o', 'xml']).status).toBe(2)
})

test('init: by flags, and the plan of what it writes has no problems; a file that is there stays', () => {
  const path = join(folder, 'site.yaml')
  const flags = ['--vpc', '10.0.0.0/16', '--pods', '172.24.0.0/14', '--data-center', '10.1.0.0/16', '--nodes', '25']
  expect(plan(['init', ...flags, '--out', path])).toMatchObject({ status: 0, stderr: '' })
  expect(plan([path]).status).toBe(0)
  expect(plan(['init', '--out', path])).toMatchObject({ status: 2, stderr: expect.stringContaining('--force') })
  expect(plan(['init', '--vpc', '10.0.0.1/16'])).toMatchObject({ status: 2, stderr: expect.stringContaining('--vpc') })
})

test('init: by answers, where an empty one takes what is offered', () => {
  const { status, stdout } = plan(
    ['init', '--ask'],
    '10.0.0.0/16\n\n172.24.0.0/14\n64\n10.1.0.0/16\n\n\n12\n15%\n\n\nvpn\n',
  )
  expect(status).toBe(0)
  for (const part of ['cidrs: [10.0.0.0/16]', 'podCIDRs: [172.24.0.0/14]', 'podsPerNode: 64', '10.1.0.0/24', '15%'])
    expect(stdout).toContain(part)
  expect(plan([file('asked.yaml', stdout)]).status).toBe(0)
})

test('suggest: what is free, and exit status 1 where nothing is', () => {
  const path = file('network.yaml', DOCUMENT)
  expect(plan(['suggest', 'service', '--file', path, '--count', '1']).stdout).toBe('FREE\n172.18.0.0/20\n')
  expect(JSON.parse(plan(['suggest', 'pods', '--nodes', '500', '--file', path, '-o', 'json']).stdout)).toEqual([
    '172.18.0.0/16',
    '172.19.0.0/16',
    '172.20.0.0/16',
  ])
  expect(plan(['suggest', 'pods', '--length', '8', '--file', path])).toMatchObject({
    status: 1,
    stderr: 'no /8 is free; try a longer prefix (--length 9)\n',
  })
  expect(plan(['suggest', 'cheese', '--file', path]).status).toBe(2)
})
