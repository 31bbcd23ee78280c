/** An upgrade whose version cannot install itself: before it was in place, and after. */
import { expect } from 'bun:test'
import { join } from 'node:path'
import { run } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const test = testNeeding('root', 'mounts')

function upgraded(...scene: string[]): unknown {
  const child = join(import.meta.dir, 'upgrade-child.ts')
  return JSON.parse(run(['unshare', '--mount', process.execPath, child, ...scene]).stdout)
}

test('refused before the installed version was touched: that runs on', () => {
  const thrown = '2 cannot be installed, 1 runs on:\n  systemctl: failed'
  expect(upgraded()).toEqual({ thrown, installed: 1, isRecorded: false })
})

test('the upgrade before it was killed when the version was in place already: it goes back', () => {
  const thrown = '2 does not do what 1 did; 1 is back:\n  systemctl: failed'
  expect(upgraded('killed')).toEqual({ thrown, installed: 1, isRecorded: false })
})

test('in place, and there is none to go back to: it stays, and what fails is said', () => {
  const thrown = '2 is installed, but:\n  systemctl: failed'
  expect(upgraded('again')).toEqual({ thrown, installed: 2, isRecorded: false })
})
