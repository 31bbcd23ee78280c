/**
 * A plan as text for people at a terminal, and as Markdown for a change request. Pure.
 */
import { blocksText, counted } from '../lib/count-text.ts'
import { type Column, formatTable, printable } from '../lib/table.ts'
import { forecastText } from './capacity.ts'
import type { DeviceRoute } from './device-routes.ts'
import type { Finding, Severity } from './finding.ts'
import { hasProblems, type Plan } from './plan.ts'
import type { SecurityRule } from './security.ts'

/** A table before it is laid out. */
interface Grid {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly string[])[]
}

const LABELS: Readonly<Record<Severity, string>> = { problem: 'PROBLEM', warning: 'Warning', note: 'Note' }

/** Said first, and by the exit status. */
function verdict(plan: Plan): string {
  const count = (severity: Severity) => plan.findings.filter(finding => finding.severity === severity).length
  const [problems, warnings] = [count('problem'), count('warning')]
  const rest = warnings === 0 ? '' : `, ${counted(warnings, 'warning')}`
  if (!hasProblems(plan)) return `The network can work as planned: no problems${rest}.`
  return `The network cannot work as planned: ${counted(problems, 'problem')}${rest}.`
}

export function planText(plan: Plan): string {
  return [
    verdict(plan),
    ...plan.findings.map(findingText),
    'Capacity',
    formatTable(poolGrid(plan).columns, poolGrid(plan).rows).trimEnd(),
    formatTable(lanGrid(plan).columns, lanGrid(plan).rows).trimEnd(),
    ...(plan.capacity.cloud.length === 0 ? [] : [formatTable(cloudGrid(plan).columns, cloudGrid(plan).rows).trimEnd()]),
    'Routes',
    formatTable(routeGrid(plan.routes).columns, routeGrid(plan.routes).rows).trimEnd(),
    'What firewalls must let through',
    formatTable(securityGrid(plan.security).columns, securityGrid(plan.security).rows).trimEnd(),
  ]
    .join('\n\n')
    .concat('\n')
}

function findingText({ severity, message, places, wayOut }: Finding): string {
  const at = places.map(({ path, value }) => `  ${[path, value].filter(Boolean).map(printable).join(': ')}`)
  return [`${LABELS[severity]}: ${printable(message)}`, ...at, `  Way out: ${printable(wayOut)}`].join('\n')
}

export function planMarkdown(plan: Plan): string {
  return `${[
    '# Network plan',
    verdict(plan),
    '## Findings',
    ...(plan.findings.length === 0 ? ['None.'] : plan.findings.map(findingMarkdown)),
    '## Capacity',
    gridMarkdown(poolGrid(plan)),
    gridMarkdown(lanGrid(plan)),
    ...(plan.capacity.cloud.length === 0 ? [] : [gridMarkdown(cloudGrid(plan))]),
    '## Routes',
    ...[...Map.groupBy(plan.routes, ({ device }) => device)].flatMap(([device, routes]) => [
      `### ${escaped(device)}`,
      gridMarkdown(withoutDevice(routes)),
    ]),
    '## What firewalls must let through',
    gridMarkdown(securityGrid(plan.security)),
  ].join('\n\n')}\n`
}

function findingMarkdown({ severity, message, places, wayOut }: Finding): string {
  const at = places.map(
    ({ path, value }) =>
      `  - ${[path, value]
        .filter(Boolean)
        .map(text => `\`${text}\``)
        .join(': ')}`,
  )
  return [`- **${LABELS[severity]}**: ${escaped(message)}`, ...at, `  - Way out: ${escaped(wayOut)}`].join('\n')
}

function cloudGrid({ capacity }: Plan): Grid {
  return {
    columns: titles('IN THE CLOUD', 'NODES', 'PODS', 'ADDRESSES', 'FULL'),
    rows: capacity.cloud.map(({ where, nodes, pods, addresses, ...rest }) => [
      where,
      String(nodes),
      String(pods),
      String(addresses),
      forecastText(rest),
    ]),
  }
}

function poolGrid({ capacity }: Plan): Grid {
  const families = capacity.families.map(family => [
    family.pools.map(({ podCIDR }) => podCIDR).join(', '),
    `/${family.blockLength}`,
    String(family.podsPerBlock),
    blocksText(family.nodes),
    String(capacity.nodesExpected),
    forecastText(family),
    family.append === undefined
      ? 'nothing is free'
      : `${family.append.podCIDR}: ${counted(family.append.nodes, 'node')} more, full ${forecastText(family.append)}`,
  ])
  return {
    columns: titles('POOLS', 'NODE BLOCK', 'PODS PER NODE', 'NODES AT MOST', 'NODES NOW', 'FULL', 'APPENDING'),
    rows: families,
  }
}

function lanGrid({ capacity }: Plan): Grid {
  return {
    columns: titles('LAN', 'NODES', 'IN 5 YEARS', 'PREFIXES THEN'),
    rows: capacity.lans.map(({ lan, nodes, nodesInFiveYears, prefixesInFiveYears }) => [
      lan,
      String(nodes),
      String(nodesInFiveYears),
      String(prefixesInFiveYears),
    ]),
  }
}

function routeGrid(routes: readonly DeviceRoute[]): Grid {
  return {
    columns: titles('DEVICE', 'DIRECTION', 'DESTINATION', 'NEXT HOP', 'HOW', 'WHY'),
    rows: routes.map(({ device, direction, destination, nextHop, how, why }) => [
      device,
      direction,
      destination,
      nextHop,
      how,
      why,
    ]),
  }
}

function withoutDevice(routes: readonly DeviceRoute[]): Grid {
  const { columns, rows } = routeGrid(routes)
  return { columns: columns.slice(1), rows: rows.map(cells => cells.slice(1)) }
}

function securityGrid(rules: readonly SecurityRule[]): Grid {
  return {
    columns: titles('WHERE', 'DIRECTION', 'PROTOCOL', 'PORTS', 'OTHER END', 'WHY'),
    rows: rules.map(({ where, direction, protocol, ports, peer, why }) => [
      where,
      direction,
      protocol,
      ports,
      peer,
      why,
    ]),
  }
}

function titles(...names: readonly string[]): readonly Column[] {
  return names.map(title => ({ title }))
}

function gridMarkdown({ columns, rows }: Grid): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`
  const names = columns.map(({ title }) => title[0] + title.slice(1).toLowerCase())
  return [line(names), `|${columns.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

/** What Markdown would read as its own. */
function escaped(text: string): string {
  return printable(text).replace(/[|\\`*_<>[\]]/g, character => `\\${character}`)
}
