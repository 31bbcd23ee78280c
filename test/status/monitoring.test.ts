/**
 * What a user takes to Prometheus and Grafana: the exposed text, config/prometheus-alerts.yaml,
 * config/grafana-dashboard.json and the configurations in docs/monitoring.md, judged by promtool.
 */
import { afterAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { snapshotMetrics } from '../../src/status/metrics.ts'
import { processMetricsText } from '../../src/status/process-metrics.ts'
import { codeBlocks, longLines } from '../docs/markdown.ts'
import { testNeeding } from '../support/requires.ts'
import { FULL_CONTROLLER, FULL_NODE, PLAIN } from './full-sample.ts'
import { nodeSnapshot } from './sample.ts'

const ALERTS = 'config/prometheus-alerts.yaml'
const CASES = 'test/status/prometheus-alerts.test.yaml'
const DASHBOARD = 'config/grafana-dashboard.json'
const GUIDE = 'docs/monitoring.md'

const folder = mkdtempSync(join(tmpdir(), 'monitoring-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const NAMES = new Set(
  [FULL_NODE, FULL_CONTROLLER].flatMap(snapshot =>
    [...snapshotMetrics(snapshot).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name),
  ),
)

const RULES = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string(),
          labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
          annotations: z.strictObject({ summary: z.string(), description: z.string(), action: z.string() }),
        }),
      ),
    }),
  ),
})

const TESTS = z.object({
  tests: z.array(
    z.object({
      name: z.string(),
      input_series: z.array(z.object({ series: z.string() })).min(1),
      promql_expr_test: z
        .array(z.object({ expr: z.string(), exp_samples: z.array(z.unknown()) }))
        .min(1)
        .optional(),
    }),
  ),
})

const PANEL = z.object({
  id: z.number().int(),
  type: z.enum(['row', 'stat', 'timeseries', 'state-timeline', 'table']),
  title: z.string().min(1),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  targets: z.array(z.object({ refId: z.string(), expr: z.string().min(1) })).default([]),
})
const BOARD = z.object({ title: z.string(), uid: z.string(), schemaVersion: z.number(), panels: z.array(PANEL) })

/**
 * What Kubernetes' discovery finds: kubelets' addresses, one of them in the cloud; endpoints of two
 * Services.
 */
const NODE_TARGETS = [
  {
    targets: ['172.16.0.11:10250'],
    labels: {
      __meta_kubernetes_node_name: 'edge-1',
      __meta_kubernetes_node_address_InternalIP: '172.16.0.11',
      __meta_kubernetes_node_label_openyurt_io_is_edge_worker: 'true',
    },
  },
  {
    targets: ['[fd00:1::12]:10250'],
    labels: {
      __meta_kubernetes_node_name: 'edge-2',
      __meta_kubernetes_node_address_InternalIP: 'fd00:1::12',
      __meta_kubernetes_node_label_openyurt_io_is_edge_worker: 'true',
    },
  },
  {
    targets: ['192.168.0.9:10250'],
    labels: {
      __meta_kubernetes_node_name: 'ecs-1',
      __meta_kubernetes_node_address_InternalIP: '192.168.0.9',
    },
  },
]
const POD_TARGETS = [
  {
    targets: ['192.168.0.5:9180'],
    labels: {
      __meta_kubernetes_service_name: 'terway-edge-controller-metrics',
      __meta_kubernetes_endpoint_port_name: 'status',
      __meta_kubernetes_pod_name: 'terway-edge-controller-1',
    },
  },
  {
    targets: ['192.168.0.6:9180'],
    labels: {
      __meta_kubernetes_service_name: 'kube-dns',
      __meta_kubernetes_endpoint_port_name: 'metrics',
      __meta_kubernetes_pod_name: 'coredns-1',
    },
  },
]

function read(path: string): string {
  return readFileSync(path, 'utf8')
}

function board(): z.infer<typeof BOARD> {
  return BOARD.parse(JSON.parse(read(DASHBOARD)))
}

/** Its exit status and all that it said. */
function promtool(words: readonly string[], input = ''): { code: number; text: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['promtool', ...words], {
    stdin: Buffer.from(input),
    stderr: 'pipe',
  })
  return { code: exitCode, text: `${stdout}${stderr}` }
}

/** A panel's query as Prometheus gets it. */
function resolved(expr: string): string {
  return expr.replaceAll(/\$(bgp_peer|instance)\b/g, '.*')
}

describe('metrics', () => {
  for (const snapshot of [PLAIN, nodeSnapshot(), FULL_NODE, FULL_CONTROLLER]) {
    testNeeding('promtool')(`promtool check metrics has no word for a ${snapshot.role}`, () => {
      expect(promtool(['check', 'metrics'], snapshotMetrics(snapshot))).toEqual({ code: 0, text: '' })
    })
  }

  testNeeding('promtool')('promtool check metrics has no word for those of the process', () => {
    expect(promtool(['check', 'metrics'], processMetricsText())).toEqual({ code: 0, text: '' })
  })

  test('alerts, their cases and the dashboard name only metrics that exist', () => {
    for (const file of [ALERTS, CASES, DASHBOARD, GUIDE]) {
      const named = new Set(read(file).match(/terway_edge_[a-z_]*[a-z]/g))
      expect([file, named.size > 1, [...named].filter(name => !NAMES.has(name))]).toEqual([file, true, []])
    }
  })
})

