/** The counter that other tests believe, held against a loss that is known. */
import { afterEach, expect } from 'bun:test'
import { eventually, run, TestNetwork } from './namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from './packets.ts'
import { testNeeding } from './requires.ts'

let network: TestNetwork | undefined
afterEach(() => network?.close())

const test = testNeeding(...COUNTING_NEEDS, 'nft', 'ping')

/** Two machines; `drop` is what the far one does not hear: an nft expression, or nothing. */
async function machines(drop?: string): Promise<{ near: string; network: TestNetwork }> {
  network = new TestNetwork()
  const [near, far] = [network.namespace('near'), network.namespace('far')]
  const made = network
  made.connect(
    { namespace: near, interface: 'eth0', addresses: ['172.16.0.1/24', 'fd01::1/64'] },
    { namespace: far, interface: 'eth0', addresses: ['172.16.0.2/24', 'fd01::2/64'] },
  )
  // IPv6 has no neighbour before its link-local address is no longer tentative
  const hears = (to: string) => made.exec(near, ['ping', '-c', '1', '-W', '1', to], { mayFail: true }).status === 0
  await eventually('each hears the other', () => hears('172.16.0.2') && hears('fd01::2'))
  if (drop !== undefined)
    run(['ip', 'netns', 'exec', far, 'nft', '-f', '-'], {
      stdin: `table inet loss { chain input { type filter hook input priority 0; ${drop} counter drop; }; }`,
    })
  return { near, network: made }
}

for (const to of ['172.16.0.2', 'fd01::2']) {
  test(`none is lost where none is dropped, to ${to}`, async () => {
    const site = await machines()
    const { sent, lost } = await countingPackets(site.network, { namespace: site.near, to }, () => Bun.sleep(1000))
    expect(sent).toBeGreaterThan(500)
    expect(lost).toBe(0)
  })

  test(`each that the far end drops is one that was lost, to ${to}`, async () => {
    const echo = to.includes(':') ? 'icmpv6 type echo-request' : 'icmp type echo-request'
    const site = await machines(`${echo} numgen inc mod 10 3`)
    const { sent, lost } = await countingPackets(site.network, { namespace: site.near, to }, () => Bun.sleep(1000))
    expect(sent).toBeGreaterThan(500)
    expect(lost).toBe(Math.floor((sent + 6) / 10))
  })
}

test('a way that is gone for a while costs what was sent meanwhile, refused or not', async () => {
  const site = await machines()
  const { sent, lost } = await countingPackets(site.network, { namespace: site.near, to: '172.16.0.2' }, async () => {
    site.network.ip(site.near, 'link set eth0 down')
    await Bun.sleep(300)
    site.network.ip(site.near, 'link set eth0 up')
    await Bun.sleep(1000)
  })
  expect(lost).toBeGreaterThan(100)
  expect(sent - lost).toBeGreaterThan(100)
})
