/**
 * `terway-edge bgp decode` as a process: where it reads from, what it says beside the messages, and
 * its exit status.
 */
import { expect, test } from 'bun:test'
import { AS_PATH, attribute, bytes, message, ORIGIN, update } from '../bgp/codec/support.ts'

const BIRD = 'test/vectors/bird-2.0.12.pcap'

async function decode(
  args: readonly string[],
  stdin: Blob | string = '',
): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([process.execPath, 'src/main.ts', 'bgp', 'decode', ...args], {
    stdin: new Blob([stdin]),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { status, stdout, stderr }
}

test('a capture from stdin is that from a file', async () => {
  const file = await decode(['--pcap', BIRD])
  expect(file.stdout.split('\n').length).toBeGreaterThan(5)
  expect(await decode(['--pcap', '-'], Bun.file(BIRD))).toEqual(file)
  expect(file).toMatchObject({ status: 0, stderr: '' })
})

test('packets that are not read are told', async () => {
  const header = 'a1b2c3d4 0002 0004 00000000 00000000 00040000 00000093'
  const file = new Blob([Buffer.from(bytes(`${header} 00000000 00000000 00000001 00000001 ff`))])
  const { status, stdout, stderr } = await decode(['--pcap', '-'], file)
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  expect(stderr).toContain('stdin: 1 packet of link type 147 not read')
})

test('what is no capture is said, and is a failure', async () => {
  const { status, stderr } = await decode(['--pcap', 'package.json'])
  expect(stderr).toContain('package.json is neither a pcap nor a pcapng file')
  expect(status).toBe(1)
  expect((await decode(['--pcap', 'nowhere.pcap'])).stderr).toContain('cannot read the capture nowhere.pcap: ENOENT')
})

test('the options of a session, for hexadecimal lines', async () => {
  const refresh = Buffer.from(message(5, '0001 00 01 01 40 0001 00')).toString('hex')
  expect((await decode(['--orf'], refresh)).stdout).toContain('"filters":[{"type":64,"entries":"00"}]')
  const reach = attribute('800e', '0001 01 10 20010db8000000000000000000000001 00 180a0001')
  const wire = update({ attributes: `${reach} ${ORIGIN} ${AS_PATH}` })
  const line = Buffer.from(wire).toString('hex')
  expect((await decode([], line)).stdout).toContain('"outcome":"ok"')
  expect((await decode(['--no-extended-next-hop'], line)).stdout).toContain('"outcome":"session-reset"')
  expect((await decode(['--add-path', 'ipv9'])).stderr).toContain('--add-path ipv9: "ipv9" is none of ipv4, ipv6')
})
