/**
 * A real Prometheus that asks the status interfaces of a node and a controller, with the alerts of
 * config/ and the scrape configurations of docs/monitoring.md (discovery by Kubernetes, which
 * Debian's Prometheus does not have, replaced by the addresses that it would find): both are up,
 * every rule is evaluated, every query of the dashboard gives series, and an alert goes off.
 */
import { expect } from 'bun:test'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { startStatusServer } from '../../src/status/server.ts'
import { codeBlocks } from '../docs/markdown.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { FULL_CONTROLLER, FULL_NODE } from './full-sample.ts'

const TOKEN = 'a-token-of-32-characters-or-more'
const JOBS = z.object({ job_name: z.string(), authorization: z.object({ credentials_file: z.string() }).optional() })
const CONFIG = z.object({ scrape_configs: z.array(JOBS).min(1) })
const ANSWER = z.object({ status: z.literal('success'), data: z.unknown() })
const RULES = z.object({
  groups: z.array(
    z.object({ rules: z.array(z.object({ name: z.string(), health: z.string(), state: z.string().optional() })) }),
  ),
})
const RESULT = z.object({ result: z.array(z.unknown()) })
const BOARD = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) })),
})

function serve(snapshot: Snapshot) {
  return startStatusServer({
    listen: '127.0.0.1:0',
    token: new Secret(TOKEN),
    snapshot: () => ({ ...snapshot, time: new Date().toISOString() }),
    onChange: () => () => {},
    clock: systemClock,
    log: silentLog,
  })
}

/** The first configuration of the guide, with static addresses in the place of discovery. */
function configuration(targets: Readonly<Record<string, number>>): string {
  const [block] = codeBlocks(readFileSync('docs/monitoring.md', 'utf8')).filter(({ text }) =>
    text.includes('kubernetes_sd'),
  )
  const { scrape_configs } = CONFIG.parse(Bun.YAML.parse(block?.text ?? ''))
  const jobs = scrape_configs.map(({ job_name, authorization }) => {
    const instance = job_name.endsWith('controller') ? 'controller-1' : 'edge-1'
    const static_configs = [{ targets: [`127.0.0.1:${targets[job_name]}`], labels: { instance } }]
    return { job_name, authorization, static_configs }
  })
  const global = { scrape_interval: '1s', evaluation_interval: '1s' }
  return JSON.stringify({ global, rule_files: ['prometheus-alerts.yaml'], scrape_configs: jobs })
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const server = createServer().listen(0, '127.0.0.1', () => {
    const address = server.address()
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
  })
  return promise
}

testNeeding('prometheus')(
  'Prometheus scrapes node and controller; rules, dashboard and alerts work',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'te-prometheus-'))
    const down = FULL_NODE.sessions.map(session => ({ ...session, state: 'Active', since: '2026-03-01T11:00:00Z' }))
    const node = serve({ ...FULL_NODE, ready: false, sessions: down })
    const controller = serve(FULL_CONTROLLER)
    const port = await freePort()
    copyFileSync('config/prometheus-alerts.yaml', join(folder, 'prometheus-alerts.yaml'))
    for (const job of ['nodes', 'controller']) writeFileSync(join(folder, `terway-edge-${job}.token`), TOKEN)
    const targets = { 'terway-edge-nodes': node.port, 'terway-edge-controller': controller.port }
    writeFileSync(join(folder, 'prometheus.yml'), configuration(targets))
    const prometheus = Bun.spawn(
      [
        'prometheus',
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdout: 'ignore', stderr: 'ignore' },
    )
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
      return ANSWER.parse(await answer.json()).data
    }
    const query = async (expr: string) => RESULT.parse(await ask(`query?query=${encodeURIComponent(expr)}`)).result
    try {
      await eventually('both are up', async () => (await query('up{job=~"terway-edge.*"} == 1')).length === 2)
      await eventually('every rule is evaluated', async () => {
        const rules = RULES.parse(await ask('rules')).groups.flatMap(group => group.rules)
        return rules.length > 15 && rules.every(({ health }) => health === 'ok')
      })
      await eventually('an alert is on its way', async () => {
        const alerts = await query('ALERTS{alertname=~"TerwayEdge.*", alertstate=~"pending|firing"}')
        return alerts.length > 0
      })
      const { panels } = BOARD.parse(JSON.parse(readFileSync('config/grafana-dashboard.json', 'utf8')))
      const exprs = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })))
      const without: string[] = []
      await eventually('every query of the dashboard gives series', async () => {
        without.length = 0
        for (const { title, expr } of exprs) {
          const plain = expr.replaceAll(/\$(bgp_peer|instance)\b/g, '.*').replaceAll('$__rate_interval', '1m')
          if ((await query(plain)).length === 0) without.push(`${title}: ${expr}`)
        }
        if (without.length > 0) throw new Error(without.join('\n'))
        return true
      })
      expect(without).toEqual([])
    } finally {
      prometheus.kill('SIGKILL')
      await prometheus.exited
      await Promise.all([node.close(), controller.close()])
      rmSync(folder, { recursive: true, force: true })
    }
  },
  300_000,
)
