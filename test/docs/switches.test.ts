/**
 * docs/switches: every guide is what the program prints today, its commands run and print the same;
 * the index lists all of them.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PASSWORD_PLACEHOLDER } from '../../src/planner/vendors/intent.ts'
import { VENDORS } from '../../src/planner/vendors/vendors.ts'
import { DOCUMENT } from '../planner/networks.ts'
import { intent } from '../planner/vendors/intents.ts'
import { USER_DOCUMENT } from '../support/user-document.ts'
import { codeBlocks, commands, longLines, runDocumented, WRITING } from './markdown.ts'
import { switchGuide, switchIndex } from './switch-guide.ts'

const folder = mkdtempSync(join(tmpdir(), 'switches-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const AUTH = { authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } } }
/** 40 nodes and 10 more each year: 90 in five years, and a quarter. */
const REST = { password: PASSWORD_PLACEHOLDER, maximumPrefixes: 120 }
const INTENTS = {
  plain: intent(AUTH, REST),
  withBfd: intent({ ...AUTH, bfd: { enabled: true }, ttlSecurity: 1 }, REST),
}

function checked(name: string, text: string): string {
  const path = `docs/switches/${name}.md`
  if (WRITING) writeFileSync(path, text)
  expect(readFileSync(path, 'utf8')).toBe(text)
  return text
}

test('the index lists every vendor, and there is no guide beside them', () => {
  checked('README', switchIndex(VENDORS))
  const names = ['README', ...VENDORS.map(({ name }) => name)].map(name => `${name}.md`)
  expect(readdirSync('docs/switches').sort()).toEqual(names.sort())
})

test.each(VENDORS.map(vendor => [vendor.name, vendor] as const))(
  '%s: the guide is what the program prints; its commands run',
  (name, vendor) => {
    const guide = checked(name, switchGuide(vendor, INTENTS))
    expect(longLines(guide)).toEqual([])
    writeFileSync(join(folder, 'bgppeer.yaml'), USER_DOCUMENT)
    writeFileSync(join(folder, 'network.yaml'), DOCUMENT)
    const snippet = codeBlocks(guide).find(({ language }) => language === 'text')?.text
    writeFileSync(join(folder, 'running.txt'), snippet ?? '')
    for (const [index, line] of commands(guide).entries()) {
      const { status, stdout, stderr } = runDocumented(line, folder)
      expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: '' })
      expect(stdout).toBe(index === 0 ? (snippet ?? '') : 'The switch is configured for BGPPeer peer.\n')
    }
  },
  300_000,
)
