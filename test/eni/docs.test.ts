/**
 * The guide names every code of the table with what to do about it, and every part of the
 * configuration that it shows is one.
 */
import { expect, test } from 'bun:test'
import { parseConfig } from '../../src/config/load.ts'
import { CLOUD_ERRORS } from '../../src/eni/cloud-errors.ts'

const guide = await Bun.file('docs/cloud.md').text()

test('every code with its reason and its advice', () => {
  const rows = Object.entries(CLOUD_ERRORS).map(([code, { reason, advice }]) => `| ${code} | ${reason} | ${advice} |`)
  expect(rows.filter(row => !guide.includes(row))).toEqual([])
})

test('the configuration in it is one', () => {
  const yaml = /```yaml\n([\s\S]*?)```/.exec(guide)?.[1] ?? ''
  const shown = yaml.replaceAll(/^ {3}/gm, '')
  expect(parseConfig(shown, 'the guide').cloud).toMatchObject({ credentials: { from: 'oidc' }, network: 'vpc' })
  const others = [...shown.matchAll(/^ {2}# (\w+: .*?)(?: {2,}#.*)?$/gm)].map(([, line = '']) =>
    line.replaceAll('HOST', 'api.example'),
  )
  expect(others.length).toBe(6)
  for (const line of others) expect(() => parseConfig(`cloud: {${line}}`, line)).not.toThrow()
})
