/** scripts/soak: options, progress on stderr, the tables as Markdown on stdout. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { decodeOptions } from '../../src/lab/plan.ts'
import { errorText } from '../../src/lib/errors.ts'
import { drawn } from './faults.ts'
import { type Soak, soak } from './run.ts'

const HELP = `usage: sudo scripts/soak [--minutes N] [--seed N] [--switch bird,frr] [--ipv4]

Builds a lab (two LANs with real routers, four nodes, a VPC), and lets one fault after another
befall it, drawn from a seed: kills, hangs, cables, BGPPeers, Nodes, routes, pods. After each it
must be well again; packets are counted at about one each millisecond on each kind of path, and
most faults may cost none. Memory and descriptors of every process are read when all is calm.

  --minutes N    how long (default 60)
  --seed N       what is drawn (default 1)
  --switch R     bird or frr, or one for each LAN (default bird,frr)
  --ipv4         without IPv6

Prints tables; exit status 0 when all held, 1 when not, 2 for wrong usage.`

async function main(): Promise<number> {
  let values: ReturnType<typeof parse>
  try {
    values = parse()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return 2
  }
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const root = mkdtempSync(join(tmpdir(), 'terway-edge-soak-'))
  chmodSync(root, 0o755) // FRR's daemons run as a user of their own
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())
  try {
    const result = await soak({
      seed: Number(values.seed),
      seconds: Number(values.minutes) * 60,
      switches: values.switches,
      ipv6: !values.ipv4,
      directory: join(root, 'lab'),
      executable: resolve('dist/terway-edge'),
      faults: drawn,
      signal: interruption.signal,
      say: line => console.error(`soak: ${line}`),
    })
    console.log(tables(result))
    return result.violations.length === 0 ? 0 : 1
  } catch (error) {
    console.error(`soak: ${errorText(error)}`)
    return 1
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function parse() {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      minutes: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      switch: { type: 'string', default: 'bird,frr' },
      ipv4: { type: 'boolean', default: false },
    },
  })
  for (const name of ['minutes', 'seed'] as const)
    if (!/^\d+$/.test(values[name])) throw new Error(`--${name} takes a number, not ${values[name]}`)
  const { switches } = decodeOptions({ dir: '/', switch: values.switch, nodes: 'node-1,node-2' })
  return { ...values, switches }
}

function tables({ minutes, faults, sent, growth, violations }: Soak): string {
  const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)
  const times = faults.reduce((sum, fault) => sum + fault.times, 0)
  return `${minutes.toFixed(0)} minutes, ${times} faults, ${sent} packets.

| what happened | times | well again within, s | packets lost |
| --- | ---: | ---: | ---: |
${faults.map(row => `| ${row.name} | ${row.times} | ${row.longest.toFixed(1)} | ${row.lost} |`).join('\n')}

| process | minutes | memory, MB | in the end | growth in the second half, MB/h | files | in the end | |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
${growth
  .map(
    ({ name, minutes: age, memory, perHour, files, verdict }) =>
      `| ${name} | ${age.toFixed(0)} | ${mebibytes(memory[0])} | ${mebibytes(memory[1])} | ${verdict === 'too short to tell' ? '-' : mebibytes(perHour)} | ${files[0]} | ${files[1]} | ${verdict} |`,
  )
  .join('\n')}

${violations.length === 0 ? 'Nothing was lost that must not be, and nothing grew.' : violations.map(text => `- ${text}`).join('\n')}`
}

process.exit(await main())
