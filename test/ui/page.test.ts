/** The page in a real Chromium against a real server on loopback. */
import { afterAll, afterEach, expect } from 'bun:test'
import { silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { type StatusServer, startStatusServer } from '../../src/status/server.ts'
import { controllerSnapshot, nodeSnapshot, SampleSource, SESSION } from '../status/sample.ts'
import { TestBrowser, type TestPage } from '../support/browser.ts'
import { testNeeding } from '../support/requires.ts'

const servers: StatusServer[] = []
const visits: TestPage[] = []
let browser: TestBrowser | undefined
const needing = testNeeding('chromium')
const testInBrowser = (name: string, body: () => Promise<void>) => needing(name, body, 60_000)

afterEach(async () => {
  for (const { page } of visits.splice(0)) await page.context().close()
  for (const server of servers.splice(0)) await server.close()
})
afterAll(() => browser?.close())

interface Visit extends TestPage {
  readonly server: StatusServer
  readonly source: SampleSource
}

async function visit(
  snapshot: Snapshot,
  options: { width?: number; dark?: boolean; token?: string } = {},
): Promise<Visit> {
  const source = new SampleSource(snapshot)
  const token = options.token === undefined ? undefined : new Secret(options.token)
  const server = startStatusServer({ ...source, listen: '127.0.0.1:0', log: silentLog, token })
  servers.push(server)
  browser ??= await TestBrowser.launch()
  const opened = await browser.page({
    viewport: { width: options.width ?? 1280, height: 800 },
    colorScheme: options.dark === true ? 'dark' : 'light',
  })
  visits.push(opened)
  await opened.page.goto(server.url)
  return { ...opened, server, source }
}

/** The cells of a table, row by row. */
function rows({ page }: TestPage, section: string): Promise<string[][]> {
  const table = page.locator(`#${section} tbody tr`)
  return table.evaluateAll(all => all.map(row => [...row.children].map(cell => cell.textContent)))
}

function live({ page }: TestPage): Promise<void> {
  return page.locator('#link[data-state="live"]').waitFor()
}

testInBrowser('a controller shows nodes, CIDRs, LANs, sessions, pools and events', async () => {
  const visited = await visit(controllerSnapshot())
  const { page, complaints, strangers } = visited
  await live(visited)
  expect(await page.title()).toBe('controller · terway-edge')
  expect(await page.locator('#subtitle').textContent()).toBe('terway-edge 0.1.0, controller')
  const nodes = await rows(visited, 'nodes')
  expect(nodes.map(([name, ready, addresses, podCIDRs]) => [name, ready, addresses, podCIDRs])).toEqual([
    ['edge-2', 'NotReady', '172.16.0.12', '10.0.0.128/25fd00:10::/64'],
    ['edge-3', '–', '172.16.1.11', '–'],
    ['edge-1', 'Ready', '172.16.0.11', '10.0.0.0/25'],
  ])
  const sessions = await rows(visited, 'sessions')
  expect(sessions.map(cells => cells.slice(0, 3))).toEqual([
    ['lan-b', 'edge-3', 'Active'],
    ['lan-a', 'edge-1', 'Established'],
  ])
  expect(sessions[1]?.[3]).toStartWith('1h ')
  expect((await rows(visited, 'lans')).map(([name]) => name)).toEqual(['lan-b', 'lan-a'])
  const pool = (await rows(visited, 'pools'))[0]
  expect(pool?.slice(0, 4)).toEqual(['10.0.0.0/16', '/25', '2', '512'])
  expect(pool?.at(-1)).toBe('2031-05')
  for (const id of ['plan', 'departures']) expect(await page.locator(`#${id}`).isVisible()).toBe(false)
  expect((await rows(visited, 'events'))[0]?.slice(0, 3)).toEqual([
    expect.stringMatching(/^\d+m \d+s ago$/),
    'Warning',
    'FailedEstablish',
  ])
  expect(await page.locator('#routes').isVisible()).toBe(false)
  const pictures = await page.locator('#picture svg').evaluateAll(all => all.map(svg => svg.getAttribute('aria-label')))
  expect(pictures).toEqual([
    'lan-a: switch 172.16.0.1 of AS 65001; 2 nodes · 1 of 1 sessions Established · gateway 172.16.0.254',
    'lan-b: switch 172.16.1.1 of AS 65002; 1 node · 0 of 1 sessions Established',
  ])
  expect([complaints, strangers]).toEqual([[], []])
})

testInBrowser(
  'nodes of the cloud show their mode, interfaces and addresses in use, in picture and tables',
  async () => {
    const snapshot = controllerSnapshot()
    const interfaces = [
      { id: 'eni-1', vSwitchID: 'vsw-1', state: 'InUse', addresses: 6, releasing: 0 },
      { id: 'eni-2', vSwitchID: 'vsw-1', state: 'Attaching', addresses: 3, releasing: 0 },
    ]
    const about = { instanceID: 'i-1', instanceType: 'ecs.g7.large', vSwitchIDs: ['vsw-1'], capacity: 12 }
    const cloud = { ...about, mode: 'eni-ecs', interfaces, inUse: 4, idle: 2, waiting: 0, operations: [] } as const
    const added = { name: 'cloud-1', addresses: ['192.168.1.11'], podCIDRs: [], peers: [], speakerOf: [], cloud }
    const visited = await visit({ ...snapshot, nodes: [...snapshot.nodes, added] })
    const { page, complaints } = visited
    await live(visited)
    const [row] = (await rows(visited, 'nodes')).filter(([name]) => name === 'cloud-1')
    expect(row?.slice(4, 6)).toEqual(['eni-ecs', '4 of 12'])
    expect((await rows(visited, 'interfaces')).map(([id, , vSwitch, state]) => [id, vSwitch, state])).toEqual([
      ['eni-2', 'vsw-1', 'Attaching'],
      ['eni-1', 'vsw-1', 'InUse'],
    ])
    const pictures = await page
      .locator('#picture svg')
      .evaluateAll(all => all.map(svg => svg.getAttribute('aria-label')))
    expect(pictures.at(-1)).toBe('Cloud (ECS): vSwitch vsw-1; 1 node · 2 interfaces · 4 in use')
    expect(await page.locator('svg .eni').count()).toBe(2)
    expect(await page.locator('svg .plug').count()).toBe(2)
    expect(complaints).toEqual([])
  },
)

testInBrowser('a controller that was given a plan shows it beside what is', async () => {
  const snapshot = controllerSnapshot()
  const { controller } = snapshot
  if (controller === undefined) throw new Error('no controller')
  const lans = [
    { lan: 'factory', bgpPeers: ['lan-a'], nodes: 2, plannedNodes: 8, growthPerYear: '2', nodesInFiveYears: 18 },
    { lan: 'shop', bgpPeers: ['lan-b'], nodes: 3, plannedNodes: 2, growthPerYear: '0', nodesInFiveYears: 3 },
  ]
  const departures = [{ where: 'BGPPeer lan-a: peerAsNumber', planned: '65009', is: '65001' }]
  const pools = controller.pools.map(pool => ({ ...pool, plannedFullIn: '2040-01' }))
  const visited = await visit({ ...snapshot, controller: { ...controller, pools, plan: { lans, departures } } })
  const { page, complaints } = visited
  await live(visited)
  expect((await rows(visited, 'pools'))[0]?.slice(-2)).toEqual(['2031-05', '2040-01'])
  expect(await rows(visited, 'plan')).toEqual([
    ['shop', 'lan-b', '3', '2', '3 of 2', '0', '3'],
    ['factory', 'lan-a', '2', '8', '2 of 8', '2', '18'],
  ])
  expect(await rows(visited, 'departures')).toEqual([['BGPPeer lan-a: peerAsNumber', '65009', '65001']])
  const summary = page.locator('#summary')
  expect(await summary.textContent()).toContain('Nodes planned5 / 101 otherwise')
  visited.source.change({ controller: { ...controller, plan: { lans, departures: [] } } })
  await summary.filter({ hasText: 'as planned' }).waitFor()
  expect(await page.locator('#departures').isVisible()).toBe(false)
  expect(complaints).toEqual([])
})

testInBrowser('beside a problem stands what to do about it, where that can be said', async () => {
  const problems = ['packets do not arrive', 'something else']
  const visited = await visit(nodeSnapshot({ problems, remedies: { 'packets do not arrive': 'look at the switch' } }))
  await live(visited)
  const items = visited.page.locator('#problem-list li')
  expect(await items.allTextContents()).toEqual(['packets do not arrivelook at the switch', 'something else'])
  const remedy = visited.page.locator('#problem-list .remedy')
  expect(await remedy.allTextContents()).toEqual(['look at the switch'])
  expect(await remedy.isVisible()).toBe(true)
  // one that stays is not made anew
  await visited.page.evaluate(`document.querySelector('#problem-list li').dataset.mark = 'kept'`)
  const { node } = nodeSnapshot()
  if (node === undefined) throw new Error('no node')
  visited.source.change({ node: { ...node, name: 'edge-9' } })
  await visited.page.locator('#title', { hasText: 'edge-9' }).waitFor()
  expect(await visited.page.locator('#problem-list li[data-mark=kept]').count()).toBe(1)
  expect(visited.complaints).toEqual([])
})

testInBrowser('a node shows itself, its routes and what is in its way', async () => {
  const visited = await visit(nodeSnapshot())
  await live(visited)
  expect(await visited.page.title()).toBe('(!) edge-1 · terway-edge')
  expect(await visited.page.locator('#problem-list').textContent()).toContain('the API server has not answered')
  expect(await visited.page.locator('#summary').textContent()).toContain('Not connected')
  expect((await rows(visited, 'routes')).map(([destination, via, , state]) => [destination, via, state])).toEqual([
    ['10.0.1.0/25', '172.16.0.254', 'failed'],
    ['10.0.0.128/25', '172.16.0.12', 'present'],
  ])
})

testInBrowser('a change shows without a reload, and rows that did not change stay the same elements', async () => {
  const visited = await visit(controllerSnapshot())
  const { page, source, complaints } = visited
  await live(visited)
  await page.evaluate(`document.querySelector('#sessions tbody tr:last-child').dataset.mark = 'kept'`)
  const broken = { ...SESSION, bgpPeer: 'lan-b', node: 'edge-3', peerIP: '172.16.1.1', lastError: 'refused' }
  source.change({ sessions: [SESSION, { ...broken, state: 'OpenConfirm' }] })
  await page.getByRole('cell', { name: 'OpenConfirm' }).waitFor()
  expect(await page.locator('#sessions tr[data-mark=kept]').textContent()).toContain('edge-1')
  source.change({ sessions: [] })
  await page.getByText('No sessions: no BGPPeer names a speaker here.').waitFor()
  expect(complaints).toEqual([])
})

testInBrowser('ages tick by themselves, by the clock of the server', async () => {
  const visited = await visit(controllerSnapshot())
  await live(visited)
  const since = visited.page.locator('#sessions tbody tr:first-child time')
  const before = (await since.textContent()) ?? ''
  await since.filter({ hasNotText: before }).waitFor()
  const after = (await since.textContent()) ?? ''
  // Active since 11:58:20, taken at 12:00:00: years ago by this machine's clock
  expect(secondsOf(before)).toBeGreaterThanOrEqual(100)
  expect(secondsOf(after)).toBeGreaterThan(secondsOf(before))
  expect(secondsOf(after)).toBeLessThan(3600)
})

function secondsOf(age: string): number {
  const match = /^(\d+)m (\d+)s/.exec(age)
  return match === null ? Number.NaN : Number(match[1]) * 60 + Number(match[2])
}

testInBrowser('names and messages that look like markup stay text', async () => {
  const evil = '<img src=x onerror=alert(1)>'
  const snapshot = controllerSnapshot()
  const visited = await visit(
    controllerSnapshot({
      version: evil,
      problems: [evil],
      remedies: { [evil]: evil },
      nodes: [{ name: evil, addresses: [evil], podCIDRs: [evil], peers: [evil], speakerOf: [evil], problem: evil }],
      lans: snapshot.lans.map(lan => ({
        ...lan,
        bgpPeer: evil,
        peerIP: evil,
        nodes: [evil],
        speakers: [evil],
        problem: evil,
      })),
      sessions: [{ ...SESSION, bgpPeer: evil, node: evil, state: evil, since: evil, lastError: evil }],
      events: [{ time: evil, type: 'Warning', reason: evil, object: evil, message: evil }],
      controller: { leader: evil, isLeader: false, pools: [] },
    }),
  )
  await live(visited)
  expect((await rows(visited, 'nodes'))[0]?.slice(0, 1)).toEqual([evil])
  expect((await rows(visited, 'sessions'))[0]?.slice(0, 3)).toEqual([evil, evil, evil])
  expect(await visited.page.locator('main img, main script, main iframe').count()).toBe(0)
  expect([visited.complaints, visited.strangers]).toEqual([[], []])
})

testInBrowser('when its server goes, the page says so, and it finds it again', async () => {
  const visited = await visit(controllerSnapshot())
  const { page, server, source } = visited
  await live(visited)
  await server.close()
  await page.getByRole('alert').filter({ hasText: "connection to this page's server is lost" }).waitFor()
  expect(await page.locator('#link').textContent()).toBe('Connection lost')
  await page.getByRole('alert').filter({ hasText: 'Trying again. (it does not answer)' }).waitFor()
  const age = page.locator('#summary time').first()
  const frozen = await age.textContent()
  await Bun.sleep(2100) // two ticks
  expect(await age.textContent()).toBe(frozen)
  expect((await rows(visited, 'nodes')).length).toBe(3)
  const again = startStatusServer({ ...source, listen: `127.0.0.1:${server.port}`, log: silentLog })
  servers.push(again)
  await page.getByRole('button', { name: 'Try now' }).click()
  await live(visited)
  expect(await page.locator('#lost').isVisible()).toBe(false)
  expect(visited.strangers).toEqual([])
})

testInBrowser('where a token is needed, the page asks for it and then shows the data', async () => {
  const token = '0123456789abcdef'
  const visited = await visit(controllerSnapshot(), { token })
  const { page } = visited
  const field = page.getByLabel('This server asks for a token')
  await field.fill('wrong-wrong-wrong-wrong')
  await field.press('Enter')
  await page.getByText('The server does not know this token.').waitFor()
  expect(await page.locator('main').isVisible()).toBe(false)
  await field.fill(token)
  await page.getByRole('button', { name: 'Show', exact: true }).click()
  await live(visited)
  expect((await rows(visited, 'nodes')).length).toBe(3)
})

function manyNodes(count: number): Snapshot {
  return controllerSnapshot({
    nodes: Array.from({ length: count }, (_, index) => ({
      name: `edge-${index}`,
      addresses: [`172.${index >> 8}.${index & 255}.1`],
      podCIDRs: [`10.${index >> 8}.${index & 255}.0/25`],
      peers: [],
      speakerOf: [],
    })),
  })
}

testInBrowser('among a thousand nodes the keyboard finds one', async () => {
  const visited = await visit(manyNodes(1000))
  const { page, complaints } = visited
  await live(visited)
  expect((await rows(visited, 'nodes')).length).toBe(200)
  await page.getByRole('button', { name: 'Show all 1000' }).click()
  expect((await rows(visited, 'nodes')).length).toBe(1000)
  await page.keyboard.press('/')
  await page.keyboard.type('EDGE-77 10.3.')
  const found = Array.from({ length: 10 }, (_, index) => `edge-${770 + index}`)
  expect((await rows(visited, 'nodes')).map(([name]) => name)).toEqual(found)
  expect(await page.locator('#nodes caption').textContent()).toContain('of 1000')
  await page.keyboard.press('Escape')
  expect((await rows(visited, 'nodes')).length).toBe(1000)
  expect(complaints).toEqual([])
})

testInBrowser('it fits a telephone, light and dark, and its tables keep their roles', async () => {
  for (const dark of [false, true]) {
    const visited = await visit(nodeSnapshot(), { width: 360, dark })
    const { page } = visited
    await live(visited)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
    await page
      .getByRole('table', { name: /^BGP sessions/ })
      .getByRole('row')
      .filter({ hasText: 'Established' })
      .getByRole('rowheader')
      .waitFor()
    const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    expect([dark, ground]).toEqual([dark, dark ? 'rgb(16, 21, 27)' : 'rgb(245, 246, 248)'])
  }
})

testInBrowser('every table has a caption and headers with a scope', async () => {
  const visited = await visit(nodeSnapshot())
  await live(visited)
  const tables = await visited.page
    .locator('table')
    .evaluateAll(all =>
      all.map(table => [
        table.querySelector('caption')?.textContent !== '',
        [...table.querySelectorAll('th')].every(cell => ['col', 'row'].includes(cell.getAttribute('scope') ?? '')),
      ]),
    )
  expect(tables.length).toBe(10)
  expect(tables.flat().every(Boolean)).toBe(true)
})

testInBrowser(
  'a link leads to what is filtered, the history has a row for each transition, packets colour the line',
  async () => {
    const history = [
      { time: '2026-03-01T11:00:00Z', what: 'up', times: 1 },
      { time: '2026-03-01T10:50:00Z', lastTime: '2026-03-01T10:59:00Z', what: 'failed', reason: 'refused', times: 4 },
    ] as const
    const [first, ...others] = controllerSnapshot().sessions
    if (first === undefined) throw new Error('no session')
    const sessions = [{ ...first, history, routesVerified: 'False' } as const, ...others]
    const visited = await visit(controllerSnapshot({ sessions }))
    const { page, complaints } = visited
    await live(visited)
    expect(await page.locator('svg .session.up.lost').count()).toBe(1)
    expect((await rows(visited, 'history')).map(cells => cells.slice(1))).toEqual([
      ['lan-a edge-1', 'came up', '–', '–'],
      ['lan-a edge-1', 'failed', '4', 'refused'],
    ])
    await page.locator('#filter').fill('edge-3')
    await page.waitForURL(url => url.hash === '#filter=edge-3')
    const names = async () => (await rows(visited, 'nodes')).map(([name]) => name)
    expect(await names()).toEqual(['edge-3'])
    await page.reload()
    await live(visited)
    expect(await names()).toEqual(['edge-3'])
    visited.source.change({ nodes: controllerSnapshot().nodes.map(node => ({ ...node, podCIDRs: ['10.9.0.0/25'] })) })
    await page.locator('#nodes td', { hasText: '10.9.0.0/25' }).first().waitFor()
    expect(complaints).toEqual([])
  },
)