describe('alerts', () => {
  testNeeding('promtool')('promtool test rules: every case', () => {
    const { code, text } = promtool(['test', 'rules', CASES])
    expect([code, text]).toEqual([0, expect.stringContaining('SUCCESS')])
  })

  test('each has a case that fires and one that is quiet', () => {
    const alerts = RULES.parse(Bun.YAML.parse(read(ALERTS))).groups.flatMap(({ rules }) => rules)
    const { tests } = TESTS.parse(Bun.YAML.parse(read(CASES)))
    const samples = (alert: string, word: string) =>
      tests
        .filter(({ name }) => name.startsWith(`${alert} ${word}`))
        .flatMap(({ promql_expr_test: queries = [] }) => queries)
        .map(({ expr, exp_samples }) => [expr, exp_samples.length])
    expect(alerts.length).toBeGreaterThan(15)
    for (const { alert } of alerts) {
      const expr = `ALERTS{alertname="${alert}", alertstate="firing"}`
      expect(samples(alert, 'fires')).toEqual([[expr, 1]])
      const quiet = samples(alert, 'is quiet')
      expect(quiet).toEqual(Array.from({ length: Math.max(1, quiet.length) }, () => [expr, 0]))
    }
  })
})

describe('dashboard', () => {
  test('its panels have an id of their own, fit the grid and do not overlap', () => {
    const { panels } = board()
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => [x + (index % w), y + Math.floor(index / w)] as const),
    )
    expect(cells.every(([x]) => x < 24)).toBe(true)
    expect(new Set(cells.map(String)).size).toBe(cells.length)
    for (const { type, title, targets } of panels) {
      expect([title, targets.length > 0]).toEqual([title, type !== 'row'])
    }
  })

  testNeeding('promtool')('Prometheus understands every query', () => {
    const queries = board().panels.flatMap(({ targets }) => targets.map(({ expr }) => resolved(expr)))
    const rules = queries.map((expr, index) => ({ record: `panel:query:${index}`, expr }))
    const file = join(folder, 'queries.yaml')
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
    const { code, text } = promtool(['check', 'rules', file])
    expect([code, text]).toEqual([0, expect.stringContaining(`${queries.length} rules found`)])
    expect(queries.filter(expr => expr.includes('$'))).toEqual([])
  })
})

describe('docs/monitoring.md', () => {
  const blocks = codeBlocks(read(GUIDE)).filter(({ text }) => text.includes('scrape_configs:'))

  test('it has a configuration for a central Prometheus and one for an agent on the node', () => {
    expect(blocks.map(({ text }) => text.includes('remote_write:'))).toEqual([false, true])
    expect(longLines(read(GUIDE))).toEqual([])
  })

  /** Writes a block with the files that it names; answers where it is. */
  function written(name: string, text: string): string {
    cpSync(ALERTS, join(folder, 'prometheus-alerts.yaml'))
    for (const [, file = ''] of text.matchAll(/credentials_file: ([\w.-]+)/g)) writeFileSync(join(folder, file), 'x')
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }

  /**
   * Debian's Prometheus has no discovery by Kubernetes. So the targets that it would find come from
   * a file, labelled as Kubernetes' are; all else of the block is as it stands.
   */
  function withTargetsOfFile(text: string): string {
    const [nodes, pods] = [join(folder, 'nodes.json'), join(folder, 'pods.json')]
    writeFileSync(nodes, JSON.stringify(NODE_TARGETS))
    writeFileSync(pods, JSON.stringify(POD_TARGETS))
    const replaced = text
      .replace('kubernetes_sd_configs: [{role: node}]', `file_sd_configs: [{files: [${nodes}]}]`)
      .replace(/kubernetes_sd_configs:\n +- role: endpoints\n.*\n/, `file_sd_configs: [{files: [${pods}]}]\n`)
    expect(replaced.match(/_sd_configs/g)?.length).toBe(2)
    expect(replaced).not.toContain('kubernetes_sd_configs')
    return replaced
  }

  /** Address and instance of each target of a job that is scraped after relabelling. */
  function scraped(config: string, job: string): string[] {
    const { text } = promtool(['check', 'service-discovery', '--timeout=1s', config, job])
    const targets = z
      .array(z.object({ labels: z.record(z.string(), z.string()) }))
      .parse(JSON.parse(text.slice(text.indexOf('['), text.lastIndexOf('\n]') + 2)))
    return targets
      .filter(({ labels }) => Object.keys(labels).length > 0)
      .map(({ labels }) => `${labels.__address__} ${labels.instance}`)
      .sort()
  }

  testNeeding('promtool')('that of a Prometheus is accepted, and picks and names the right targets', () => {
    const config = written('prometheus.yaml', withTargetsOfFile(blocks[0]?.text ?? ''))
    const { code, text } = promtool(['check', 'config', config])
    expect([code, text]).toEqual([0, expect.stringContaining('SUCCESS')])
    expect(scraped(config, 'terway-edge-nodes')).toEqual(['172.16.0.11:9179 edge-1', '[fd00:1::12]:9179 edge-2'])
    expect(scraped(config, 'terway-edge-controller')).toEqual(['192.168.0.5:9180 terway-edge-controller-1'])
  })

  testNeeding('promtool')('that of an agent is accepted as it stands', () => {
    const config = written('agent.yaml', blocks[1]?.text ?? '')
    const { code, text } = promtool(['check', 'config', '--agent', config])
    expect([code, text]).toEqual([0, expect.stringContaining('SUCCESS')])
  })
})
