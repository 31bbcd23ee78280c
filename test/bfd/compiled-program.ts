/**
 * A small program for compiled.test.ts: two ends of a BFD session in one process, each in the
 * network namespace of an argument.
 */
import { createBfd } from '../../src/bfd/bfd.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'

const [first = '', second = ''] = process.argv.slice(2)
const ends = [
  { networkNamespace: first, peerAddress: '10.9.0.2' },
  { networkNamespace: second, peerAddress: '10.9.0.1' },
].map(({ networkNamespace, peerAddress }) => {
  const bfd = createBfd({ clock: systemClock, log: silentLog, networkNamespace })
  const up = new Promise<void>(resolve => bfd.onEvent(({ kind }) => kind === 'up' && resolve()))
  bfd.setSessions([{ key: 'end', peerAddress, interface: 'eth0', minimumIntervalMilliseconds: 100, multiplier: 3 }])
  return { bfd, up }
})
await Promise.all(ends.map(({ up }) => up))
console.log(ends.map(({ bfd }) => bfd.sessions()[0]?.state).join(' '))
await Promise.all(ends.map(({ bfd }) => bfd.close()))
